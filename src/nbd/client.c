/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Reads from an NBD server, with several requests in flight (libnbd). */

/* Notes on the design
 *
 * Requests are a ring: the oldest is given away first, so that what is read
 * can be sent as it comes.  They take turns on the connections.
 *
 * With structured replies qemu-nbd hangs up when it cannot read; without it
 * tells which request that was.  But block status needs them.  So the first
 * connection to a server that is not ours has them, and is the only one for
 * data where the server allows no other; and it is kept to the end, as some
 * servers end with their first client.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/stall.h"
#include "nbd/client.h"
#include "nbd/tls.h"

#include <errno.h>
#include <inttypes.h>
#include <libnbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 16, CONNECTIONS = 4 };

/* How long more connections are waited for: each try ends as soon as anything
 * happens on one of them.
 */
enum { MORE_TRIES = 100, MORE_MS = 10 };

#define PIECE (UINT64_C(256) << 10)
#define STATUS_PIECE (UINT64_C(1) << 30)
#define LARGEST_MINIMUM (UINT64_C(64) << 10) /* block size, in the protocol */

/* A request in flight. */
struct slot {
    struct nbd_handle *nbd;
    int64_t cookie;
    char *buf;
    uint64_t disk_offset;
    size_t length;
    size_t before; /* bytes in buf before those: whole blocks are read */
    nbd_client_deliver *deliver;
    void *opaque;
};

struct nbd_client {
    const char *role;
    int cancel_fd;
    bool is_ours; /* the server is a qemu-nbd that we started */
    struct nbd_watch watch;
    struct nbd_handle *connections[CONNECTIONS];
    size_t n_connections;
    size_t first_for_data; /* index into connections */
    uint64_t size;         /* of the export */
    uint64_t block;        /* what requests have to be multiples of ... */
    uint64_t piece;        /* ... and what is asked for at once */
    struct slot slots[SLOTS];
    uint64_t asked, taken; /* requests: taken is the oldest in flight */
    bool is_refused;       /* ... which has failed, and no more than that */
};

/* What libnbd says of its last failure, without the names of its functions
 * that it begins with ("nbd_pread: ").
 */
static const char *nbd_cause(void)
{
    const char *text = nbd_get_error();
    size_t name;

    if (text == NULL)
        return "no reason is known";
    while (strncmp(text, "nbd_", 4) == 0) {
        name = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
        if (strncmp(text + name, ": ", 2) != 0)
            break;
        text += name + 2;
    }
    return text;
}

static int nbd_failed(const struct nbd_client *c, struct error *err,
                      const char *what)
{
    return error_set(err, 0, "%s: %s: %s", c->role, what, nbd_cause());
}

/* Waits until a socket is ready for what libnbd wants, and lets it do that; or
 * timeout_ms (-1 for none).  A connection that was lost wants nothing.
 */
static int wait_for_sockets(struct nbd_client *c, int timeout_ms,
                            struct error *err)
{
    struct pollfd fds[CONNECTIONS + 2] = {{0}};
    struct pollfd *cancel = &fds[c->n_connections];
    struct pollfd *watched = cancel + 1;

    for (size_t i = 0; i < c->n_connections; i++) {
        unsigned direction = nbd_aio_get_direction(c->connections[i]);

        fds[i].fd = direction == 0 ? -1 : nbd_aio_get_fd(c->connections[i]);
        if (direction & LIBNBD_AIO_DIRECTION_READ)
            fds[i].events |= POLLIN;
        if (direction & LIBNBD_AIO_DIRECTION_WRITE)
            fds[i].events |= POLLOUT;
    }
    *cancel = (struct pollfd){.fd = c->cancel_fd, .events = POLLIN};
    STALL_WAIT_FOR(STALL_PEER, c->is_ours ? "qemu-nbd" : "the NBD server");
    *watched =
        (struct pollfd){.fd = c->watch.report == NULL ? -1 : c->watch.fd,
                        .events = c->watch.events};
    if (io_poll(fds, c->n_connections + 2, timeout_ms) == -1)
        return error_set(err, errno, "%s: NBD", c->role);
    if (cancel->revents != 0)
        return error_set(err, ECANCELED, "%s: NBD", c->role);
    if (watched->revents != 0)
        return c->watch.report(c->watch.opaque, c->role, err);
    for (size_t i = 0; i < c->n_connections; i++) {
        /* An error or a hang-up is found by doing what was wanted; what it
         * means is up to those whose request or connection it was.
         */
        if (fds[i].revents == 0)
            continue;
        io_moved();
        if (fds[i].revents & POLLIN || !(fds[i].events & POLLOUT))
            nbd_aio_notify_read(c->connections[i]);
        else
            nbd_aio_notify_write(c->connections[i]);
    }
    return 0;
}

