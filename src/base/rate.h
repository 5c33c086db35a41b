/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Keeps a transfer to so many bytes a second. */

#ifndef QT_RATE_H
#define QT_RATE_H

#include <stdint.h>

struct rate {
    uint64_t limit;    /* bytes a second; 0: none */
    uint64_t begun_ns; /* CLOCK_MONOTONIC, of what was spent since; 0: unset */
    uint64_t spent;    /* bytes */
};

/* limit is in bytes a second; 0 is none. */
void rate_open(struct rate *rate, uint64_t limit);

/* Of length bytes, how many to move at once: no more than a tenth of a second
 * has, so that it does not go in leaps.  At least 1, unless length is 0.
 */
uint64_t rate_most(const struct rate *rate, uint64_t length);

/* length bytes have been moved.  Waits until more may be.  What was not used
 * while others were waited for can be caught up with for half a second, and is
 * lost beyond that.  A signal that is noted ends the wait.
 */
void rate_spend(struct rate *rate, uint64_t length);

#endif
