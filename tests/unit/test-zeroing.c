/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests that each way of zeroing is given up alone. */

#include "config.h"

#include "import/zeroing.h"
#include "test.h"

enum { FD = 77, OFFSET = 4096, LENGTH = 8192 };

/* What the kernel says, for each way: an errno value, or 0. */
static int answers[ZEROING_WAYS];
static unsigned asked[ZEROING_WAYS];

static int answer(unsigned way, int fd, uint64_t disk_offset, uint64_t length)
{
    CHECK_INT(fd, FD);
    CHECK_UINT(disk_offset, OFFSET);
    CHECK_UINT(length, LENGTH);
    asked[way]++;
    errno = answers[way];
    return errno == 0 ? 0 : -1;
}

static int punch_hole(int fd, uint64_t disk_offset, uint64_t length)
{
    return answer(ZEROING_PUNCH_HOLE, fd, disk_offset, length);
}

static int zero_range(int fd, uint64_t disk_offset, uint64_t length)
{
    return answer(ZEROING_ZERO_RANGE, fd, disk_offset, length);
}

static int blkzeroout(int fd, uint64_t disk_offset, uint64_t length)
{
    return answer(ZEROING_BLKZEROOUT, fd, disk_offset, length);
}

static const struct zeroing fake = {
    .ways = {punch_hole, zero_range, blkzeroout},
};

/* Zeroes twice where the ways in the mask bad fail with errnum. */
static void check_ways(unsigned bad, int errnum, bool is_given_up)
{
    struct zeroing z = fake;
    unsigned first_good = 0;

    for (unsigned i = 0; i < ZEROING_WAYS; i++)
        answers[i] = (bad & 1U << i) != 0 ? errnum : 0;
    while (first_good < ZEROING_WAYS && answers[first_good] != 0)
        first_good++;
    for (unsigned time = 0; time < 2; time++) {
        memset(asked, 0, sizeof asked);
        CHECK_INT(zeroing_by_kernel(&z, FD, OFFSET, LENGTH),
                  first_good < ZEROING_WAYS);
        for (unsigned i = 0; i < ZEROING_WAYS; i++) {
            bool is_asked = i == first_good ||
                            (i < first_good && (time == 0 || !is_given_up));

            CHECK_UINT(asked[i], is_asked);
            CHECK_INT(z.is_refused[i], i < first_good && is_given_up);
        }
    }
}

static unsigned delay_ms;

static int take_time(int fd, uint64_t disk_offset, uint64_t length)
{
    (void)fd;
    (void)disk_offset;
    (void)length;
    if (delay_ms > 0)
        poll(NULL, 0, (int)delay_ms);
    return 0;
}

static void test_pieces(void)
{
    const uint64_t least = UINT64_C(32) << 20, most = UINT64_C(1) << 30;
    struct zeroing z = {.ways = {take_time, take_time, take_time}};

    TEST("a kernel that is fast is asked for more at once");
    CHECK_UINT(zeroing_piece(&z), least);
    CHECK(zeroing_by_kernel(&z, FD, 0, least / 2));
    CHECK_UINT(zeroing_piece(&z), least);
    for (uint64_t piece = least; piece < most; piece *= 2) {
        /* Once it may be late: so may any program. */
        CHECK(TEST_WAIT((zeroing_by_kernel(&z, FD, 0, zeroing_piece(&z)),
                         zeroing_piece(&z) >= 2 * piece)));
    }
    CHECK(zeroing_by_kernel(&z, FD, 0, most));
    CHECK(zeroing_piece(&z) <= most);

    TEST("and one that is slow for less, but not for too little");
    delay_ms = 501;
    z.piece = 2 * least;
    CHECK(zeroing_by_kernel(&z, FD, 0, 2 * least));
    CHECK_UINT(zeroing_piece(&z), least);
    CHECK(zeroing_by_kernel(&z, FD, 0, least));
    CHECK_UINT(zeroing_piece(&z), least);
}

int main(void)
{
    static const int unsupported[] = {EOPNOTSUPP, ENOTTY, ENODEV, ENOSYS};
    static const int failed[] = {EIO, EINVAL, ENOSPC, EINTR};

    test_begin();
    for (unsigned bad = 0; bad < 1U << ZEROING_WAYS; bad++) {
        TEST("a way that is not supported is given up, and no other");
        for (size_t i = 0; i < N_ELEMENTS(unsupported); i++)
            check_ways(bad, unsupported[i], true);
        TEST("a way that fails for one range is asked for the next");
        for (size_t i = 0; i < N_ELEMENTS(failed); i++)
            check_ways(bad, failed[i], false);
    }
    test_pieces();
    return test_end();
}
