/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* An NBD server that can be told what to do wrong. */

#ifndef QT_NBD_PEER_H
#define QT_NBD_PEER_H

#include "base/io.h"
#include "nbd-wire.h"
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Flags of an export. */
enum {
    PEER_HAS_FLAGS = 1 << 0,
    PEER_READ_ONLY = 1 << 1,
    PEER_FLUSH = 1 << 2,
    PEER_FUA = 1 << 3,
    PEER_TRIM = 1 << 5,
    PEER_ZERO = 1 << 6,
    PEER_MULTI = 1 << 8,
    PEER_FAST_ZERO = 1 << 11,
};

enum { PEER_CONNECTIONS = 8, PEER_PENDING = 32, PEER_STATUSES = 8 };

/* What it has at each offset of its disk. */
static inline unsigned char peer_byte(uint64_t disk_offset)
{
    return (unsigned char)(disk_offset * UINT64_C(0x9e3779b97f4a7c15) >> 56);
}

static inline void peer_fill(void *buf, uint64_t disk_offset, size_t length)
{
    unsigned char *p = buf;

    for (size_t i = 0; i < length; i++)
        p[i] = peer_byte(disk_offset + i);
}

/* Flags of a request. */
enum {
    PEER_FLAG_FUA = 1 << 0,
    PEER_FLAG_NO_HOLE = 1 << 1,
    PEER_FLAG_FAST = 1 << 4,
};

struct peer_request {
    uint16_t flags, type;
    uint64_t cookie, offset;
    uint32_t length;
    unsigned char *data; /* that is to be written */
};

struct peer_connection {
    struct peer *peer;
    pthread_t thread;
    int fd;
    bool is_structured;
};

/* The first part is set before peer_open. */
struct peer {
    uint64_t size;
    bool is_structured;     /* it has structured replies ... */
    bool has_status;        /* ... and with them, block status ... */
    const char *context;    /* ... of this; NULL: base:allocation */
    bool is_listless;       /* it does not list what it has status of */
    bool is_multi;          /* it may be asked over several connections */
    unsigned most_accepted; /* connections; it hangs up on others; 0: any */
    uint32_t block_minimum; /* 0: nothing is said of blocks */
    uint32_t block_maximum;
    const char *greeting;  /* instead of NBD's */
    bool is_silent;        /* it does not answer requests */
    bool is_reversing;     /* it answers the last request first */
    uint64_t bad_from;     /* reads past here fail; 0: none */
    uint64_t hang_up_from; /* at reads past here it hangs up; 0: none */

    /* What can be written, and is read then; NULL: it is read-only.  Writes
     * past bad_from fail, and at those past hang_up_from it hangs up.
     */
    unsigned char *disk;
    uint16_t flags;    /* of the export, besides those that others say */
    bool is_slow_zero; /* it refuses to zero fast */

    /* Pairs of a length and flags: the answer to each question for block
     * status.  If there are none it fails if is_status_bad, and hangs up if
     * not.
     */
    uint32_t statuses[2 * PEER_STATUSES];
    size_t n_statuses; /* pairs */
    bool is_status_bad;

    /* What it has seen. */
    atomic_uint accepted, structured_reads, simple_reads, questions;
    atomic_uint bad_reads;    /* that were no multiples, or too long */
    atomic_uint most_pending; /* that it had not answered, of a connection */
    atomic_uint writes, zeroings, trims, flushes, written_through, kept_space;

    char path[300]; /* of its socket */
    int listening;
    pthread_t thread;
    struct peer_connection connections[PEER_CONNECTIONS];
    unsigned n_connections;
};

/* ---------------------------------------------------------- negotiation */

static inline bool peer_reply(int fd, uint32_t option, uint32_t type,
                              const void *data, uint32_t length)
{
    unsigned char header[20];

    put32(put32(put32(put64(header, OPTION_REPLY_MAGIC), option), type),
          length);
    return io_write_full(fd, header, sizeof header) == 0 &&
           io_write_full(fd, data, length) == 0;
}

static inline bool peer_tell_infos(const struct peer *p, int fd,
                                   uint32_t option)
{
    unsigned char export[12], block[14];
    uint16_t flags = PEER_HAS_FLAGS | p->flags;

    if (p->disk == NULL)
        flags |= PEER_READ_ONLY;
    if (p->is_multi)
        flags |= PEER_MULTI;
    put16(put64(put16(export, 0), p->size), flags);
    put32(put32(put32(put16(block, 3), p->block_minimum),
                io_max(p->block_minimum, 512)),
          p->block_maximum);
    return peer_reply(fd, option, REP_INFO, export, sizeof export) &&
           (p->block_minimum == 0 ||
            peer_reply(fd, option, REP_INFO, block, sizeof block)) &&
           peer_reply(fd, option, REP_ACK, NULL, 0);
}

