/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Locks that are released at the end of the scope that took them. */

#ifndef QT_LOCK_H
#define QT_LOCK_H

#include "base/assert.h"
#include "base/cleanup.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

/* LOCK_FOR_SCOPE(&x->lock); takes the mutex, and releases it wherever the
 * scope is left.  It declares a variable, so it stands among declarations or
 * behind them.  pthread_cond_wait(3) may be called under it.
 */
#define LOCK_FOR_SCOPE(mutex)                                                 \
    pthread_mutex_t *CLEANUP(lock) __attribute__((unused))                    \
    LOCK_NAME(__LINE__) = lock_take(mutex)

/* The same of a lock that many may hold to read, or one to write. */
#define READ_LOCK_FOR_SCOPE(lock)                                             \
    pthread_rwlock_t *CLEANUP(rwlock) __attribute__((unused))                 \
    LOCK_NAME(__LINE__) = rwlock_take(lock, false)
#define WRITE_LOCK_FOR_SCOPE(lock)                                            \
    pthread_rwlock_t *CLEANUP(rwlock) __attribute__((unused))                 \
    LOCK_NAME(__LINE__) = rwlock_take(lock, true)

/* LOCK_ASSERT_HELD(&x->lock); for a function whose caller has to hold it.
 * It notices that nobody does, but not that it is another thread.
 */
#define LOCK_ASSERT_HELD(mutex) ASSERT(lock_is_held(mutex))

/* A name of its own for each line. */
#define LOCK_NAME(line) LOCK_NAME_OF(line)
#define LOCK_NAME_OF(line) lock_of_line_##line

/* A condition that is waited for until a time on CLOCK_MONOTONIC: who sets the
 * time of day makes nobody wait for hours.
 */
static inline void lock_init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attr);
    pthread_condattr_destroy(&attr);
}

static inline pthread_mutex_t *lock_take(pthread_mutex_t *mutex)
{
    int r = pthread_mutex_lock(mutex);

    ASSERT(r == 0);
    return mutex;
}

static inline void cleanup_lock(pthread_mutex_t **mutex)
{
    int r = pthread_mutex_unlock(*mutex);

    ASSERT(r == 0);
}

static inline pthread_rwlock_t *rwlock_take(pthread_rwlock_t *rwlock,
                                            bool to_write)
{
    int r = to_write ? pthread_rwlock_wrlock(rwlock)
                     : pthread_rwlock_rdlock(rwlock);

    ASSERT(r == 0);
    return rwlock;
}

static inline void cleanup_rwlock(pthread_rwlock_t **rwlock)
{
    int r = pthread_rwlock_unlock(*rwlock);

    ASSERT(r == 0);
}

/* Does any thread hold it?  The mutex is a default one, not recursive. */
static inline bool lock_is_held(pthread_mutex_t *mutex)
{
    if (pthread_mutex_trylock(mutex) == EBUSY)
        return true;
    pthread_mutex_unlock(mutex);
    return false;
}

#endif
