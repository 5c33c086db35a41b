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
 *     free --> queued --> in flight --> free, or done if somebody waits for it
 *
 * Slots (struct nbd_request) that are free or queued are in a list, under the
 * lock.  In flight they are the pump's alone.  libnbd tells of an answer while
 * it is let work; then the slot goes into the list of those that are answered,
 * which is the pump's.  With nothing to do it waits for a condition, else for
 * sockets and wake_fd.
 *
 * Zeroes need no buffer, and a server may take its time for them: so they get
 * a part of the slots only, and data goes on beside them.
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

#define BUFFERS (UINT64_C(16) << 20) /* bytes, of all slots */

struct nbd_pump {
    struct nbd_connections *connections;
    struct nbd_request_how how;
    pthread_t thread;

    /* The thread's. */
    struct nbd_requests answered;
    uint64_t sent; /* requests */

    pthread_mutex_t lock;  /* of all that follows */
    pthread_cond_t queues; /* there is something to be done */
    pthread_cond_t answers;
    struct nbd_request slots[SLOTS];
    struct nbd_request *free; /* the last freed first: its memory is warm */
    struct nbd_requests queued;
    size_t in_flight, zeroes; /* of those that are queued or in flight */
    bool is_polling;          /* so wake_fd is to be written to */
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

/* Why a connection was lost; NULL: it was not.  What was in flight on it has
 * failed with ENOTCONN, and that is not why.
 */
static const char *find_loss(const struct nbd_pump *p, struct nbd_handle *nbd)
{
    const char *loss = p->connections->loss;

    if (!nbd_connections_is_lost(nbd))
        return NULL;
    return loss[0] == '\0' ? "the server closed the connection" : loss;
}

/* Why a request could not be issued: if the connection is lost, libnbd only
 * says so.
 */
static const char *find_cause(const struct nbd_pump *p, struct nbd_handle *nbd)
{
    const char *loss = find_loss(p, nbd);

    return loss != NULL ? loss : nbd_cause();
}

static int issue_all(struct nbd_pump *p, struct nbd_request *s,
                     struct error *err)
{
    const struct nbd_connections *c = p->connections;
    size_t n_for_data = c->count - c->first_for_data;
    struct nbd_request *next;

    for (; s != NULL; s = next) {
        next = s->next;
        s->errnum = 0;
        s->zeroes = 0;
        s->number = p->sent;
        s->nbd = c->list[c->first_for_data + p->sent++ % n_for_data];
        if (s->kind == NBD_COUNT_ZEROES) /* it alone knows block status */
            s->nbd = c->list[0];
        if (nbd_request_issue(s) == -1)
            return nbd_request_failed(c->role, s, find_cause(p, s->nbd), err);
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
            (found == NULL || s->number < found->number))
            found = s;
    return found;
}

static void settle(struct nbd_pump *p, struct nbd_request *s)
{
    LOCK_ASSERT_HELD(&p->lock);
    if (nbd_request_is_to_be_slow(s)) {
        p->how.is_fast = s->is_fast = false;
        nbd_requests_push(&p->queued, s);
        return;
    }
    p->in_flight--;
    p->zeroes -= nbd_request_is_zeroing(s->kind);
    if (s->is_waited_for) {
        s->is_done = true;
        return;
    }
    s->next = p->free;
    p->free = s;
}

/* Takes what has been answered. */
static int settle_all(struct nbd_pump *p, struct error *err)
{
    const struct nbd_request *failed = find_failed(p);
    struct nbd_request *next;

    if (failed != NULL)
        return nbd_request_failed(p->connections->role, failed,
                                  find_loss(p, failed->nbd), err);

    LOCK_FOR_SCOPE(&p->lock);
    for (struct nbd_request *s = nbd_requests_take(&p->answered); s != NULL;
         s = next) {
        next = s->next;
        settle(p, s);
    }
    pthread_cond_broadcast(&p->answers);
    return 0;
}

/* Waits until there is something to do, and takes what is queued.  False: it
 * is over.
 */
static bool await(struct nbd_pump *p, struct nbd_request **queued)
{
    LOCK_FOR_SCOPE(&p->lock);
    p->is_polling = false;
    while (p->in_flight == 0 && !p->is_stopped && !p->has_failed)
        pthread_cond_wait(&p->queues, &p->lock);
    p->is_polling = true;
    *queued = nbd_requests_take(&p->queued);
    return !p->is_stopped && !p->has_failed;
}

static int turn(struct nbd_pump *p, struct nbd_request *queued,
                struct error *err)
{
    eventfd_t count;