/* Returns false if no requests are going to come. */
static inline bool peer_negotiate(struct peer_connection *c)
{
    const struct peer *p = c->peer;
    const char *greeting =
        p->greeting != NULL ? p->greeting : "NBDMAGICIHAVEOPT\0\3";
    const char *name = p->context == NULL ? "base:allocation" : p->context;
    unsigned char buf[4096], context[100] = {0, 0, 0, 42};

    memcpy(context + 4, name, strlen(name));
    if (io_write_full(c->fd, greeting, 18) == -1 ||
        io_read_full(c->fd, buf, 4) != 4)
        return false;
    for (;;) {
        uint32_t option, length;

        if (io_read_full(c->fd, buf, 16) != 16)
            return false;
        option = get(buf + 8, 4);
        length = get(buf + 12, 4);
        if (memcmp(buf, OPTION_MAGIC, 8) != 0 || length > sizeof buf ||
            io_read_full(c->fd, buf, length) != (ssize_t)length)
            return false;
        if (option == OPT_GO)
            return peer_tell_infos(p, c->fd, option);
        if (option == OPT_STRUCTURED_REPLY && p->is_structured) {
            c->is_structured = true;
            peer_reply(c->fd, option, REP_ACK, NULL, 0);
        } else if ((option == OPT_SET_META_CONTEXT ||
                    (option == OPT_LIST_META_CONTEXT && !p->is_listless)) &&
                   c->is_structured) {
            if (p->has_status)
                peer_reply(c->fd, option, REP_META_CONTEXT, context,
                           4 + strlen(name));
            peer_reply(c->fd, option, REP_ACK, NULL, 0);
        } else {
            peer_reply(c->fd, option,
                       option == OPT_ABORT ? REP_ACK : REP_ERR_UNSUP, NULL, 0);
        }
    }
}

/* ------------------------------------------------------------- requests */

static inline bool peer_send_chunk(int fd, uint16_t type, uint64_t cookie,
                                   const void *payload, uint32_t length)
{
    unsigned char header[20];

    put32(put64(put16(put16(put32(header, CHUNK_MAGIC), CHUNK_IS_LAST), type),
                cookie),
          length);
    return io_write_full(fd, header, sizeof header) == 0 &&
           io_write_full(fd, payload, length) == 0;
}

static inline bool peer_fail_with(const struct peer_connection *c,
                                  const struct peer_request *r, uint32_t error)
{
    unsigned char payload[6], reply[16];

    put16(put32(payload, error), 0);
    put64(put32(put32(reply, SIMPLE_REPLY_MAGIC), error), r->cookie);
    return c->is_structured
               ? peer_send_chunk(c->fd, CHUNK_ERROR, r->cookie, payload, 6)
               : io_write_full(c->fd, reply, sizeof reply) == 0;
}

static inline bool peer_fail(const struct peer_connection *c,
                             const struct peer_request *r)
{
    return peer_fail_with(c, r, NBD_EIO);
}

static inline bool peer_read(struct peer_connection *c,
                             const struct peer_request *r)
{
    struct peer *p = c->peer;
    unsigned char *buf, reply[16];
    bool is_sent;

    (*(c->is_structured ? &p->structured_reads : &p->simple_reads))++;
    if (p->block_minimum != 0 &&
        (r->offset % p->block_minimum != 0 || r->length > p->block_maximum ||
         (r->length % p->block_minimum != 0 &&
          r->offset + r->length != p->size)))
        p->bad_reads++;
    if (p->hang_up_from != 0 && r->offset + r->length > p->hang_up_from)
        return false;
    if ((p->bad_from != 0 && r->offset + r->length > p->bad_from) ||
        r->offset + r->length > p->size)
        return peer_fail(c, r);
    buf = malloc(8 + r->length);
    test_require(buf != NULL, "malloc");
    put64(buf, r->offset);
    if (p->disk == NULL)
        peer_fill(buf + 8, r->offset, r->length);
    else
        memcpy(buf + 8, p->disk + r->offset, r->length);
    put64(put32(put32(reply, SIMPLE_REPLY_MAGIC), 0), r->cookie);
    is_sent =
        c->is_structured
            ? peer_send_chunk(c->fd, CHUNK_DATA, r->cookie, buf, 8 + r->length)
            : io_write_full(c->fd, reply, sizeof reply) == 0 &&
                  io_write_full(c->fd, buf + 8, r->length) == 0;
    free(buf);
    return is_sent;
}

static inline bool peer_tell_status(struct peer_connection *c,
                                    const struct peer_request *r)
{
    struct peer *p = c->peer;
    unsigned char payload[4 + sizeof p->statuses], *end;

    p->questions++;
    if (p->n_statuses == 0)
        return p->is_status_bad && peer_fail(c, r);
    end = put32(payload, 42); /* the context */
    for (size_t i = 0; i < 2 * p->n_statuses; i += 2)
        end = put32(put32(end, p->statuses[i]), p->statuses[i + 1]);
    return peer_send_chunk(c->fd, CHUNK_STATUS, r->cookie, payload,
                           end - payload);
}

