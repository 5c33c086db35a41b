/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* How much of a stream has arrived, and who waits for more of it. */

#include "config.h"

#include "base/lock.h"
#include "import/arrival.h"

void arrival_init(struct arrival *a, pthread_mutex_t *lock)
{
    *a = (struct arrival){.lock = lock};
    lock_init_condition(&a->changed);
}

void arrival_destroy(struct arrival *a)
{
    pthread_cond_destroy(&a->changed);
}

void arrival_add(struct arrival *a, uint64_t length)
{
    LOCK_ASSERT_HELD(a->lock);
    ASSERT(!a->is_ended);
    ASSERT(length <= UINT64_MAX - a->arrived);
    a->arrived += length;
    pthread_cond_broadcast(&a->changed);
}

void arrival_end(struct arrival *a, bool is_whole)
{
    LOCK_ASSERT_HELD(a->lock);
    a->is_ended = true;
    a->is_whole = is_whole;
    pthread_cond_broadcast(&a->changed);
}

void arrival_cancel(struct arrival *a)
{
    LOCK_ASSERT_HELD(a->lock);
    a->is_cancelled = true;
    pthread_cond_broadcast(&a->changed);
}

enum inbox_wait arrival_wait(struct arrival *a, uint64_t file_end,
                             const struct timespec *until)
{
    int timed_out = 0;

    LOCK_ASSERT_HELD(a->lock);
    while (a->arrived < file_end && !a->is_ended && !a->is_cancelled &&
           timed_out == 0)
        timed_out = until == NULL
                        ? pthread_cond_wait(&a->changed, a->lock)
                        : pthread_cond_timedwait(&a->changed, a->lock, until);
    if (a->is_cancelled)
        return INBOX_CANCELLED;
    if (a->arrived < file_end && a->is_ended)
        return INBOX_ENDED;
    return INBOX_ARRIVED;
}
