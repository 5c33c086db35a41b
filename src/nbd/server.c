/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The bridge: shows QEMU a file of ours over one end of a socketpair. */

/* Notes on the design
 *
 * QEMU is the client of a server that trusts nothing it says.  One server
 * has one client, one export without a name and one thread, and handles a
 * request before it reads the next: QEMU's own requests are few, and where
 * writes are in flight together it allocates clusters out of order.
 *
 * Of the protocol (the NBD project's doc/proto.md) there is what QEMU needs:
 * fixed newstyle negotiation with NBD_OPT_GO, NBD_OPT_INFO and
 * NBD_OPT_ABORT, every other option refused; simple replies; READ, WRITE,
 * WRITE_ZEROES, TRIM, FLUSH and DISC.  A block size of 1 is advertised, so
 * that QEMU reads exactly the bytes it means, never those around them: on
 * import a byte too many would be a fault, or a stream called truncated.
 *
 * Every length is checked before it is used.  A payload larger than the
 * limit is read and dropped and its request refused, so the stream stays in
 * step.  A client that breaks the protocol is cut off; QEMU then fails, and
 * its caller reports that.
 *
 * The connection is cut by shutdown(2): that ends the calls of both sides that
 * wait, and whoever else has the client's end.  A security module may deny it.
 * Then the thread closes its own end when it is done; and it is done when the
 * client's is closed, which has been reaped by then.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/signals.h"
#include "nbd/server.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define NBD_MAGIC UINT64_C(0x4e42444d41474943)     /* "NBDMAGIC" */
#define NBD_OPT_MAGIC UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define NBD_OPT_REPLY_MAGIC UINT64_C(0x0003e889045565a9)
#define NBD_REQUEST_MAGIC UINT32_C(0x25609513)
#define NBD_SIMPLE_REPLY_MAGIC UINT32_C(0x67446698)

enum {
    NBD_FLAG_FIXED_NEWSTYLE = 1 << 0,
    NBD_FLAG_NO_ZEROES = 1 << 1,

    NBD_OPT_EXPORT_NAME = 1,
    NBD_OPT_ABORT = 2,
    NBD_OPT_INFO = 6,
    NBD_OPT_GO = 7,

    NBD_REP_ACK = 1,
    NBD_REP_INFO = 3,

    NBD_INFO_EXPORT = 0,
    NBD_INFO_BLOCK_SIZE = 3,

    NBD_FLAG_HAS_FLAGS = 1 << 0,
    NBD_FLAG_READ_ONLY = 1 << 1,
    NBD_FLAG_SEND_FLUSH = 1 << 2,
    NBD_FLAG_SEND_TRIM = 1 << 5,
    NBD_FLAG_SEND_WRITE_ZEROES = 1 << 6,

    NBD_CMD_READ = 0,
    NBD_CMD_WRITE = 1,
    NBD_CMD_DISC = 2,
    NBD_CMD_FLUSH = 3,
    NBD_CMD_TRIM = 4,
    NBD_CMD_WRITE_ZEROES = 6,

    MAX_PAYLOAD = 32 << 20, /* what clients keep to, by the protocol */
    MAX_OPTION = 8 << 10,   /* a name may have 4096 bytes */
};

#define NBD_REP_ERR_UNSUP UINT32_C(0x80000001)
#define NBD_REP_ERR_INVALID UINT32_C(0x80000003)
#define NBD_REP_ERR_TOO_BIG UINT32_C(0x80000009)

#define PACKED __attribute__((packed))

struct PACKED nbd_greeting {
    uint64_t magic, opt_magic;
    uint16_t flags;
};

struct PACKED nbd_option {
    uint64_t magic;
    uint32_t option, length;
};

struct PACKED nbd_option_reply {
    uint64_t magic;
    uint32_t option, type, length;
};

struct PACKED nbd_info_export {
    uint16_t type;
    uint64_t size;
    uint16_t flags;
};

struct PACKED nbd_info_block_size {
    uint16_t type;
    uint32_t minimum, preferred, maximum;
};

struct PACKED nbd_request {
    uint32_t magic;
    uint16_t flags, type;
    uint64_t cookie, offset;
    uint32_t length;
};

struct PACKED nbd_reply {
    uint32_t magic, error;
    uint64_t cookie;
};

struct nbd_server {
    const struct nbd_export *export;
    pthread_t thread;
    int fd, client_fd;
    pthread_mutex_t hanging_up;
    atomic_int failure; /* errno of the first call that broke it; 0: none */
    char *buf; /* of MAX_PAYLOAD bytes; only touched pages cost memory */
};

/* A client that has left, and a signal, are no failure. */
static void note_failure(struct nbd_server *s)
{
    int none = 0;

    if (errno != EPIPE && errno != ECONNRESET && errno != EINTR)
        atomic_compare_exchange_strong(&s->failure, &none, errno);
}

/* The socket is blocking, and nbd_server_stop shuts it down under us: that
 * reads as its end.  These return false when there is no more to be had.
 */