/* All that changes something, and flushing. */
static inline bool peer_change(struct peer_connection *c,
                               const struct peer_request *r)
{
    struct peer *p = c->peer;
    unsigned char reply[16];
    uint64_t end = r->offset + r->length;

    if (r->flags & PEER_FLAG_FUA)
        p->written_through++;
    if (r->flags & PEER_FLAG_NO_HOLE)
        p->kept_space++;
    if (r->type == CMD_FLUSH)
        p->flushes++;
    if (p->block_minimum != 0 && (r->offset % p->block_minimum != 0 ||
                                  r->length % p->block_minimum != 0))
        p->bad_reads++;
    if (p->hang_up_from != 0 && end > p->hang_up_from)
        return false;
    if ((p->bad_from != 0 && end > p->bad_from) || end > p->size)
        return peer_fail_with(c, r, NBD_ENOSPC);
    if (p->is_slow_zero && r->flags & PEER_FLAG_FAST)
        return peer_fail_with(c, r, NBD_ENOTSUP);
    if (r->type == CMD_WRITE)
        memcpy(p->disk + r->offset, r->data, r->length);
    else if (r->type == CMD_WRITE_ZEROES || r->type == CMD_TRIM)
        memset(p->disk + r->offset, 0, r->length);
    p->writes += r->type == CMD_WRITE;
    p->zeroings += r->type == CMD_WRITE_ZEROES;
    p->trims += r->type == CMD_TRIM;
    put64(put32(put32(reply, SIMPLE_REPLY_MAGIC), 0), r->cookie);
    return c->is_structured ? peer_send_chunk(c->fd, 0, r->cookie, NULL, 0)
                            : io_write_full(c->fd, reply, sizeof reply) == 0;
}

static inline bool peer_answer(struct peer_connection *c,
                               const struct peer_request *r)
{
    if (r->type == CMD_READ)
        return peer_read(c, r);
    if (r->type == CMD_BLOCK_STATUS)
        return peer_tell_status(c, r);
    return c->peer->disk != NULL && r->type != CMD_DISC && peer_change(c, r);
}

/* Takes what is to be written, too. */
static inline bool peer_take(struct peer_connection *c, struct peer_request *r)
{
    unsigned char buf[28];

    if (io_read_full(c->fd, buf, sizeof buf) != sizeof buf)
        return false;
    *r = (struct peer_request){get(buf + 4, 2),  get(buf + 6, 2),
                               get(buf + 8, 8),  get(buf + 16, 8),
                               get(buf + 24, 4), NULL};
    if (r->type != CMD_WRITE)
        return true;
    r->data = malloc(r->length);
    test_require(r->data != NULL, "malloc");
    if (io_read_full(c->fd, r->data, r->length) == (ssize_t)r->length)
        return true;
    free(r->data);
    return false;
}

static inline void *peer_serve(void *opaque)
{
    struct peer_connection *c = opaque;
    struct peer_request pending[PEER_PENDING];
    bool is_open = peer_negotiate(c);
    size_t n = 0;

    while (is_open && peer_take(c, &pending[n])) {
        struct pollfd more = {.fd = c->fd, .events = POLLIN};

        n++;
        if (n > c->peer->most_pending)
            c->peer->most_pending = n;
        if (c->peer->is_silent || (c->peer->is_reversing && n < PEER_PENDING &&
                                   poll(&more, 1, 5) == 1)) {
            n %= PEER_PENDING;
            continue;
        }
        while (is_open && n > 0) {
            is_open = peer_answer(c, &pending[--n]);
            free(pending[n].data);
        }
    }
    while (n > 0)
        free(pending[--n].data);
    shutdown(c->fd, SHUT_RDWR);
    return NULL;
}

static inline void *peer_accept(void *opaque)
{
    struct peer *p = opaque;
    int fd;

    while ((fd = accept4(p->listening, NULL, NULL, SOCK_CLOEXEC)) != -1) {
        struct peer_connection *c = &p->connections[p->n_connections];

        p->accepted++;
        if (p->most_accepted != 0 && p->accepted > p->most_accepted) {
            close(fd);
            continue;
        }
        test_require(p->n_connections < PEER_CONNECTIONS, "connections");
        *c = (struct peer_connection){.peer = p, .fd = fd};
        pthread_create(&c->thread, NULL, peer_serve, c);
        p->n_connections++;
    }
    return NULL;
}

static inline void peer_open(struct peer *p)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(p->path, sizeof p->path, "%s/socket", test_dir());
    test_require(strlen(p->path) < sizeof address.sun_path, "TMPDIR");
    strcpy(address.sun_path, p->path);
    p->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    test_require(p->listening != -1 &&
                     bind(p->listening, (struct sockaddr *)&address,
                          sizeof address) == 0 &&
                     listen(p->listening, PEER_CONNECTIONS) == 0,
                 p->path);
    pthread_create(&p->thread, NULL, peer_accept, p);
}

/* Hangs up on all. */
static inline void peer_close(struct peer *p)
{
    shutdown(p->listening, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    for (unsigned i = 0; i < p->n_connections; i++) {
        shutdown(p->connections[i].fd, SHUT_RDWR);
        pthread_join(p->connections[i].thread, NULL);
        close(p->connections[i].fd);
    }
    close(p->listening);
    unlink(p->path);
}

#endif