static int connecting_failed(const struct nbd_client *c,
                             const struct nbd_address *address,
                             struct error *err)
{
    if (address->socket_fd != -1)
        return nbd_failed(c, err, "cannot connect");
    return error_set(err, 0, "%s: cannot connect to %s: %s", c->role,
                     address->uri != NULL ? address->uri
                                          : address->socket_path,
                     nbd_cause());
}

static int start_connecting(struct nbd_handle *nbd,
                            const struct nbd_address *address)
{
    if (address->socket_fd != -1)
        return nbd_aio_connect_socket(nbd, address->socket_fd);
    if (nbd_set_uri_allow_local_file(nbd, true) == -1)
        return -1;
    if (address->uri != NULL)
        return nbd_aio_connect_uri(nbd, address->uri);
    if (nbd_set_export_name(nbd, address->export_name) == -1)
        return -1;
    return nbd_aio_connect_unix(nbd, address->socket_path);
}

/* Adds a connection, and begins to connect it. */
static int add_connection(struct nbd_client *c,
                          const struct nbd_address *address,
                          bool is_structured, struct error *err)
{
    struct nbd_handle *nbd = nbd_create();

    if (nbd == NULL)
        return nbd_failed(c, err, "NBD");
    c->connections[c->n_connections++] = nbd;
    if (is_structured
            ? nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == -1
            : nbd_set_request_structured_replies(nbd, false) == -1)
        return nbd_failed(c, err, "NBD");
    if (start_connecting(nbd, address) == -1)
        return connecting_failed(c, address, err);
    return 0;
}

static int connect_first(struct nbd_client *c,
                         const struct nbd_address *address, bool is_structured,
                         struct error *err)
{
    if (add_connection(c, address, is_structured, err) == -1)
        return -1;
    while (nbd_aio_is_connecting(c->connections[0]))
        if (wait_for_sockets(c, -1, err) == -1)
            return -1;
    if (!nbd_aio_is_ready(c->connections[0]))
        return connecting_failed(c, address, err);
    return 0;
}

static bool is_any_connecting(const struct nbd_client *c)
{
    for (size_t i = 0; i < c->n_connections; i++)
        if (nbd_aio_is_connecting(c->connections[i]))
            return true;
    return false;
}

/* More of them, if the server likes that.  It can do without, and may have
 * room for some only, and let the others wait.
 */
static void connect_more(struct nbd_client *c,
                         const struct nbd_address *address)
{
    size_t n_ready = 1;
    struct error ignored;

    if (nbd_can_multi_conn(c->connections[0]) != 1)
        return;
    while (c->n_connections < CONNECTIONS)
        if (add_connection(c, address, false, &ignored) == -1)
            break;
    for (int left = MORE_TRIES; left > 0 && is_any_connecting(c); left--)
        if (wait_for_sockets(c, MORE_MS, &ignored) == -1)
            break;
    for (size_t i = 1; i < c->n_connections; i++) {
        if (nbd_aio_is_ready(c->connections[i]))
            c->connections[n_ready++] = c->connections[i];
        else
            nbd_close(c->connections[i]);
    }
    c->n_connections = n_ready;
    c->first_for_data = n_ready > 1 ? 1 : 0;
}

static int open_client(struct nbd_client *c, const struct nbd_address *address,
                       struct error *err)
{
    bool is_ours = address->socket_fd != -1;
    int64_t size, block, most;

    if (address->uri != NULL &&
        nbd_tls_check(address->role, address->uri, err) == -1)
        return -1;
    if (connect_first(c, address, !is_ours, err) == -1)
        return -1;
    size = nbd_get_size(c->connections[0]);
    block = nbd_get_block_size(c->connections[0], LIBNBD_SIZE_MINIMUM);
    most = nbd_get_block_size(c->connections[0], LIBNBD_SIZE_MAXIMUM);
    if (size == -1 || block == -1 || most == -1)
        return nbd_failed(c, err, "NBD");
    c->size = size;
    c->block = io_max(block, 1);
    c->piece = address->piece == 0 ? PIECE : address->piece;
    if (most != 0)
        c->piece = io_max(io_min(most, c->piece), c->block);
    if (c->block > LARGEST_MINIMUM || c->size % c->block != 0)
        return error_set(err, 0,
                         "%s: NBD: the export has %" PRIu64
                         " bytes, in blocks of %" PRIu64,
                         c->role, c->size, c->block);
    if (!is_ours)
        connect_more(c, address);
    return 0;
}

int nbd_client_open(const struct nbd_address *address, int cancel_fd,
                    struct nbd_client **client, struct error *err)
{
    struct nbd_client *c = calloc(1, sizeof *c);

