/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads from an NBD server, with several requests in flight (libnbd). */

#include "config.h"

#include "cleanup.h"
#include "io.h"
#include "nbd-client.h"

#include <errno.h>
#include <inttypes.h>
#include <libnbd.h>
#include <poll.h>
#include <stdlib.h>

enum { SLOTS = 16 };

#define PIECE (UINT64_C(256) << 10)

/* A request in flight; cookie -1: none. */
struct slot {
    int64_t cookie;
    char *buf;
    uint64_t disk_offset;
    size_t length;
};

struct nbd_client {
    struct nbd_handle *nbd;
    int cancel_fd;
    struct slot slots[SLOTS];
};

/* libnbd begins its messages with the function's name. */
static int nbd_failed(struct error *err, const char *what)
{
    return error_set(err, 0, "QEMU: %s: %s", what, nbd_get_error());
}

static int allocate(struct nbd_client *c, struct error *err)
{
    for (size_t i = 0; i < SLOTS; i++) {
        c->slots[i].cookie = -1;
        c->slots[i].buf = io_alloc_aligned(PIECE);
        if (c->slots[i].buf == NULL)
            return error_set(err, errno, "no memory for NBD requests");
    }
    c->nbd = nbd_create();
    if (c->nbd == NULL)
        return nbd_failed(err, "NBD");
    /* With structured replies qemu-nbd hangs up when it cannot read; without
     * it tells which request that was.
     */
    if (nbd_set_request_structured_replies(c->nbd, false) == -1)
        return nbd_failed(err, "NBD");
    return 0;
}

/* Lets libnbd do what the socket is ready for, and waits until it is. */
static int wait_for_socket(struct nbd_client *c, struct error *err)
{
    unsigned direction = nbd_aio_get_direction(c->nbd);
    short events = 0;

    if (direction & LIBNBD_AIO_DIRECTION_READ)
        events |= POLLIN;
    if (direction & LIBNBD_AIO_DIRECTION_WRITE)
        events |= POLLOUT;
    switch (io_wait(nbd_aio_get_fd(c->nbd), events, c->cancel_fd, -1)) {
    case -1:
        return error_set(err, errno, "QEMU: NBD");
    case 0:
        return error_set(err, ECANCELED, "QEMU: NBD");
    default:
        break;
    }
    if (direction & LIBNBD_AIO_DIRECTION_READ) {
        if (nbd_aio_notify_read(c->nbd) == -1)
            return nbd_failed(err, "NBD");
    } else if (nbd_aio_notify_write(c->nbd) == -1) {
        return nbd_failed(err, "NBD");
    }
    return 0;
}

static int negotiate(struct nbd_client *c, int socket_fd, struct error *err)
{
    if (nbd_aio_connect_socket(c->nbd, socket_fd) == -1)
        return nbd_failed(err, "cannot connect");
    while (nbd_aio_is_connecting(c->nbd))
        if (wait_for_socket(c, err) == -1)
            return -1;
    if (!nbd_aio_is_ready(c->nbd))
        return nbd_failed(err, "cannot connect");
    return 0;
}

int nbd_client_open(int socket_fd, int cancel_fd, struct nbd_client **client,
                    struct error *err)
{
    int CLEANUP(close_fd) fd = socket_fd;
    struct nbd_client *c = calloc(1, sizeof *c);

    if (c == NULL)
        return error_set(err, errno, "no memory for an NBD client");
    c->cancel_fd = cancel_fd;
    if (allocate(c, err) == -1) {
        nbd_client_free(c);
        return -1;
    }
    if (negotiate(c, steal_fd(&fd), err) == -1) {
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
    nbd_close(c->nbd);
    for (size_t i = 0; i < SLOTS; i++)
        free(c->slots[i].buf);
    free(c);
}

/* Gives away what has been answered.  Returns how many slots are free. */
static int collect(struct nbd_client *c, nbd_client_take *take, void *opaque,
                   struct error *err)
{
    int n_free = 0;

    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *s = &c->slots[i];
        int r = 1;

        if (s->cookie != -1)
            r = nbd_aio_command_completed(c->nbd, s->cookie);
        if (r == -1)
            return error_set(err, 0,
                             "QEMU: cannot read at disk offset %" PRIu64
                             ": %s",
                             s->disk_offset, nbd_get_error());
        if (r == 0)
            continue;
        n_free++;
        if (s->cookie == -1)
            continue;
        s->cookie = -1;
        if (take(opaque, s->buf, s->length, s->disk_offset, err) == -1)
            return -1;
    }
    return n_free;
}

/* Waits until n slots are free. */
static int wait_for_slots(struct nbd_client *c, int n, nbd_client_take *take,
                          void *opaque, struct error *err)
{
    int n_free;

    while ((n_free = collect(c, take, opaque, err)) < n)
        if (n_free == -1 || wait_for_socket(c, err) == -1)
            return -1;
    return 0;
}

static int ask(struct nbd_client *c, uint64_t disk_offset, size_t length,
               struct error *err)
{
    struct slot *s = c->slots;

    while (s->cookie != -1)
        s++;
    s->disk_offset = disk_offset;
    s->length = length;
    s->cookie = nbd_aio_pread(c->nbd, s->buf, length, disk_offset,
                              NBD_NULL_COMPLETION, 0);
    if (s->cookie == -1)
        return nbd_failed(err, "cannot ask for data");
    return 0;
}

int nbd_client_read(struct nbd_client *c, uint64_t disk_offset,
                    uint64_t length, nbd_client_take *take, void *opaque,
                    struct error *err)
{
    while (length > 0) {
        uint64_t n = io_min(length, PIECE - disk_offset % PIECE);

        if (wait_for_slots(c, 1, take, opaque, err) == -1 ||
            ask(c, disk_offset, n, err) == -1)
            return -1;
        disk_offset += n;
        length -= n;
    }
    return 0;
}

int nbd_client_finish(struct nbd_client *c, nbd_client_take *take,
                      void *opaque, struct error *err)
{
    return wait_for_slots(c, SLOTS, take, opaque, err);
}
