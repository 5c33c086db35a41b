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
    windows_mapped(&w, true, false);
    check_next(&w, 0, 512 * MIB, 512 * MIB + GIB);
    windows_mapped(&w, false, true);
    check_next(&w, 0, 512 * MIB + GIB, 512 * MIB + 2 * GIB);
    windows_mapped(&w, true, false);
    CHECK(!windows_are_done(&w));
    check_next(&w, 0, 512 * MIB + 2 * GIB, 3 * GIB + 512);
    windows_mapped(&w, true, false);
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
    struct windows w = begin(16 * GIB);
    uint64_t lookahead = 0;

    TEST("a near table is waited for, and some bytes behind it are kept");
    check_next(&w, 1000, 0, 512 * MIB);
    windows_mapped(&w, true, false);
    check_next(&w, 1000, 512 * MIB, 512 * MIB + GIB);
    CHECK(windows_faulted(&w, 70000, 1000, &lookahead));
    CHECK_UINT(lookahead, WINDOWS_LOOKAHEAD);
    check_next(&w, 70000, 512 * MIB, GIB);
    CHECK(windows_faulted(&w, 140000, 70000, &lookahead));
    CHECK_UINT(lookahead, WINDOWS_LOOKAHEAD);

    TEST("twice as many each time, up to a quarter of what has come");
    check_next(&w, 5 * MIB, 512 * MIB, GIB);
    for (unsigned i = 0; i < 4; i++)
        CHECK(windows_faulted(&w, 5 * MIB + 70000, 5 * MIB, &lookahead));
    CHECK_UINT(lookahead, 5 * MIB / 4);
    for (unsigned i = 0; i < 10; i++)
        CHECK(windows_faulted(&w, GIB + 70000, GIB, &lookahead));
    CHECK_UINT(lookahead, 64 * MIB);

    TEST("and half as many, if there was data among them");
    check_next(&w, GIB, 512 * MIB, GIB);
    windows_mapped(&w, false, false);
    CHECK(windows_faulted(&w, GIB + 70000, GIB, &lookahead));
    CHECK_UINT(lookahead, 64 * MIB);
    for (unsigned i = 2; i < 12; i++) {
        check_next(&w, 0, 512 * MIB * i, 512 * MIB * (i + 1));
        windows_mapped(&w, false, true);
    }
    check_next(&w, 0, 512 * MIB * 12, 512 * MIB * 13);
    CHECK(windows_faulted(&w, 70000, 0, &lookahead));
    CHECK_UINT(lookahead, WINDOWS_LOOKAHEAD);

    TEST("a table behind them is not waited for");
    CHECK(!windows_faulted(&w, WINDOWS_LOOKAHEAD + 1, 0, &lookahead));
}

static void test_far(void)
{
    const uint64_t far = 65 * MIB;
    struct windows w = begin(2 * GIB);
    uint64_t lookahead;

    TEST("a large window whose table is far is made a unit first");
    check_next(&w, 0, 0, 512 * MIB);
    windows_mapped(&w, true, false);
    check_next(&w, 0, 512 * MIB, 512 * MIB + GIB);
    CHECK(!windows_faulted(&w, far, 0, &lookahead));

    TEST("a unit is postponed, and the next is tried");
    check_next(&w, 0, 512 * MIB, GIB);
    CHECK(!windows_faulted(&w, 2 * far, 0, &lookahead));
    check_next(&w, 0, GIB, GIB + 512 * MIB);
    CHECK(!windows_faulted(&w, far, 0, &lookahead));
    check_next(&w, 0, GIB + 512 * MIB, 2 * GIB);
    windows_mapped(&w, true, false);
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
    windows_mapped(&w, true, false);
    check_next(&w, 3 * far, 768 * MIB, GIB);
    windows_mapped(&w, true, false);
    check_next(&w, 3 * far, GIB, GIB + 512 * MIB);
    windows_mapped(&w, true, false);
    CHECK(windows_are_done(&w));

    TEST("64 are postponed before anything has come");
    w = begin(1000 * GIB);
    for (uint64_t i = 0; i < 64; i++) {
        check_next(&w, 0, i * 512 * MIB, (i + 1) * 512 * MIB);
        CHECK(!windows_faulted(&w, 9 * GIB + i, 0, &lookahead));
    }
    check_waits(&w, 0, 9 * GIB);

    TEST("one more for each 4 MiB, and WINDOWS_POSTPONED at the most");
    check_next(&w, 4 * MIB, 32 * GIB, 32 * GIB + 512 * MIB);
    CHECK(!windows_faulted(&w, 9 * GIB + 64, 4 * MIB, &lookahead));
    check_waits(&w, 8 * MIB - 1, 9 * GIB);
    for (uint64_t i = 65; i < WINDOWS_POSTPONED; i++) {
        check_next(&w, 8 * GIB, i * 512 * MIB, (i + 1) * 512 * MIB);
        CHECK(!windows_faulted(&w, 9 * GIB + i, 8 * GIB, &lookahead));
    }
    check_waits(&w, 9 * GIB - 1, 9 * GIB);
}

