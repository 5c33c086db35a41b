/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what holds on a machine of any speed: never faster. */

#include "config.h"

#include "base/rate.h"
#include "test.h"

#include <time.h>

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * UINT64_C(1000) + now.tv_nsec / 1000000;
}

static void test_no_limit(void)
{
    struct rate rate;

    rate_open(&rate, 0);
    CHECK_INT(rate_most(&rate, UINT64_MAX), UINT64_MAX);
    rate_spend(&rate, UINT64_MAX);
    rate_spend(&rate, UINT64_MAX);
}

static void test_most(void)
{
    struct rate rate;

    rate_open(&rate, 1000);
    CHECK_INT(rate_most(&rate, 99), 99);
    CHECK_INT(rate_most(&rate, 1000), 100);
    CHECK_INT(rate_most(&rate, 0), 0);
    rate_open(&rate, 1);
    CHECK_INT(rate_most(&rate, 1000), 1);
}

static void test_time(void)
{
    uint64_t began = now_ms();
    struct rate rate;

    rate_open(&rate, 1000000);
    for (int i = 0; i < 20; i++)
        rate_spend(&rate, 10000);
    CHECK(now_ms() - began >= 199);
}

/* Of a minute in which nothing was moved half a second counts. */
static void test_behind(void)
{
    struct timespec now;
    struct rate rate;
    uint64_t began;

    clock_gettime(CLOCK_MONOTONIC, &now);
    rate_open(&rate, 1000000);
    rate.begun_ns = now.tv_sec * UINT64_C(1000000000) - 60 * 1000000000ULL;
    began = now_ms();
    rate_spend(&rate, 1);
    rate_spend(&rate, 700000);
    CHECK(now_ms() - began >= 199);
}

/* Numbers of any size are no trouble. */
static void test_large(void)
{
    struct rate rate;

    rate_open(&rate, INT64_MAX);
    rate_spend(&rate, UINT64_C(1) << 60);
    CHECK_INT(rate_most(&rate, 1 << 20), 1 << 20);
}

int main(void)
{
    test_begin();
    test_no_limit();
    test_most();
    test_time();
    test_behind();
    test_large();
    return test_end();
}
