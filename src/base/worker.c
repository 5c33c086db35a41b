/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A thread that does jobs in the order they were given. */

#include "config.h"

#include "base/cleanup.h"
#include "base/lock.h"
#include "base/signals.h"
#include "base/vector.h"
#include "base/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

VECTOR_TYPE(jobs, struct job);
VECTOR_FUNCTIONS(jobs, struct job, "jobs");

struct worker {
    worker_do *work;
    void *opaque;
    int wake_fd, stop_fd;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct jobs waiting;
    size_t n_taken; /* jobs that it does */
    bool is_busy, is_held, is_stopped;
    int result;
    struct error err;
};

/* Waits for jobs, and takes all there are; false: there will be none. */
static bool wait_for_jobs(struct worker *w, struct jobs *jobs)
{
    LOCK_FOR_SCOPE(&w->lock);

    w->is_busy = false;
    w->n_taken = 0;
    if (w->waiting.count == 0)
        eventfd_write(w->wake_fd, 1);
    while ((w->waiting.count == 0 || w->is_held) && !w->is_stopped)
        pthread_cond_wait(&w->changed, &w->lock);
    *jobs = w->waiting;
    w->waiting = (struct jobs){0};
    w->is_busy = true;
    w->n_taken = jobs->count;
    return !w->is_stopped;
}

static void note_failure(struct worker *w, const struct error *err)
{
    LOCK_FOR_SCOPE(&w->lock);

    w->result = -1;
    w->err = *err;
    eventfd_write(w->wake_fd, 1);
}

static void *run(void *opaque)
{
    struct worker *w = opaque;
    struct jobs jobs;
    int r = 0;

    while (r == 0 && wait_for_jobs(w, &jobs)) {
        struct error err;

        r = w->work(w->opaque, w, jobs.list, jobs.count, &err);
        jobs_free(&jobs);
        if (r == -1) {
            note_failure(w, &err);
            return NULL;
        }
    }
    jobs_free(&jobs);
    return NULL;
}

int worker_start(worker_do *work, void *opaque, int wake_fd,
                 struct worker **worker, struct error *err)
{
    struct worker *w = calloc(1, sizeof *w);
    int r;

    if (w == NULL)
        return error_set(err, errno, "no memory for a thread");
    w->work = work;
    w->opaque = opaque;
    w->wake_fd = wake_fd;
    w->is_busy = true; /* until it has looked */
    w->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (w->stop_fd == -1) {
        error_set(err, errno, "cannot make an eventfd");
        free(w);
        return -1;
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    r = signals_create_thread(&w->thread, run, w);
    if (r != 0) {
        error_set(err, r, "cannot start a thread");
        close(w->stop_fd);
        free(w);
        return -1;
    }
    *worker = w;
    return 0;
}

void worker_hold(struct worker *w)
{
    LOCK_FOR_SCOPE(&w->lock);

    w->is_held = true;
}

void worker_release(struct worker *w)
{
    LOCK_FOR_SCOPE(&w->lock);

    w->is_held = false;
    pthread_cond_signal(&w->changed);
}

int worker_add(struct worker *w, const struct job *job, struct error *err)
{
    LOCK_FOR_SCOPE(&w->lock);

    if (jobs_push(&w->waiting, *job, err) == -1)
        return -1;
    pthread_cond_signal(&w->changed);
    return 0;
}

size_t worker_count(struct worker *w)
{
    LOCK_FOR_SCOPE(&w->lock);

    return w->waiting.count + w->n_taken;
}

bool worker_is_idle(struct worker *w)
{
    LOCK_FOR_SCOPE(&w->lock);

    return !w->is_busy && w->waiting.count == 0;
}

int worker_check(struct worker *w, struct error *err)
{
    LOCK_FOR_SCOPE(&w->lock);

    if (w->result == -1)
        *err = w->err;
    return w->result;
}

bool worker_is_stopped(struct worker *w)
{
    LOCK_FOR_SCOPE(&w->lock);

    return w->is_stopped;
}

int worker_stop_fd(const struct worker *w)
{
    return w->stop_fd;
}

static void stop(struct worker *w)
{
    LOCK_FOR_SCOPE(&w->lock);

    w->is_stopped = true;
    eventfd_write(w->stop_fd, 1);
    pthread_cond_signal(&w->changed);
}

void worker_free(struct worker *w)
{
    if (w == NULL)
        return;
    stop(w);
    pthread_join(w->thread, NULL);
    jobs_free(&w->waiting);
    close(w->stop_fd);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->changed);
    free(w);
}
