/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Connections to one export of an NBD server, and the wait for it (libnbd). */

/* Notes on the design
 *
 * With structured replies qemu-nbd hangs up when it cannot read; without it
 * tells which request that was.  But block status needs them.  So the first
 * connection to a server that is not ours has them, if it is to tell that, and
 * is the only one for data where the server allows no other; and it is kept to
 * the end, as some servers end with their first client.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/stall.h"
#include "nbd/bitmap.h"
#include "nbd/connections.h"
#include "nbd/tls.h"

#include <errno.h>
#include <inttypes.h>
#include <libnbd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* How long more connections are waited for: each try ends as soon as anything
 * happens on one of them.
 */
enum { MORE_TRIES = 100, MORE_MS = 10 };

/* What libnbd says of its last failure, without the names of its functions
 * that it begins with ("nbd_pread: ").
 */
const char *nbd_cause(void)
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

const char *nbd_connections_loss(const struct nbd_connections *c,
                                 struct nbd_handle *nbd)
{
    if (!nbd_connections_is_lost(nbd))
        return NULL;
    return c->loss[0] == '\0' ? "the server closed the connection" : c->loss;
}

const char *nbd_connections_cause(const struct nbd_connections *c,
                                  struct nbd_handle *nbd)
{
    const char *loss = nbd_connections_loss(c, nbd);

    return loss != NULL ? loss : nbd_cause();
}

static int nbd_failed(const struct nbd_connections *c, struct error *err,
                      const char *what)
{
    return error_set(err, 0, "%s: %s: %s", c->role, what, nbd_cause());
}

/* As much as a connection has to say.  What is wrong with it is found by doing
 * what it wanted.
 */
static void serve_connection(struct nbd_connections *c, struct nbd_handle *nbd,
                             const struct pollfd *fd)
{
    int r;

    if (fd->revents == 0)
        return;
    io_moved();
    if (fd->revents & POLLIN || !(fd->events & POLLOUT))
        r = nbd_aio_notify_read(nbd);
    else
        r = nbd_aio_notify_write(nbd);
    if (r == -1)
        snprintf(c->loss, sizeof c->loss, "%s", nbd_cause());
}

int nbd_connections_wait(struct nbd_connections *c, int timeout_ms,
                         struct error *err)
{
    struct pollfd fds[NBD_CONNECTIONS + 3] = {{0}};
    struct pollfd *cancel = &fds[c->count];
    struct pollfd *watched = cancel + 1, *wake = cancel + 2;

    for (size_t i = 0; i < c->count; i++) {
        unsigned direction = nbd_aio_get_direction(c->list[i]);

        fds[i].fd = direction == 0 ? -1 : nbd_aio_get_fd(c->list[i]);
        if (direction & LIBNBD_AIO_DIRECTION_READ)
            fds[i].events |= POLLIN;
        if (direction & LIBNBD_AIO_DIRECTION_WRITE)
            fds[i].events |= POLLOUT;
    }
    *cancel = (struct pollfd){.fd = c->cancel_fd, .events = POLLIN};
    *wake = (struct pollfd){.fd = c->wake_fd, .events = POLLIN};
    STALL_WAIT_FOR(STALL_PEER, c->is_ours ? "qemu-nbd" : c->server);
    *watched =
        (struct pollfd){.fd = c->watch.report == NULL ? -1 : c->watch.fd,
                        .events = c->watch.events};
    if (io_poll(fds, c->count + 3, timeout_ms) == -1)
        return error_set(err, errno, "%s: NBD", c->role);
    if (cancel->revents != 0)
        return error_set(err, ECANCELED, "%s: NBD", c->role);
    if (watched->revents != 0)
        return c->watch.report(c->watch.opaque, c->role, err);
    for (size_t i = 0; i < c->count; i++)
        serve_connection(c, c->list[i], &fds[i]);
    return 0;
}

static int connecting_failed(const struct nbd_connections *c,
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

/* What a connection is to have besides the export. */
static int set_up(struct nbd_handle *nbd, const struct nbd_address *address,
                  bool is_structured)
{
    if (!is_structured)
        return nbd_set_request_structured_replies(nbd, false);
    if (address->bitmap != NULL)
        return nbd_bitmap_prepare(nbd);
    return nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION);
}

/* Adds a connection, and begins to connect it. */
static int add_connection(struct nbd_connections *c,
                          const struct nbd_address *address,
                          bool is_structured, struct error *err)
{
    struct nbd_handle *nbd = nbd_create();

    if (nbd != NULL)
        c->list[c->count++] = nbd;
    if (nbd == NULL || set_up(nbd, address, is_structured) == -1) {
        cleanup_close_fd(&address->socket_fd);
        return nbd_failed(c, err, "NBD");
    }
    if (start_connecting(nbd, address) == -1)
        return connecting_failed(c, address, err);
    return 0;
}

