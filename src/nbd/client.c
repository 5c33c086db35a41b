/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Reads from an NBD server, with several requests in flight (libnbd). */

/* Notes on the design
 *
 * Requests are a ring: the oldest is given away first, so that what is read
 * can be sent as it comes.  They take turns on the connections for data; block
 * status is for the first one.  How many there are goes by how long answers
 * take, because each has a buffer.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "nbd/client.h"
#include "nbd/connections.h"

#include <errno.h>
#include <inttypes.h>
#include <libnbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Requests in flight at first, and at the most.  It grows while answers take
 * so long that it is what bounds the speed: to 16 pieces in 8 ms.
 */
enum { FEWEST = 16, SLOTS = 64 };
#define LATE_NS (UINT64_C(8) * 1000 * 1000)

#define PIECE (UINT64_C(256) << 10)
#define STATUS_PIECE (UINT64_C(1) << 30)

/* A request in flight. */
struct slot {
    struct nbd_handle *nbd;
    int64_t cookie;
    char *buf;
    uint64_t disk_offset;
    size_t length;
    size_t before; /* bytes in buf before those: whole blocks are read */
    uint64_t asked_ns;
    nbd_client_deliver *deliver;
    void *opaque;
};

struct nbd_client {
    struct nbd_connections connections;
    uint64_t piece; /* what is asked for at once */
    struct slot slots[SLOTS];
    uint64_t asked, taken; /* requests: taken is the oldest in flight */
    uint64_t most;         /* that are in flight */
    bool is_refused;       /* taken has failed, and no more than that */
};

int nbd_client_open(const struct nbd_address *address, int cancel_fd,
                    struct nbd_client **client, struct error *err)
{
    struct nbd_client *c = calloc(1, sizeof *c);

    if (c == NULL) {
        cleanup_close_fd(&address->socket_fd);
        return error_set(err, errno, "no memory for an NBD client");
    }
    c->connections.cancel_fd = cancel_fd;
    c->connections.wake_fd = -1;
    if (nbd_connections_open(&c->connections, address,
                             address->socket_fd == -1, err) == -1) {
        nbd_client_free(c);
        return -1;
    }
    c->most = FEWEST;
    c->piece = address->piece == 0 ? PIECE : address->piece;
    c->piece =
        io_max(io_min(c->piece, c->connections.most), c->connections.block);
    *client = c;
    return 0;
}

void nbd_client_free(struct nbd_client *c)
{
    if (c == NULL)
        return;
    nbd_connections_close(&c->connections);
    for (size_t i = 0; i < SLOTS; i++)
        free(c->slots[i].buf);
    free(c);
}

uint64_t nbd_client_size(const struct nbd_client *c)
{
    return c->connections.size;
}

/* What one answer to a question for block status goes to. */
struct answer {
    struct extents *data;
    uint64_t size;        /* of the export */
    uint64_t disk_offset; /* how far the status is known */
    bool has_failed;
    struct error *err;
};

static int take_status(void *opaque, const char *context, uint64_t disk_offset,
                       uint32_t *entries, size_t n_entries, int *error)
{
    struct answer *a = opaque;

    (void)context;
    (void)error;
    if (a->has_failed || disk_offset != a->disk_offset)
        return 0;
    for (size_t i = 0; i + 1 < n_entries; i += 2) {
        uint64_t length = io_min(entries[i], a->size - a->disk_offset);
        bool is_zero = entries[i + 1] & LIBNBD_STATE_ZERO;

        if (length > 0 && !is_zero &&
            extents_append(a->data, a->disk_offset, length, a->err) == -1)
            a->has_failed = true;
        a->disk_offset += length;
    }
    return 0;
}

static int ask_status(struct nbd_client *c, struct answer *a)
{
    struct nbd_handle *nbd = c->connections.list[0];
    uint64_t from = a->disk_offset,
             length = io_min(c->connections.size - from, STATUS_PIECE);
    int64_t cookie =
        nbd_aio_block_status(nbd, length, from,
                             (nbd_extent_callback){.callback = take_status,
                                                   .user_data = a},
                             NBD_NULL_COMPLETION, 0);
    int r = cookie == -1 ? -1 : 0;

    while (cookie != -1 && (r = nbd_aio_command_completed(nbd, cookie)) == 0)
        if (nbd_connections_wait(&c->connections, -1, a->err) == -1)
            return -1;
    if (a->has_failed)
        return -1;
    if (r == -1)
        return error_set(a->err, 0,
                         "%s: no block status at disk offset %" PRIu64 ": %s",
                         c->connections.role, from,
                         nbd_connections_cause(&c->connections, nbd));
    if (a->disk_offset == from)
        return error_set(a->err, 0,
                         "%s: empty block status at disk offset %" PRIu64,
                         c->connections.role, from);
    return 0;
}