    if (c == NULL) {
        cleanup_close_fd(&address->socket_fd);
        return error_set(err, errno, "no memory for an NBD client");
    }
    c->role = address->role;
    c->cancel_fd = cancel_fd;
    c->is_ours = address->socket_fd != -1;
    c->watch = address->watch;
    if (open_client(c, address, err) == -1) {
        nbd_client_free(c);
        return -1;
    }
    *client = c;
    return 0;
}

void nbd_client_free(struct nbd_client *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->n_connections; i++)
        nbd_close(c->connections[i]);
    for (size_t i = 0; i < SLOTS; i++)
        free(c->slots[i].buf);
    free(c);
}

uint64_t nbd_client_size(const struct nbd_client *c)
{
    return c->size;
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
    struct nbd_handle *nbd = c->connections[0];
    uint64_t from = a->disk_offset,
             length = io_min(c->size - from, STATUS_PIECE);
    int64_t cookie =
        nbd_aio_block_status(nbd, length, from,
                             (nbd_extent_callback){.callback = take_status,
                                                   .user_data = a},
                             NBD_NULL_COMPLETION, 0);
    int r = cookie == -1 ? -1 : 0;

    while (cookie != -1 && (r = nbd_aio_command_completed(nbd, cookie)) == 0)
        if (wait_for_sockets(c, -1, a->err) == -1)
            return -1;
    if (a->has_failed)
        return -1;
    if (r == -1)
        return error_set(a->err, 0,
                         "%s: no block status at disk offset %" PRIu64 ": %s",
                         c->role, from, nbd_cause());
    if (a->disk_offset == from)
        return error_set(a->err, 0,
                         "%s: empty block status at disk offset %" PRIu64,
                         c->role, from);
    return 0;
}

int nbd_client_status(struct nbd_client *c, struct extents *data,
                      bool *is_known, struct error *err)
{
    struct answer answer = {.data = data, .size = c->size, .err = err};
    bool has_zeroes;

    *is_known = nbd_can_meta_context(c->connections[0],
                                     LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
    if (!*is_known && c->size > 0)
        return extents_append(data, 0, c->size, err);
    while (answer.disk_offset < c->size)
        if (ask_status(c, &answer) == -1)
            return -1;
    /* To say that all is data is what servers do that do not know. */
    has_zeroes = extents_total(data) < c->size;
    *is_known = has_zeroes || c->size == 0;
    return 0;
}

/* Waits for the oldest request and gives it away. */
static int deliver_oldest(struct nbd_client *c, struct error *err)
{
    struct slot *s = &c->slots[c->taken % SLOTS];
    int r;

    while ((r = nbd_aio_command_completed(s->nbd, s->cookie)) == 0)
        if (wait_for_sockets(c, -1, err) == -1)
            return -1;
    if (r == -1) {
        error_set(err, 0, "%s: cannot read at disk offset %" PRIu64 ": %s",
                  c->role, s->disk_offset, nbd_cause());
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
    size_t n_for_data = c->n_connections - c->first_for_data;
    uint64_t from = IO_ROUND_DOWN(disk_offset, c->block);
    uint64_t end =
        io_min(IO_ROUND_UP(disk_offset + length, c->block), c->size);

    if (s->buf == NULL)
        s->buf = io_alloc_aligned(c->piece + 2 * LARGEST_MINIMUM);
    if (s->buf == NULL)
        return error_set(err, errno, "no memory for NBD requests");
    s->nbd = c->connections[c->first_for_data + c->asked % n_for_data];
    s->disk_offset = disk_offset;
    s->length = length;
    s->before = disk_offset - from;
    s->deliver = deliver;
    s->opaque = opaque;
    s->cookie = nbd_aio_pread(s->nbd, s->buf, end - from, from,
                              NBD_NULL_COMPLETION, 0);
    if (s->cookie == -1)
        return error_set(err, 0,
                         "%s: cannot read at disk offset %" PRIu64 ": %s",
                         c->role, disk_offset, nbd_cause());
    c->asked++;
    return 0;
}

int nbd_client_read(struct nbd_client *c, uint64_t disk_offset,
                    uint64_t length, nbd_client_deliver *deliver, void *opaque,
                    struct error *err)
{
    while (length > 0) {
        uint64_t n = io_min(length, c->piece - disk_offset % c->piece);

        if (c->asked - c->taken == SLOTS && deliver_oldest(c, err) == -1)
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

int nbd_client_finish(struct nbd_client *c, struct error *err)
{
    while (c->taken < c->asked)
        if (deliver_oldest(c, err) == -1)
            return -1;
    return 0;
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
