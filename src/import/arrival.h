/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* How much of a stream has arrived, and who waits for more of it. */

#ifndef QT_ARRIVAL_H
#define QT_ARRIVAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Its lock is the caller's and guards all of it: who calls arrival_... holds
 * that lock.
 */
struct arrival {
    pthread_mutex_t *lock;
    pthread_cond_t changed;
    uint64_t arrived;     /* bytes; the file offset of what comes next */
    uint64_t allowed_end; /* see inbox_allow */
    bool is_ended;        /* no more will arrive */
    bool is_whole;        /* it has ended, and is as long as announced */
    bool is_cancelled;    /* nobody shall wait any more */
};

enum inbox_wait {
    INBOX_ARRIVED,   /* all that was waited for is there */
    INBOX_ENDED,     /* the stream has ended before that */
    INBOX_CANCELLED, /* inbox_cancel */
};

/* Nothing has arrived yet.  The lock need not be held here, nor for
 * arrival_destroy.
 */
void arrival_init(struct arrival *arrival, pthread_mutex_t *lock);
void arrival_destroy(struct arrival *arrival);

/* length bytes more have arrived. */
void arrival_add(struct arrival *arrival, uint64_t length);

/* No more will; is_whole: that was all. */
void arrival_end(struct arrival *arrival, bool is_whole);

/* Nobody shall wait any more. */
void arrival_cancel(struct arrival *arrival);

/* Waits until all before file_end has arrived, or never will; and until the
 * time on CLOCK_MONOTONIC if that is not NULL: INBOX_ARRIVED then, too.  The
 * lock is free meanwhile.
 */
enum inbox_wait arrival_wait(struct arrival *arrival, uint64_t file_end,
                             const struct timespec *until);

#endif
