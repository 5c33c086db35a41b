/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests how exact a rate is, by a clock that only goes on while somebody waits
 * or moves bytes.
 */

#include "config.h"

#include "base/clock.h"
#include "base/io.h"
#include "test.h"

#define SECOND UINT64_C(1000000000) /* nanoseconds */
#define MILLISECOND UINT64_C(1000000)

static uint64_t fake_now = 1000 * SECOND;
static uint64_t fake_late; /* by so much a wait is too long */

static uint64_t fake_clock(void)
{
    return fake_now;
}

static int fake_wait(struct pollfd *fds, size_t count, int timeout_ms)
{
    (void)fds;
    (void)count;
    CHECK(timeout_ms >= 0);
    fake_now += (uint64_t)timeout_ms * MILLISECOND + fake_late;
    return 0;
}

#define clock_ns fake_clock
#define io_poll fake_wait
#include "base/rate.c"

/* 1 byte to 100 Gbit/s; some that no millisecond has a whole number of. */
static const uint64_t limits[] = {
    1, 7, 999, 65536, 1000003, 20000000, 3000000000, UINT64_C(12500000000),
};

/* Moves for so long, at once or taking the part of the time that there is,
 * in pieces of so many bytes at the most.  Returns the bytes moved then.
 */
static double move(struct rate *rate, uint64_t time, double part,
                   uint64_t most)
{
    uint64_t began = fake_now, moved = 0;

    while (fake_now - began < time) {
        uint64_t n = rate_most(rate, most);

        fake_now += (uint64_t)(part * SECOND * n / rate->limit);
        rate_spend(rate, n);
        moved += n;
    }
    return moved;
}

/* Is it what so many seconds have, less what is allowed to be missing? */
static void check_moved(double moved, uint64_t limit, uint64_t began,
                        double less)
{
    double all = (double)(fake_now - began) / SECOND * limit;

    CHECK(moved <= all * (1 + 1e-9));
    CHECK(moved >= all * (1 - less));
}

static void test_at_once(void)
{
    for (size_t i = 0; i < N_ELEMENTS(limits); i++) {
        uint64_t began = fake_now;
        double moved = 0;
        struct rate rate;

        TEST("bytes that are moved at once, looked at each half second");
        rate_open(&rate, limits[i]);
        for (int j = 0; j < 20; j++) {
            moved += move(&rate, SECOND / 2, 0, UINT64_MAX);
            check_moved(moved, limits[i], began, 0.003);
        }
    }
}

static void test_small_pieces(void)
{
    for (size_t i = 0; i < N_ELEMENTS(limits); i++) {
        uint64_t most = limits[i] / 7000 + 1, began = fake_now;
        struct rate rate;

        TEST("pieces of less than a millisecond");
        rate_open(&rate, limits[i]);
        check_moved(move(&rate, 10 * SECOND, 0, most), limits[i], began,
                    0.003);
    }
}

/* The first piece, a tenth of a second's, comes before the clock is read. */
static void test_slow_mover(void)
{
    for (size_t i = 2; i < N_ELEMENTS(limits); i++) {
        uint64_t began = fake_now;
        struct rate rate;

        TEST("who takes most of the time to move, and wakes up late");
        fake_late = 15 * MILLISECOND;
        rate_open(&rate, limits[i]);
        check_moved(move(&rate, 10 * SECOND, 0.9, UINT64_MAX), limits[i],
                    began, 0.012);
        fake_late = 0;
    }
}

/* The worst ten seconds are those that begin as it goes on. */
static void test_after_silence(void)
{
    for (size_t i = 2; i < N_ELEMENTS(limits); i++) {
        uint64_t began;
        struct rate rate;
        double moved;

        TEST("what was lost while nothing came is not made up for");
        rate_open(&rate, limits[i]);
        move(&rate, SECOND, 0, UINT64_MAX);
        fake_now += 3 * SECOND;
        began = fake_now;
        moved = move(&rate, 10 * SECOND, 0, UINT64_MAX);
        CHECK(moved <= (double)(fake_now - began) / SECOND * limits[i] * 1.05);
        CHECK(moved >= 10.0 * limits[i]);
    }
}

int main(void)
{
    test_begin();
    test_at_once();
    test_small_pieces();
    test_slow_mover();
    test_after_silence();
    return test_end();
}
