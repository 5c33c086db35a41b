/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The time, for who wants to know how long something takes. */

#ifndef QT_CLOCK_H
#define QT_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC.  Both are async-signal-safe (signal-safety(7)). */
static inline uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static inline uint64_t clock_ms(void)
{
    return clock_ns() / 1000000;
}

#endif
