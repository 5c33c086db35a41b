/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests how the room of a spool is counted. */

#include "config.h"

#include "import/kept.h"
#include "test.h"

enum { B = KEPT_BLOCK, FAR = 1 << 30 };

static void add(struct kept *k, uint64_t from, uint64_t to, uint64_t bytes)
{
    struct error err;

    CHECK_OK(kept_add(k, from, to, &err), &err);
    CHECK_UINT(kept_bytes(k), bytes);
}

/* [empty_from, empty_to) is what can be given back. */
static void take(struct kept *k, uint64_t from, uint64_t to, uint64_t bytes,
                 uint64_t empty_from, uint64_t empty_to)
{
    uint64_t before = kept_bytes(k), at, end;

    CHECK_UINT(kept_remove(k, from, to, &at, &end), bytes);
    CHECK_UINT(kept_bytes(k), before - bytes);
    CHECK_UINT(at, empty_from);
    CHECK_UINT(end, empty_to);
}

static void test_blocks(void)
{
    struct kept k = {0};

    TEST("nothing is kept at first");
    CHECK_UINT(kept_bytes(&k), 0);
    take(&k, 0, 10 * B, 0, 0, 10 * B);

    TEST("a byte takes a block, and the next ones no more");
    add(&k, 0, 0, 0);
    add(&k, 100, 101, B);
    add(&k, 101, B, B);
    add(&k, B, B + 1, 2 * B);

    TEST("whole blocks go");
    add(&k, B, 5 * B, 5 * B);
    take(&k, B, 3 * B, 2 * B, B, 3 * B);
    take(&k, B, 3 * B, 0, B, 3 * B);

    TEST("a block in which a sector stays does not");
    take(&k, 3 * B, 4 * B - 512, 0, 0, 0);
    take(&k, 4 * B - 511, 4 * B, 0, 0, 0);

    TEST("with its last sector it goes");
    take(&k, 4 * B - 512, 4 * B, B, 3 * B, 4 * B);

    TEST("what goes in small pieces goes in the end");
    for (unsigned at = 0; at < B - 512; at += 512)
        take(&k, 4 * B + at, 4 * B + at + 512, 0, 0, 0);
    take(&k, 5 * B - 512, 5 * B, B, 4 * B, 5 * B);

    TEST("a block that went can be kept again");
    add(&k, B, B + 512, 2 * B);
    take(&k, 0, 2 * B, 2 * B, 0, 2 * B);
    CHECK_UINT(kept_bytes(&k), 0);
    kept_clear(&k);
}

static void test_far(void)
{
    struct kept k = {0};

    TEST("pieces may be far apart");
    add(&k, UINT64_C(100) * FAR, UINT64_C(100) * FAR + 10, B);
    add(&k, 7 * (uint64_t)FAR + B - 1, 7 * (uint64_t)FAR + B + 1, 3 * B);
    take(&k, 0, UINT64_C(101) * FAR, 3 * B, 0, UINT64_C(101) * FAR);
    kept_clear(&k);
}

int main(void)
{
    test_begin();
    test_blocks();
    test_far();
    return test_end();
}