static bool receive(struct nbd_server *s, void *buf, size_t length)
{
    ssize_t n = io_read_full(s->fd, buf, length);

    if (n == -1)
        note_failure(s);
    return n == (ssize_t)length;
}

static bool put(struct nbd_server *s, const void *buf, size_t length)
{
    if (io_write_full(s->fd, buf, length) == 0)
        return true;
    note_failure(s);
    return false;
}

static bool discard(struct nbd_server *s, uint64_t length)
{
    while (length > 0) {
        size_t n = io_min(length, MAX_PAYLOAD);

        if (!receive(s, s->buf, n))
            return false;
        length -= n;
    }
    return true;
}

static bool reply_option(struct nbd_server *s, uint32_t option, uint32_t type,
                         const void *data, size_t length)
{
    struct nbd_option_reply reply = {
        .magic = htobe64(NBD_OPT_REPLY_MAGIC),
        .option = htobe32(option),
        .type = htobe32(type),
        .length = htobe32(length),
    };

    return put(s, &reply, sizeof reply) && put(s, data, length);
}

/* The data of NBD_OPT_INFO and NBD_OPT_GO: a name and a list of what the
 * client wants to know.  It may ask for any export; there is one.
 */
static bool is_valid_info_request(const char *data, uint32_t length)
{
    uint32_t name_length;
    uint16_t n_infos;

    if (length < 6)
        return false;
    memcpy(&name_length, data, sizeof name_length);
    name_length = be32toh(name_length);
    if (name_length > length - 6)
        return false;
    memcpy(&n_infos, data + 4 + name_length, sizeof n_infos);
    return length - 6 - name_length == 2 * (uint32_t)be16toh(n_infos);
}

static bool reply_info(struct nbd_server *s, uint32_t option)
{
    uint16_t flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH;
    struct nbd_info_block_size block_size = {
        .type = htobe16(NBD_INFO_BLOCK_SIZE),
        .minimum = htobe32(1),
        .preferred = htobe32(4096),
        .maximum = htobe32(MAX_PAYLOAD),
    };
    struct nbd_info_export export;

    if (s->export->is_writable)
        flags |= NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES;
    else
        flags |= NBD_FLAG_READ_ONLY;
    export.type = htobe16(NBD_INFO_EXPORT);
    export.size = htobe64(s->export->size);
    export.flags = htobe16(flags);
    return reply_option(s, option, NBD_REP_INFO, &export, sizeof export) &&
           reply_option(s, option, NBD_REP_INFO, &block_size,
                        sizeof block_size) &&
           reply_option(s, option, NBD_REP_ACK, NULL, 0);
}

/* Returns true once the client may send requests. */
static bool negotiate(struct nbd_server *s)
{
    struct nbd_greeting greeting = {
        .magic = htobe64(NBD_MAGIC),
        .opt_magic = htobe64(NBD_OPT_MAGIC),
        .flags = htobe16(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES),
    };
    uint32_t client_flags;

    if (!put(s, &greeting, sizeof greeting) ||
        !receive(s, &client_flags, sizeof client_flags))
        return false;
    for (;;) {
        struct nbd_option header;
        uint32_t option, length;
        bool sent;

        if (!receive(s, &header, sizeof header) ||
            be64toh(header.magic) != NBD_OPT_MAGIC)
            return false;
        option = be32toh(header.option);
        length = be32toh(header.length);
        if (length > MAX_OPTION) {
            if (!discard(s, length))
                return false;
            sent = reply_option(s, option, NBD_REP_ERR_TOO_BIG, NULL, 0);
        } else if (!receive(s, s->buf, length)) {
            return false;
        } else if (option == NBD_OPT_EXPORT_NAME) {
            return false; /* it has no way to be refused */
        } else if (option == NBD_OPT_ABORT) {
            reply_option(s, option, NBD_REP_ACK, NULL, 0);
            return false;
        } else if (option != NBD_OPT_INFO && option != NBD_OPT_GO) {
            sent = reply_option(s, option, NBD_REP_ERR_UNSUP, NULL, 0);
        } else if (!is_valid_info_request(s->buf, length)) {
            sent = reply_option(s, option, NBD_REP_ERR_INVALID, NULL, 0);
        } else {
            sent = reply_info(s, option);
            if (option == NBD_OPT_GO)
                return sent;
        }
        if (!sent)
            return false;
    }
}

/* The errno values that NBD knows have the same numbers on Linux. */
static uint32_t nbd_errno(int errnum)
{
    switch (errnum) {
    case 0:
    case EPERM:
    case EIO:
    case ENOMEM:
    case EINVAL:
    case ENOSPC:
    case EOVERFLOW:
        return errnum;
    default:
        return EIO;
    }
}

/* The request's range and payload have been checked; the payload of a write
 * is in s->buf, where that of a read goes.
 */
