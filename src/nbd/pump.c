/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Has many requests to an NBD server in flight, beside who makes them. */

/* Notes on the design
 *
 * Whoever has something to write must not wait for the server each time, nor
 * have to look whether it has answered: the receiver waits for its stream
 * meanwhile.  So one thread, the pump, has the connections, and is the only
 * one to call libnbd.
 *
 * A request is a slot, of which there is a fixed number:
 *
 *     free --> lent, or filled --> queued --> in flight --> free, or done if
 *                                                           it is waited for
 *
 * Slots (struct nbd_request) that are free or queued are in a list, under the
 * lock.  In flight they are the pump's alone.  libnbd tells of an answer while
 * it is let work; then the slot goes into the list of those that are answered,
 * which is the pump's.  With nothing to do it waits for a condition, else for
 * sockets and wake_fd.
 *
 * Zeroes need no buffer, and a server may take its time for them: so they get
 * a part of the slots only, and data goes on beside them.
 *
 * A request goes over the connection that has the least in flight.  But what
 * somebody waits for goes over one, always the same: a server may allow
 * several, and yet show on one what was written over another only when that is
 * flushed.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/own-cage.h"
#include "base/signals.h"
#include "nbd/pump.h"
#include "nbd/request.h"

#include <errno.h>
#include <libnbd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

/* As many as a few connections of a fast network can use; each takes a piece
 * of memory once it has been used.
 */
enum { SLOTS = 64, MOST_ZEROES = 12 };

/* Who waits for a slot is woken when so many are free: once for several
 * requests.
 */
enum { FEW = 4 };

#define BUFFERS (UINT64_C(16) << 20) /* bytes, of all slots */

struct nbd_pump {
    struct nbd_connections *connections;
    struct nbd_request_how how;
    pthread_t thread;

    /* The thread's. */
    struct nbd_requests answered;
    uint64_t sent, settled; /* requests */

    pthread_mutex_t lock;  /* of all that follows */
    pthread_cond_t queues; /* there is something to be done */
    pthread_cond_t answers;
    struct nbd_request slots[SLOTS];
    struct nbd_request *free; /* the last freed first: its memory is warm */
    struct nbd_request *lent; /* NULL: none is */
    size_t n_free;
    struct nbd_requests queued;
    size_t in_flight; /* or queued */
    size_t zeroes;    /* of them */
    bool is_polling;  /* so wake_fd is to be written to */
    bool is_news;     /* for those who wait for answers */
    bool is_stopped, has_failed;
    struct error failure;
};

static void note_failure(struct nbd_pump *p, const struct error *failure)
{
    LOCK_ASSERT_HELD(&p->lock);
    if (!p->has_failed)
        p->failure = *failure;
    p->has_failed = true;
    pthread_cond_broadcast(&p->answers);
    pthread_cond_signal(&p->queues);
}

/* ------------------------------------------------------------ the thread */

/* The connection that a request goes over. */
static struct nbd_handle *choose(const struct nbd_connections *c,
                                 const struct nbd_request *s)
{
    size_t best = 0;

    if (s->kind == NBD_COUNT_ZEROES) /* it alone knows block status */
        return c->list[0];
    if (s->is_waited_for)
        return c->list[c->first_for_data];
    for (size_t i = 1; i < c->count; i++)
        if (nbd_aio_in_flight(c->list[i]) < nbd_aio_in_flight(c->list[best]))
            best = i;
    return c->list[best];
}

static int issue_all(struct nbd_pump *p, struct nbd_request *s,
                     struct error *err)
{
    struct nbd_request *next;

    for (; s != NULL; s = next) {
        next = s->next;
        s->errnum = 0;
        s->zeroes = 0;
        s->number = p->sent++;
        s->nbd = choose(p->connections, s);
        if (nbd_request_issue(s) == -1)
            return nbd_request_failed(p->connections->role, s,
                                      nbd_connections_cause(p->connections,
                                                            s->nbd),
                                      err);
        nbd_connections_sent(p->connections, s->nbd);
    }
    return 0;
}