/* Of clusters of 4 KiB: a table has 2 MiB of the disk. */
static void test_small_clusters(void)
{
    const uint64_t far = 2 * GIB;
    struct windows w;
    uint64_t lookahead;

    TEST("small windows are postponed while runs are worth it");
    windows_begin(&w, 4 * GIB, 2 * MIB, 4096);
    check_next(&w, GIB, 0, 256 * MIB);
    CHECK(!windows_faulted(&w, far, GIB, &lookahead));
    check_next(&w, GIB, 0, 32 * MIB);
    CHECK(!windows_faulted(&w, far, GIB, &lookahead));
    check_next(&w, GIB, 32 * MIB, 64 * MIB);

    TEST("large ones where they would be too many");
    w.runs = 1041;
    CHECK(!windows_faulted(&w, far, GIB, &lookahead));
    check_next(&w, GIB, 64 * MIB, 320 * MIB);
    CHECK(windows_faulted(&w, GIB + 60 * MIB, GIB, &lookahead));
    CHECK(!windows_faulted(&w, far + 1, GIB, &lookahead));

    TEST("a large one that faults again becomes two later on");
    w.front = 4 * GIB;
    w.runs = 0;
    for (uint64_t from = 0; from < 64 * MIB; from += 32 * MIB) {
        check_next(&w, far, from, from + 32 * MIB);
        windows_mapped(&w, true, false);
    }
    check_next(&w, far + 1, 64 * MIB, 320 * MIB);
    CHECK(!windows_faulted(&w, far + 2, far + 1, &lookahead));
    check_next(&w, far + 1, 64 * MIB, 192 * MIB);
    windows_mapped(&w, true, false);
    check_next(&w, far + 1, 192 * MIB, 320 * MIB);
    windows_mapped(&w, true, false);
    CHECK(windows_are_done(&w));

    TEST("what is less than a small one stays one");
    windows_begin(&w, 24 * MIB, 2 * MIB, 4096);
    check_next(&w, GIB, 0, 24 * MIB);
    CHECK(!windows_faulted(&w, far, GIB, &lookahead));
    check_next(&w, far, 0, 24 * MIB);
    CHECK(!windows_faulted(&w, far + 1, far, &lookahead));
    check_next(&w, far + 1, 0, 24 * MIB);
    windows_mapped(&w, true, false);
    CHECK(windows_are_done(&w));

    TEST("a disk that would have too many has larger ones");
    windows_begin(&w, 64 * GIB, 2 * MIB, 4096);
    CHECK_UINT(w.unit, 128 * MIB);
    windows_begin(&w, 1024 * GIB, 2 * MIB, 4096);
    CHECK_UINT(w.unit, 256 * MIB);
}

int main(void)
{
    test_begin();
    test_success();
    test_near();
    test_far();
    test_small_clusters();
    return test_end();
}