    if (issue_all(p, queued, err) == -1)
        return -1;
    /* A socket with room, and it has been answered already. */
    if (p->answered.first == NULL &&
        nbd_connections_wait(p->connections, -1, err) == -1)
        return -1;
    eventfd_read(p->connections->wake_fd, &count);
    return settle_all(p, err);
}

static void *run(void *opaque)
{
    struct nbd_pump *p = opaque;
    struct nbd_request *queued;
    struct error failure;

    own_cage_enter_thread();
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
    s->kind = kind;
    s->is_fast = kind == NBD_ZERO && p->how.is_fast;
    s->is_done = false;
    p->in_flight++;
    p->zeroes += is_zero;
    return s;
}

static int fill(const struct nbd_pump *p, struct nbd_request *s,
                uint64_t disk_offset, uint64_t length, const void *data,
                struct error *err)
{
    bool has_buffer = s->kind == NBD_READ || s->kind == NBD_WRITE;

    s->disk_offset = disk_offset;
    s->length = length;
    if (has_buffer)
        ASSERT(length <= p->how.piece);
    if (has_buffer && s->buf == NULL)
        s->buf = io_alloc_aligned(p->how.piece);
    if (has_buffer && s->buf == NULL)
        return error_set(err, errno, "no memory for NBD requests");
    if (s->kind == NBD_WRITE)
        memcpy(s->buf, data, length);
    return 0;
}

/* Queues a request.  *slot may be looked at, under the lock, if it
 * is_waited_for.
 */
static int add(struct nbd_pump *p, enum nbd_request_kind kind,
               uint64_t disk_offset, uint64_t length, const void *data,
               bool is_waited_for, struct nbd_request **slot,
               struct error *err)
{
    struct nbd_request *s;
    int r;

    {
        LOCK_FOR_SCOPE(&p->lock);
        s = take_slot(p, kind, err);
    }
    if (s == NULL)
        return -1;
    r = fill(p, s, disk_offset, length, data, err);

    LOCK_FOR_SCOPE(&p->lock);
    if (r == -1) {
        note_failure(p, err);
        return -1;
    }
    s->is_waited_for = is_waited_for;
    nbd_requests_push(&p->queued, s);
    if (p->is_polling)
        eventfd_write(p->connections->wake_fd, 1);
    else
        pthread_cond_signal(&p->queues);
    *slot = s;
    return 0;
}

int nbd_pump_add(struct nbd_pump *p, enum nbd_request_kind kind,
                 uint64_t disk_offset, uint64_t length, const void *data,
                 struct error *err)
{
    struct nbd_request *s;

    return add(p, kind, disk_offset, length, data, false, &s, err);
}

int nbd_pump_do(struct nbd_pump *p, enum nbd_request_kind kind,
                uint64_t disk_offset, uint64_t length, void *buf,
                struct error *err)
{
    struct nbd_request *s;

    if (add(p, kind, disk_offset, length, buf, true, &s, err) == -1)
        return -1;

    LOCK_FOR_SCOPE(&p->lock);
    while (!s->is_done && !p->has_failed)
        pthread_cond_wait(&p->answers, &p->lock);
    if (check(p, err) == -1)
        return -1;
    if (kind == NBD_READ)
        memcpy(buf, s->buf, length);
    if (kind == NBD_COUNT_ZEROES)
        *(uint64_t *)buf = s->zeroes;
    s->next = p->free;
    p->free = s;
    pthread_cond_broadcast(&p->answers);
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
    size_t count = how->is_serial ? 1 : io_min(SLOTS, BUFFERS / how->piece);
    int r;

    if (p == NULL)
        return error_set(err, errno, "no memory for NBD requests");
    p->connections = connections;
    p->how = *how;
    nbd_requests_take(&p->queued);
    nbd_requests_take(&p->answered);
    for (size_t i = 0; i < count; i++) {
        p->slots[i].how = &p->how;
        p->slots[i].answered = &p->answered;
        p->slots[i].next = p->free;
        p->free = &p->slots[i];
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->queues, NULL);
    pthread_cond_init(&p->answers, NULL);
    connections->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = connections->wake_fd == -1 ? errno
                                   : signals_create_thread(&p->thread, run, p);
    if (r != 0) {
        cleanup_close_fd(&connections->wake_fd);
        free(p);
        return error_set(err, r, "cannot start a thread for NBD");
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