/* Of what has failed, that which was sent first. */
static const struct nbd_request *find_failed(const struct nbd_pump *p)
{
    const struct nbd_request *found = NULL;

    for (const struct nbd_request *s = p->answered.first; s != NULL;
         s = s->next)
        if (s->errnum != 0 && !nbd_request_is_to_be_slow(s) &&
            !nbd_request_may_fail(s) &&
            (found == NULL || s->number < found->number))
            found = s;
    return found;
}

static void release(struct nbd_pump *p, struct nbd_request *s)
{
    s->next = p->free;
    p->free = s;
    p->is_news = ++p->n_free >= FEW || p->is_news;
}

static void tell_news(struct nbd_pump *p)
{
    LOCK_ASSERT_HELD(&p->lock);
    if (p->is_news)
        pthread_cond_broadcast(&p->answers);
    p->is_news = false;
}

static void settle(struct nbd_pump *p, struct nbd_request *s)
{
    LOCK_ASSERT_HELD(&p->lock);
    p->settled++;
    if (nbd_request_is_to_be_slow(s)) {
        p->how.is_fast = s->is_fast = false;
        nbd_requests_push(&p->queued, s);
        return;
    }
    p->in_flight--;
    p->zeroes -= nbd_request_is_zeroing(s->kind);
    if (s->is_waited_for)
        s->is_done = p->is_news = true;
    else
        release(p, s);
    p->is_news = p->is_news || p->in_flight == 0;
}

/* Takes what has been answered. */
static int settle_all(struct nbd_pump *p, struct error *err)
{
    const struct nbd_request *failed = find_failed(p);
    struct nbd_request *next;

    if (failed != NULL)
        return nbd_request_failed(p->connections->role, failed,
                                  nbd_connections_loss(p->connections,
                                                       failed->nbd),
                                  err);

    LOCK_FOR_SCOPE(&p->lock);
    for (struct nbd_request *s = nbd_requests_take(&p->answered); s != NULL;
         s = next) {
        next = s->next;
        settle(p, s);
    }
    tell_news(p);
    return 0;
}

/* What is queued and may be sent now. */
static struct nbd_request *take_queued(struct nbd_pump *p)
{
    LOCK_ASSERT_HELD(&p->lock);
    if (!p->how.is_serial)
        return nbd_requests_take(&p->queued);
    return p->sent == p->settled ? nbd_requests_take_one(&p->queued) : NULL;
}

/* Waits until there is something to do, and takes what may be sent; if that is
 * nothing, an answer is to be waited for.  False: it is over.
 */
static bool await(struct nbd_pump *p, struct nbd_request **queued)
{
    LOCK_FOR_SCOPE(&p->lock);
    p->is_polling = false;
    while (p->in_flight == 0 && !p->is_stopped && !p->has_failed)
        pthread_cond_wait(&p->queues, &p->lock);
    *queued = take_queued(p);
    p->is_polling = *queued == NULL;
    return !p->is_stopped && !p->has_failed;
}

static int turn(struct nbd_pump *p, struct nbd_request *queued,
                struct error *err)
{
    eventfd_t count;

    if (queued != NULL && issue_all(p, queued, err) == -1)
        return -1;
    if (queued == NULL) {
        if (nbd_connections_wait(p->connections, -1, err) == -1)
            return -1;
        eventfd_read(p->connections->wake_fd, &count);
    }
    return p->answered.first == NULL ? 0 : settle_all(p, err);
}

static void *run(void *opaque)
{
    struct nbd_pump *p = opaque;
    struct nbd_request *queued;
    struct error failure;

    while (await(p, &queued)) {
        if (turn(p, queued, &failure) == 0)
            continue;
        LOCK_FOR_SCOPE(&p->lock);
        note_failure(p, &failure);
    }
    return NULL;
}

