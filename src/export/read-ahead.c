/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Threads that read a file while what they have read is looked at. */

#include "config.h"

#include "base/io.h"
#include "base/lock.h"
#include "base/signals.h"
#include "export/read-ahead.h"

#include <errno.h>
#include <stdlib.h>

enum { THREADS = 2, READS = 64 };

struct read {
    char *buf;
    uint64_t offset;
    size_t length;
    int64_t got; /* -1: errnum */
    int errnum;
    bool is_done;
};

/* The reads are a ring: taken <= begun <= asked.  Those before taken are done,
 * and were looked at.
 */
struct read_ahead {
    int fd;
    pthread_t threads[THREADS];
    size_t n_threads;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    struct read reads[READS];
    uint64_t taken, begun, asked;
    struct read_ahead_failure failure; /* offset of -1: there was none */
    bool is_stopping;
};

#define NO_FAILURE ((struct read_ahead_failure){.offset = UINT64_MAX})

/* The next read to be done, or NULL in the end. */
static struct read *begin_next(struct read_ahead *r)
{
    LOCK_FOR_SCOPE(&r->lock);

    while (r->begun == r->asked && !r->is_stopping)
        pthread_cond_wait(&r->changed, &r->lock);
    return r->is_stopping ? NULL : &r->reads[r->begun++ % READS];
}

static void end(struct read_ahead *r, struct read *read, int64_t got,
                int errnum)
{
    LOCK_FOR_SCOPE(&r->lock);

    read->got = got;
    read->errnum = errnum;
    read->is_done = true;
    pthread_cond_broadcast(&r->changed);
}

static void *run(void *opaque)
{
    struct read_ahead *r = opaque;
    struct read *read;

    while ((read = begin_next(r)) != NULL) {
        ssize_t got =
            io_pread_full(r->fd, read->buf, read->length, read->offset);

        end(r, read, got, got == -1 ? errno : 0);
    }
    return NULL;
}

int read_ahead_start(int fd, struct read_ahead **reader, struct error *err)
{
    struct read_ahead *r = calloc(1, sizeof *r);

    if (r == NULL)
        return error_set(err, errno, "no memory to read ahead");
    r->fd = fd;
    r->failure = NO_FAILURE;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    for (; r->n_threads < THREADS; r->n_threads++) {
        int errnum = signals_create_thread(&r->threads[r->n_threads], run, r);

        if (errnum == 0)
            continue;
        read_ahead_stop(r);
        return error_set(err, errnum, "cannot start a thread to read ahead");
    }
    *reader = r;
    return 0;
}

/* Waits for all reads before count. */
static void take(struct read_ahead *r, uint64_t count)
{
    LOCK_ASSERT_HELD(&r->lock);
    while (r->taken < count) {
        const struct read *read = &r->reads[r->taken % READS];

        while (!read->is_done)
            pthread_cond_wait(&r->changed, &r->lock);
        if ((read->got == -1 || (size_t)read->got < read->length) &&
            r->failure.offset == UINT64_MAX)
            r->failure = (struct read_ahead_failure){read->offset, read->got,
                                                     read->errnum};
        r->taken++;
    }
}

void read_ahead_ask(struct read_ahead *r, char *buf, uint64_t offset,
                    size_t length)
{
    LOCK_FOR_SCOPE(&r->lock);

    if (r->asked - r->taken == READS)
        take(r, r->taken + 1);
    r->reads[r->asked++ % READS] = (struct read){
        .buf = buf,
        .offset = offset,
        .length = length,
    };
    pthread_cond_broadcast(&r->changed);
}

uint64_t read_ahead_count(struct read_ahead *r)
{
    LOCK_FOR_SCOPE(&r->lock);

    return r->asked;
}

int read_ahead_wait(struct read_ahead *r, uint64_t count,
                    struct read_ahead_failure *failure)
{
    LOCK_FOR_SCOPE(&r->lock);

    take(r, count);
    *failure = r->failure;
    r->failure = NO_FAILURE;
    return failure->offset == UINT64_MAX ? 0 : -1;
}

static void ask_to_stop(struct read_ahead *r)
{
    LOCK_FOR_SCOPE(&r->lock);

    r->is_stopping = true;
    pthread_cond_broadcast(&r->changed);
}

void read_ahead_stop(struct read_ahead *r)
{
    if (r == NULL)
        return;
    ask_to_stop(r);
    for (size_t i = 0; i < r->n_threads; i++)
        pthread_join(r->threads[i], NULL);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
