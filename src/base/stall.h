/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Notices that nothing moves any more, and who is waited for. */

#ifndef QT_STALL_H
#define QT_STALL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* From now on, when not a byte has moved for so many seconds (io_moved), and
 * one of those whom we wait for is no disk of ours, all that waits ends as
 * after a signal: signals_caught is SIGNALS_GIVEN_UP.  0: never.  The seconds
 * in which we are stopped do not count.
 *
 * To wait for a disk no program can give up, and to flush a large one may take
 * any time: then there is only a notice.
 */
int stall_open(unsigned seconds, struct error *err);

/* Fills in what has happened.  Returns -1. */
int stall_explain(struct error *err);

enum stall_kind { STALL_PEER, STALL_DISK };

/* STALL_WAIT_FOR(kind, "the sender"); says for the rest of the scope whom this
 * thread waits for, who must not go before.  It declares a variable, so it
 * stands among declarations or behind them.
 */
#define STALL_WAIT_FOR(kind, who)                                             \
    size_t CLEANUP(stall)                                                     \
    stall_of_scope __attribute__((unused)) = stall_begin(kind, who)

/* The number of a place in the list of those who are waited for. */
size_t stall_begin(enum stall_kind kind, const char *who);
void stall_end(size_t place);

static inline void cleanup_stall(const size_t *place)
{
    stall_end(*place);
}

#endif
