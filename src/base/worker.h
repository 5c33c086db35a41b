/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A thread that does jobs in the order they were given. */

#ifndef QT_WORKER_H
#define QT_WORKER_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* length bytes of the disk at disk_offset, and where they are in the file,
 * if that matters to the worker.
 */
struct job {
    uint64_t disk_offset, length;
    uint64_t file_offset;
};

struct worker;

/* Does all of the count jobs, in the worker's thread.  If worker_is_stopped
 * meanwhile, it returns early, in whatever way.
 */
typedef int worker_do(void *opaque, struct worker *worker,
                      const struct job *jobs, size_t count, struct error *err);

/* Starts the thread, which calls work with opaque.  wake_fd, an eventfd
 * (eventfd(2)) that stays the caller's, is written to when the worker has
 * failed, and each time it has nothing left to do.  *worker is for
 * worker_free.
 */
int worker_start(worker_do *work, void *opaque, int wake_fd,
                 struct worker **worker, struct error *err);

/* Keeps it from taking jobs, until it is released. */
void worker_hold(struct worker *worker);
void worker_release(struct worker *worker);

/* Adds a copy of job behind the others.  Fails only for want of memory: what
 * the work fails with is for worker_check.
 */
int worker_add(struct worker *worker, const struct job *job,
               struct error *err);

/* Jobs that wait, and those that it does. */
size_t worker_count(struct worker *worker);

/* Has it done all that it was given so far? */
bool worker_is_idle(struct worker *worker);

/* Returns -1 with the worker's error if it has failed. */
int worker_check(struct worker *worker, struct error *err);

/* Shall it give up what it is doing?  stop_fd is readable then, too. */
bool worker_is_stopped(struct worker *worker);
int worker_stop_fd(const struct worker *worker);

/* Stops it in the middle of its work, and frees it.  NULL is fine. */
void worker_free(struct worker *worker);

#endif
