/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Threads that read a file while what they have read is looked at. */

#ifndef QT_READ_AHEAD_H
#define QT_READ_AHEAD_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct read_ahead;

/* Starts the threads.  fd stays the caller's, and has to outlive them. */
int read_ahead_start(int fd, struct read_ahead **reader, struct error *err);

/* Has length bytes read from offset on, some time, into buf.  Waits for the
 * oldest if too many wait already.
 */
void read_ahead_ask(struct read_ahead *reader, char *buf, uint64_t offset,
                    size_t length);

/* How many reads were asked for so far. */
uint64_t read_ahead_count(struct read_ahead *reader);

/* One that did not bring all bytes: got is how many it did, or -1 and errnum.
 */
struct read_ahead_failure {
    uint64_t offset;
    int64_t got;
    int errnum;
};

/* Waits for the first count of all reads that there ever were.  Returns 0, or
 * -1 with the first that failed since the last call.
 */
int read_ahead_wait(struct read_ahead *reader, uint64_t count,
                    struct read_ahead_failure *failure);

/* Waits for what is being read; what was not begun is forgotten.  NULL is
 * fine.
 */
void read_ahead_stop(struct read_ahead *reader);

#endif
