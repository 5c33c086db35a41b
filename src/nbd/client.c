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
#include "nbd/bitmap.h"
#include "nbd/block-status.h"
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
    const char *bitmap; /* the address' */
    uint64_t piece;     /* what is asked for at once */
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
    c->bitmap = address->bitmap;
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

int nbd_client_status(struct nbd_client *c, struct extents *data,
                      bool *is_known, struct error *err)
{
    static const struct nbd_status_query not_zero = {
        .context = LIBNBD_CONTEXT_BASE_ALLOCATION,
        .flag = LIBNBD_STATE_ZERO,
        .is_set = false,
    };
    uint64_t size = c->connections.size;

    *is_known =
        nbd_can_meta_context(c->connections.list[0], not_zero.context) == 1;
    if (!*is_known && size > 0)
        return extents_append(data, 0, size, err);
    if (nbd_connections_status(&c->connections, &not_zero, data, err) == -1)
        return -1;
    /* To say that all is data is what servers do that do not know. */
    *is_known = extents_total(data) < size || size == 0;
    return 0;
}

int nbd_client_dirty(struct nbd_client *c, struct extents *dirty,
                     struct error *err)
{
    return nbd_bitmap_read(&c->connections, c->bitmap, dirty, err);
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
    nbd_connections_sent(&c->connections, s->nbd);
    c->asked++;
    return 0;
}

/* A server may have fewer bytes than it should have.  libnbd clears the buffer
 * before it looks at that.
 */
static int check_range(const struct nbd_client *c, uint64_t disk_offset,
                       uint64_t length, struct error *err)
{
    uint64_t size = c->connections.size;

    if (disk_offset <= size && length <= size - disk_offset)
        return 0;
    return error_set(err, 0,
                     "%s: cannot read at disk offset %" PRIu64
                     ": the export has only %" PRIu64 " bytes",
                     c->connections.role, io_max(disk_offset, size), size);
}

int nbd_client_read(struct nbd_client *c, uint64_t disk_offset,
                    uint64_t length, nbd_client_deliver *deliver, void *opaque,
                    struct error *err)
{
    if (check_range(c, disk_offset, length, err) == -1)
        return -1;
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