/* ------------------------------------------------------------- the others */

static int check(const struct nbd_pump *p, struct error *err)
{
    if (!p->has_failed)
        return 0;
    *err = p->failure;
    return -1;
}

/* Waits for a free slot that may be of that kind. */
static struct nbd_request *take_slot(struct nbd_pump *p,
                                     enum nbd_request_kind kind,
                                     struct error *err)
{
    bool is_zero = nbd_request_is_zeroing(kind);
    struct nbd_request *s;

    LOCK_ASSERT_HELD(&p->lock);
    while (!p->has_failed &&
           (p->free == NULL || (is_zero && p->zeroes >= MOST_ZEROES)))
        pthread_cond_wait(&p->answers, &p->lock);
    if (check(p, err) == -1)
        return NULL;
    s = p->free;
    p->free = s->next;
    p->n_free--;
    s->kind = kind;
    p->zeroes += is_zero;
    return s;
}

/* Takes a slot that has a buffer, if it is to have one. */
static struct nbd_request *take_with_buffer(struct nbd_pump *p,
                                            enum nbd_request_kind kind,
                                            struct error *err)
{
    struct nbd_request *s = take_slot(p, kind, err);

    if (s == NULL || s->buf != NULL || (kind != NBD_READ && kind != NBD_WRITE))
        return s;
    s->buf = io_alloc_aligned(p->how.piece);
    if (s->buf != NULL)
        return s;
    error_set(err, errno, "no memory for NBD requests");
    note_failure(p, err);
    return NULL;
}

char *nbd_pump_lend(struct nbd_pump *p, struct error *err)
{
    LOCK_FOR_SCOPE(&p->lock);
    if (p->lent == NULL)
        p->lent = take_with_buffer(p, NBD_WRITE, err);
    return p->lent == NULL ? NULL : p->lent->buf;
}

bool nbd_pump_has_lent(struct nbd_pump *p, const void *buf)
{
    LOCK_FOR_SCOPE(&p->lock);
    return p->lent != NULL && p->lent->buf == buf;
}

/* Queues a request.  It may be looked at again, under the lock, if it
 * is_waited_for.
 */
static void queue(struct nbd_pump *p, struct nbd_request *s,
                  uint64_t disk_offset, uint64_t length, bool is_waited_for)
{
    LOCK_FOR_SCOPE(&p->lock);
    s->disk_offset = disk_offset;
    s->length = length;
    s->is_waited_for = is_waited_for;
    s->is_done = false;
    s->is_fast = s->kind == NBD_ZERO && p->how.is_fast;
    p->in_flight++;
    nbd_requests_push(&p->queued, s);
    if (p->is_polling)
        eventfd_write(p->connections->wake_fd, 1);
    else
        pthread_cond_signal(&p->queues);
}

int nbd_pump_add_lent(struct nbd_pump *p, uint64_t disk_offset,
                      uint64_t length, struct error *err)
{
    struct nbd_request *s;

    {
        LOCK_FOR_SCOPE(&p->lock);
        if (check(p, err) == -1)
            return -1;
        s = STEAL_PTR(p->lent);
    }
    ASSERT(s != NULL && length <= p->how.piece);
    queue(p, s, disk_offset, length, false);
    return 0;
}

/* Returns the request, or NULL. */
static struct nbd_request *add(struct nbd_pump *p, enum nbd_request_kind kind,
                               uint64_t disk_offset, uint64_t length,
                               const void *data, bool is_waited_for,
                               struct error *err)
{
    struct nbd_request *s;

    if (kind == NBD_READ || kind == NBD_WRITE)
        ASSERT(length <= p->how.piece);
    {
        LOCK_FOR_SCOPE(&p->lock);
        s = take_with_buffer(p, kind, err);
    }
    if (s == NULL)
        return NULL;
    if (kind == NBD_WRITE)
        memcpy(s->buf, data, length);
    queue(p, s, disk_offset, length, is_waited_for);
    return s;
}