static int execute(struct nbd_server *s, const struct nbd_request *request)
{
    const struct nbd_export *e = s->export;

    switch (request->type) {
    case NBD_CMD_READ:
        return e->read(e->opaque, s->buf, request->length, request->offset);
    case NBD_CMD_WRITE:
        return e->write(e->opaque, s->buf, request->length, request->offset);
    case NBD_CMD_TRIM:
    case NBD_CMD_WRITE_ZEROES:
        return e->zero(e->opaque, request->length, request->offset);
    default:
        return 0; /* NBD_CMD_FLUSH: nothing here outlives the process */
    }
}

/* What is wrong with the request before it is tried; 0 if nothing. */
static int check(const struct nbd_server *s, const struct nbd_request *request)
{
    bool is_write = false;

    switch (request->type) {
    case NBD_CMD_FLUSH:
        return 0;
    case NBD_CMD_READ:
        break;
    case NBD_CMD_WRITE:
    case NBD_CMD_TRIM:
    case NBD_CMD_WRITE_ZEROES:
        is_write = true;
        break;
    default:
        return EINVAL;
    }
    if (is_write && !s->export->is_writable)
        return EPERM;
    if (request->offset > s->export->size ||
        request->length > s->export->size - request->offset)
        return is_write ? ENOSPC : EINVAL;
    if (request->type == NBD_CMD_READ && request->length > MAX_PAYLOAD)
        return EOVERFLOW;
    return 0;
}

/* Handles one request; false ends the connection. */
static bool handle_request(struct nbd_server *s)
{
    struct nbd_request request;
    struct nbd_reply reply = {.magic = htobe32(NBD_SIMPLE_REPLY_MAGIC)};
    size_t payload = 0;
    int error;

    if (!receive(s, &request, sizeof request) ||
        be32toh(request.magic) != NBD_REQUEST_MAGIC)
        return false;
    reply.cookie = request.cookie;
    request.type = be16toh(request.type);
    request.offset = be64toh(request.offset);
    request.length = be32toh(request.length);
    if (request.type == NBD_CMD_DISC)
        return false;

    error = check(s, &request);
    if (request.type == NBD_CMD_WRITE) {
        if (request.length > MAX_PAYLOAD) {
            error = EOVERFLOW;
            if (!discard(s, request.length))
                return false;
        } else if (!receive(s, s->buf, request.length)) {
            return false;
        }
    }
    if (error == 0)
        error = execute(s, &request);
    if (error == 0 && request.type == NBD_CMD_READ)
        payload = request.length;
    reply.error = htobe32(nbd_errno(error));
    return put(s, &reply, sizeof reply) && put(s, s->buf, payload);
}

/* False: that cannot be done. */
static bool hang_up(struct nbd_server *s)
{
    LOCK_FOR_SCOPE(&s->hanging_up);
    return s->fd == -1 || shutdown(s->fd, SHUT_RDWR) == 0 || errno == ENOTCONN;
}

static void *serve(void *opaque)
{
    struct nbd_server *s = opaque;

    if (negotiate(s))
        while (handle_request(s))
            ;
    /* The client must not wait for an answer that will never come. */
    if (!hang_up(s)) {
        LOCK_FOR_SCOPE(&s->hanging_up);
        close(steal_fd(&s->fd));
    }
    return NULL;
}

static void server_free(struct nbd_server *s)
{
    cleanup_close_fd(&s->fd);
    cleanup_close_fd(&s->client_fd);
    pthread_mutex_destroy(&s->hanging_up);
    free(s->buf);
    free(s);
}

int nbd_server_start(const struct nbd_export *export,
                     struct nbd_server **server, int *client_fd,
                     struct error *err)
{
    struct nbd_server *s = calloc(1, sizeof *s);
    int fds[2], r;

    if (s == NULL)
        return error_set(err, errno, "no memory for the bridge");
    s->fd = s->client_fd = -1;
    pthread_mutex_init(&s->hanging_up, NULL);
    s->export = export;
    s->buf = malloc(MAX_PAYLOAD);
    if (s->buf == NULL ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == -1) {
        error_set(err, errno, "cannot set up the bridge to QEMU");
        server_free(s);
        return -1;
    }
    s->fd = fds[0];
    s->client_fd = fds[1];
    r = signals_create_thread(&s->thread, serve, s);
    if (r != 0) {
        error_set(err, r, "cannot start the bridge to QEMU");
        server_free(s);
        return -1;
    }
    *server = s;
    *client_fd = s->client_fd;
    return 0;
}

int nbd_server_check(const struct nbd_server *s, struct error *err)
{
    int failure = s == NULL ? 0 : atomic_load(&s->failure);

    if (failure == 0)
        return 0;
    return error_set(err, failure, "QEMU: the bridge to it has broken");
}

void nbd_server_stop(struct nbd_server *s)
{
    if (s == NULL)
        return;
    hang_up(s);
    close(steal_fd(&s->client_fd));
    pthread_join(s->thread, NULL);
    server_free(s);
}
