/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests which part of the disk is mapped next. */

#include "config.h"

#include "import/windows.h"
#include "test.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* Of clusters of 64 KiB, unless a test says otherwise. */
static struct windows begin(uint64_t disk_size)
{
    struct windows w;

    windows_begin(&w, disk_size, 512 * MIB, 65536);
    return w;
}

/* The next window is [disk_offset, disk_end). */
static void check_next(struct windows *w, uint64_t arrived,
                       uint64_t disk_offset, uint64_t disk_end)
{
    uint64_t from = 0, length = 0, table_end;

    CHECK(windows_next(w, arrived, &from, &length, &table_end));
    CHECK_UINT(from, disk_offset);
    CHECK_UINT(from + length, disk_end);
}

static void check_waits(struct windows *w, uint64_t arrived,
                        uint64_t table_end)
{
    uint64_t from, length, end = 0;

    CHECK(!windows_next(w, arrived, &from, &length, &end));
    CHECK_UINT(end, table_end);
}

static void test_success(void)
{
    struct windows w = begin(3 * GIB + 512);

    TEST("windows that say little double, up to the end of the disk");
    check_next(&w, 0, 0, 512 * MIB);
    windows_mapped(&w, true);
    check_next(&w, 0, 512 * MIB, 512 * MIB + GIB);
    windows_mapped(&w, false);
    check_next(&w, 0, 512 * MIB + GIB, 512 * MIB + 2 * GIB);
    windows_mapped(&w, true);
    CHECK(!windows_are_done(&w));
    check_next(&w, 0, 512 * MIB + 2 * GIB, 3 * GIB + 512);
    windows_mapped(&w, true);
    CHECK(windows_are_done(&w));

    TEST("an empty disk is done");
    w = begin(0);
    CHECK(windows_are_done(&w));

    TEST("where tables say little a window is 256 MiB all the same");
    windows_begin(&w, GIB, 2 * MIB, 4096);
    check_next(&w, 0, 0, 256 * MIB);

    TEST("what says too much is halved, down to a slice of a table");
    windows_begin(&w, 8 * GIB, 16 * GIB, 262144); /* 4 slices of 64 KiB */
    check_next(&w, 0, 0, 8 * GIB);
    windows_too_long(&w);
    check_next(&w, 0, 0, 4 * GIB);
    windows_too_long(&w);
    check_next(&w, 0, 0, 4 * GIB);
}

static void test_near(void)
{
    struct windows w = begin(8 * GIB);
    uint64_t lookahead = 0;

    TEST("a near table is waited for, with more behind it each time");
    check_next(&w, 1000, 0, 512 * MIB);
    windows_mapped(&w, true);
    check_next(&w, 1000, 512 * MIB, 512 * MIB + GIB);
    CHECK(windows_faulted(&w, 70000, 1000, &lookahead));
    CHECK_UINT(lookahead, WINDOWS_LOOKAHEAD);
    check_next(&w, 70000, 512 * MIB, GIB);
    CHECK(windows_faulted(&w, 140000, 70000, &lookahead));
    CHECK_UINT(lookahead, 2 * WINDOWS_LOOKAHEAD);
    for (unsigned i = 0; i < 10; i++) {
        check_next(&w, 140000, 512 * MIB, GIB);
        CHECK(windows_faulted(&w, 140000 + 64 * MIB, 140000, &lookahead));
    }
    CHECK_UINT(lookahead, 32 * MIB);

    TEST("success makes that less");
    for (unsigned i = 0; i < 10; i++) {
        check_next(&w, 140000, 512 * MIB * (i + 1), 512 * MIB * (i + 2));
        windows_mapped(&w, false);
    }
    check_next(&w, 140000, 512 * MIB * 11, 512 * MIB * 12);
    CHECK(windows_faulted(&w, 200000, 140000, &lookahead));
    CHECK_UINT(lookahead, WINDOWS_LOOKAHEAD);
}

static void test_far(void)
{
    const uint64_t far = 65 * MIB;
    struct windows w = begin(2 * GIB);
    uint64_t lookahead;

    TEST("a large window whose table is far is made a unit first");
    check_next(&w, 0, 0, 512 * MIB);
    windows_mapped(&w, true);
    check_next(&w, 0, 512 * MIB, 512 * MIB + GIB);
    CHECK(!windows_faulted(&w, far, 0, &lookahead));

    TEST("a unit is postponed, and the next is tried");
    check_next(&w, 0, 512 * MIB, GIB);
    CHECK(!windows_faulted(&w, 2 * far, 0, &lookahead));
    check_next(&w, 0, GIB, GIB + 512 * MIB);
    CHECK(!windows_faulted(&w, far, 0, &lookahead));
    check_next(&w, 0, GIB + 512 * MIB, 2 * GIB);
    windows_mapped(&w, true);
    CHECK(!windows_are_done(&w));

    TEST("the one whose table comes first is tried first, when it has come");
    check_waits(&w, far - 1, far);
    check_next(&w, far, GIB, GIB + 512 * MIB);

    TEST("a postponed window that faults again waits for its next table");
    CHECK(!windows_faulted(&w, 3 * far, far, &lookahead));
    check_waits(&w, far, 2 * far);
    check_next(&w, 3 * far, 512 * MIB, GIB);

    TEST("a postponed window that says too much is mapped in parts");
    w.slice = 256 * MIB;
    windows_too_long(&w);
    check_next(&w, 3 * far, 512 * MIB, 768 * MIB);
    windows_mapped(&w, true);
    check_next(&w, 3 * far, 768 * MIB, GIB);
    windows_mapped(&w, true);
    check_next(&w, 3 * far, GIB, GIB + 512 * MIB);
    windows_mapped(&w, true);
    CHECK(windows_are_done(&w));

    TEST("no more than WINDOWS_POSTPONED are postponed");
    w = begin(100 * GIB);
    for (uint64_t i = 0; i < WINDOWS_POSTPONED; i++) {
        check_next(&w, 0, i * 512 * MIB, (i + 1) * 512 * MIB);
        CHECK(!windows_faulted(&w, far + i, 0, &lookahead));
    }
    check_waits(&w, 0, far);
}

int main(void)
{
    test_begin();
    test_success();
    test_near();
    test_far();
    return test_end();
}