static int connect_first(struct nbd_connections *c,
                         const struct nbd_address *address, bool is_structured,
                         struct error *err)
{
    if (add_connection(c, address, is_structured, err) == -1)
        return -1;
    while (nbd_aio_is_connecting(c->list[0]))
        if (nbd_connections_wait(c, -1, err) == -1)
            return -1;
    if (address->bitmap != NULL && nbd_bitmap_choose(c, address, err) == -1)
        return -1;
    if (!nbd_aio_is_ready(c->list[0]))
        return connecting_failed(c, address, err);
    return 0;
}

static bool is_any_connecting(const struct nbd_connections *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (nbd_aio_is_connecting(c->list[i]))
            return true;
    return false;
}

/* More of them, if the server likes that.  It can do without, and may have
 * room for some only, and let the others wait.
 */
static void connect_more(struct nbd_connections *c,
                         const struct nbd_address *address)
{
    size_t n_ready = 1;
    struct error ignored;

    if (nbd_can_multi_conn(c->list[0]) != 1)
        return;
    while (c->count < NBD_CONNECTIONS)
        if (add_connection(c, address, false, &ignored) == -1)
            break;
    for (int left = MORE_TRIES; left > 0 && is_any_connecting(c); left--)
        if (nbd_connections_wait(c, MORE_MS, &ignored) == -1)
            break;
    for (size_t i = 1; i < c->count; i++) {
        if (nbd_aio_is_ready(c->list[i]))
            c->list[n_ready++] = c->list[i];
        else
            nbd_close(c->list[i]);
    }
    c->count = n_ready;
    c->first_for_data = n_ready > 1 ? 1 : 0;
    /* Why one of those failed is not why a later one will be lost. */
    c->loss[0] = '\0';
}

/* What the server says of the export. */
static int read_limits(struct nbd_connections *c, struct error *err)
{
    struct nbd_handle *nbd = c->list[0];
    int64_t size = nbd_get_size(nbd);
    int64_t block = nbd_get_block_size(nbd, LIBNBD_SIZE_MINIMUM);
    int64_t preferred = nbd_get_block_size(nbd, LIBNBD_SIZE_PREFERRED);
    int64_t most = nbd_get_block_size(nbd, LIBNBD_SIZE_MAXIMUM);

    if (size == -1 && nbd_get_error() == NULL)
        return error_set(err, 0, "%s: NBD: no disk is as large as the export",
                         c->role);
    if (size == -1 || block == -1 || preferred == -1 || most == -1)
        return nbd_failed(c, err, "NBD");
    c->size = size;
    c->block = io_max(block, 1);
    c->preferred = io_max(preferred, c->block);
    c->most = most == 0 ? UINT64_MAX : io_max(most, c->block);
    if (!io_is_power_of_two(c->block) || c->block > NBD_LARGEST_BLOCK ||
        c->size % c->block != 0)
        return error_set(err, 0,
                         "%s: NBD: the export has %" PRIu64
                         " bytes, in blocks of %" PRIu64,
                         c->role, c->size, c->block);
    return 0;
}

int nbd_connections_open(struct nbd_connections *c,
                         const struct nbd_address *address, bool is_structured,
                         struct error *err)
{
    c->role = address->role;
    snprintf(c->server, sizeof c->server, "the NBD server of the %s", c->role);
    c->is_ours = address->socket_fd != -1;
    c->watch = address->watch;
    if (address->uri != NULL &&
        nbd_tls_check(address->role, address->uri, err) == -1)
        return -1;
    if (connect_first(c, address, is_structured, err) == -1 ||
        read_limits(c, err) == -1)
        return -1;
    if (!c->is_ours)
        connect_more(c, address);
    return 0;
}

/* As much as the kernel lets anybody have: that is less. */
enum { ROOM = 1 << 20 };

void nbd_connections_widen(struct nbd_connections *c)
{
    for (size_t i = 0; i < c->count; i++) {
        int fd = nbd_aio_get_fd(c->list[i]), domain = AF_UNSPEC, room = ROOM;
        socklen_t length = sizeof domain;

        if (fd != -1 &&
            getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 &&
            domain == AF_UNIX)
            setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    }
}

bool nbd_connections_is_lost(struct nbd_handle *nbd)
{
    return nbd_aio_is_dead(nbd) == 1 || nbd_aio_is_closed(nbd) == 1;
}

void nbd_connections_sent(struct nbd_connections *c,
                          struct nbd_handle *connection)
{
    if (c->loss[0] == '\0' && nbd_connections_is_lost(connection))
        snprintf(c->loss, sizeof c->loss, "%s", nbd_cause());
}

void nbd_connections_close(struct nbd_connections *c)
{
    for (size_t i = 0; i < c->count; i++)
        nbd_close(c->list[i]);
    c->count = 0;
}