int nbd_client_status(struct nbd_client *c, struct extents *data,
                      bool *is_known, struct error *err)
{
    struct answer answer = {.data = data,
                            .size = c->connections.size,
                            .err = err};
    bool has_zeroes;

    *is_known = nbd_can_meta_context(c->connections.list[0],
                                     LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
    if (!*is_known && c->connections.size > 0)
        return extents_append(data, 0, c->connections.size, err);
    while (answer.disk_offset < c->connections.size)
        if (ask_status(c, &answer) == -1)
            return -1;
    /* To say that all is data is what servers do that do not know. */
    has_zeroes = extents_total(data) < c->connections.size;
    *is_known = has_zeroes || c->connections.size == 0;
    return 0;
}

/* Waits for the oldest request and gives it away. */
static int deliver_oldest(struct nbd_client *c, struct error *err)
{
    struct slot *s = &c->slots[c->taken % SLOTS];
    bool is_late = false;
    int r;

    while ((r = nbd_aio_command_completed(s->nbd, s->cookie)) == 0) {
        if (nbd_connections_wait(&c->connections, -1, err) == -1)
            return -1;
        is_late = clock_ns() - s->asked_ns > LATE_NS;
    }
    if (is_late && c->most < SLOTS)
        c->most++;
    if (r == -1) {
        error_set(err, 0, "%s: cannot read at disk offset %" PRIu64 ": %s",
                  c->connections.role, s->disk_offset,
                  nbd_connections_cause(&c->connections, s->nbd));
        c->is_refused =
            nbd_aio_is_dead(s->nbd) != 1 && nbd_aio_is_closed(s->nbd) != 1;
        return -1;
    }
    c->taken++;
    return s->deliver(s->opaque, s->buf + s->before, s->length, s->disk_offset,
                      err);
}

static int ask(struct nbd_client *c, uint64_t disk_offset, size_t length,
               nbd_client_deliver *deliver, void *opaque, struct error *err)
{
    struct slot *s = &c->slots[c->asked % SLOTS];
    const struct nbd_connections *all = &c->connections;
    size_t n_for_data = all->count - all->first_for_data;
    uint64_t from = IO_ROUND_DOWN(disk_offset, all->block);
    uint64_t end =
        io_min(IO_ROUND_UP(disk_offset + length, all->block), all->size);

    if (s->buf == NULL)
        s->buf = io_alloc_aligned(c->piece + 2 * NBD_LARGEST_BLOCK);
    if (s->buf == NULL)
        return error_set(err, errno, "no memory for NBD requests");
    s->nbd = all->list[all->first_for_data + c->asked % n_for_data];
    s->disk_offset = disk_offset;
    s->length = length;
    s->before = disk_offset - from;
    s->asked_ns = clock_ns();
    s->deliver = deliver;
    s->opaque = opaque;
    s->cookie = nbd_aio_pread(s->nbd, s->buf, end - from, from,
                              NBD_NULL_COMPLETION, 0);
    if (s->cookie == -1)
        return error_set(err, 0,
                         "%s: cannot read at disk offset %" PRIu64 ": %s",
                         c->connections.role, disk_offset,
                         nbd_connections_cause(&c->connections, s->nbd));
    c->asked++;
    return 0;
}

int nbd_client_read(struct nbd_client *c, uint64_t disk_offset,
                    uint64_t length, nbd_client_deliver *deliver, void *opaque,
                    struct error *err)
{
    while (length > 0) {
        uint64_t n = io_min(length, c->piece - disk_offset % c->piece);

        if (c->asked - c->taken >= c->most && deliver_oldest(c, err) == -1)
            return -1;
        if (ask(c, disk_offset, n, deliver, opaque, err) == -1) {
            struct error last = *err;

            /* One that is in flight may have been the first to fail. */
            if (nbd_client_finish(c, err) == 0)
                *err = last;
            return -1;
        }
        disk_offset += n;
        length -= n;
    }
    return 0;
}

uint64_t nbd_client_count(const struct nbd_client *c)
{
    return c->asked;
}

int nbd_client_finish_first(struct nbd_client *c, uint64_t count,
                            struct error *err)
{
    while (c->taken < count)
        if (deliver_oldest(c, err) == -1)
            return -1;
    return 0;
}

int nbd_client_finish(struct nbd_client *c, struct error *err)
{
    return nbd_client_finish_first(c, c->asked, err);
}

bool nbd_client_is_refused(const struct nbd_client *c, uint64_t *disk_offset)
{
    *disk_offset = c->slots[c->taken % SLOTS].disk_offset;
    return c->is_refused;
}

void nbd_client_version(char version[LIBNBD_VERSION_SPACE])
{
    struct nbd_handle *nbd = nbd_create();
    const char *text = nbd == NULL ? NULL : nbd_get_version(nbd);

    snprintf(version, LIBNBD_VERSION_SPACE, "%s", text == NULL ? "" : text);
    nbd_close(nbd);
}
