/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Keeps a transfer to so many bytes a second. */

#include "config.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/rate.h"

#include <stddef.h>

#define SECOND UINT64_C(1000000000) /* nanoseconds */
#define MILLISECOND UINT64_C(1000000)
#define MOST_BEHIND (SECOND / 2)

/* How long length bytes take, without an overflow. */
static uint64_t time_of(const struct rate *r, uint64_t length)
{
    return length / r->limit * SECOND +
           (uint64_t)((double)(length % r->limit) / r->limit * SECOND);
}

void rate_open(struct rate *r, uint64_t limit)
{
    *r = (struct rate){.limit = limit};
}

uint64_t rate_most(const struct rate *r, uint64_t length)
{
    return r->limit == 0 ? length : io_min(length, io_max(r->limit / 10, 1));
}

void rate_spend(struct rate *r, uint64_t length)
{
    struct pollfd nothing = {.fd = -1};
    uint64_t now, due;

    if (r->limit == 0)
        return;
    now = clock_ns();
    if (r->begun_ns == 0)
        r->begun_ns = now;
    due = r->begun_ns + time_of(r, r->spent);
    if (due + MOST_BEHIND < now)
        r->begun_ns += now - MOST_BEHIND - due;
    r->spent += length;
    due = r->begun_ns + time_of(r, r->spent);
    if (due > now)
        io_poll(&nothing, 1, (due - now + MILLISECOND - 1) / MILLISECOND);
}