int nbd_pump_add(struct nbd_pump *p, enum nbd_request_kind kind,
                 uint64_t disk_offset, uint64_t length, const void *data,
                 struct error *err)
{
    return add(p, kind, disk_offset, length, data, false, err) == NULL ? -1
                                                                       : 0;
}

int nbd_pump_do(struct nbd_pump *p, enum nbd_request_kind kind,
                uint64_t disk_offset, uint64_t length, void *buf,
                struct error *err)
{
    struct nbd_request *s = add(p, kind, disk_offset, length, buf, true, err);

    if (s == NULL)
        return -1;

    LOCK_FOR_SCOPE(&p->lock);
    while (!s->is_done && !p->has_failed)
        pthread_cond_wait(&p->answers, &p->lock);
    if (check(p, err) == -1)
        return -1;
    if (kind == NBD_READ)
        memcpy(buf, s->buf, length);
    if (kind == NBD_COUNT_ZEROES)
        *(uint64_t *)buf = s->errnum == 0 ? s->zeroes : 0;
    release(p, s);
    tell_news(p);
    return 0;
}

bool nbd_pump_is_fast(struct nbd_pump *p)
{
    LOCK_FOR_SCOPE(&p->lock);
    return p->how.is_fast;
}

int nbd_pump_drain(struct nbd_pump *p, struct error *err)
{
    LOCK_FOR_SCOPE(&p->lock);
    while (p->in_flight > 0 && !p->has_failed)
        pthread_cond_wait(&p->answers, &p->lock);
    return check(p, err);
}

void nbd_pump_cancel(struct nbd_pump *p)
{
    struct error cancelled;

    error_set(&cancelled, ECANCELED, "%s: NBD", p->connections->role);
    LOCK_FOR_SCOPE(&p->lock);
    note_failure(p, &cancelled);
    if (p->is_polling)
        eventfd_write(p->connections->wake_fd, 1);
}

/* -------------------------------------------------------------- both ends */

int nbd_pump_start(struct nbd_connections *connections,
                   const struct nbd_request_how *how, struct nbd_pump **pump,
                   struct error *err)
{
    struct nbd_pump *p = calloc(1, sizeof *p);
    size_t count = io_min(SLOTS, BUFFERS / how->piece);
    int r = 0;

    if (p == NULL)
        return error_set(err, errno, "no memory for NBD requests");
    p->connections = connections;
    p->how = *how;
    nbd_requests_take(&p->queued);
    nbd_requests_take(&p->answered);
    for (size_t i = 0; i < count; i++) {
        p->slots[i].how = &p->how;
        p->slots[i].answered = &p->answered;
        release(p, &p->slots[i]);
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->queues, NULL);
    pthread_cond_init(&p->answers, NULL);
    connections->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (connections->wake_fd == -1)
        r = error_set(err, errno, "cannot make an eventfd for NBD");
    if (r == 0)
        r = own_cage_create_thread(&p->thread, run, p, err);
    if (r == -1) {
        cleanup_close_fd(&connections->wake_fd);
        free(p);
        return -1;
    }
    *pump = p;
    return 0;
}

void nbd_pump_stop(struct nbd_pump *p)
{
    if (p == NULL)
        return;
    {
        LOCK_FOR_SCOPE(&p->lock);
        p->is_stopped = true;
        pthread_cond_signal(&p->queues);
        eventfd_write(p->connections->wake_fd, 1);
    }
    pthread_join(p->thread, NULL);
    cleanup_close_fd(&p->connections->wake_fd);
    p->connections->wake_fd = -1;
    /* libnbd may hold on to the buffers of what is in flight. */
    nbd_connections_close(p->connections);
    for (size_t i = 0; i < SLOTS; i++)
        free(p->slots[i].buf);
    pthread_cond_destroy(&p->answers);
    pthread_cond_destroy(&p->queues);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
