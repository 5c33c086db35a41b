/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A client that speaks NBD byte by byte, and the disk that it is shown. */

#ifndef QT_BRIDGE_CLIENT_H
#define QT_BRIDGE_CLIENT_H

#include "base/io.h"
#include "nbd-wire.h"
#include "nbd/server.h"
#include "test.h"

#include <sys/socket.h>

enum { DISK_SIZE = (40 << 20) + 1234 };

/* How much is sent and received at a time.  For each read and write of what
 * is large, valgrind looks at all of the memory that is left: little at a time
 * takes minutes.
 */
enum { CLIENT_PIECE = 4 << 20 };

/* What the server shows. */
struct disk {
    unsigned char *bytes; /* DISK_SIZE of them */
    int fails_with;       /* errno value for all that is done to it, or 0 */
    unsigned reads, writes, zeroes;
};

static inline int disk_read(void *opaque, void *buf, uint32_t length,
                            uint64_t file_offset)
{
    struct disk *disk = opaque;

    disk->reads++;
    memcpy(buf, disk->bytes + file_offset, length);
    return disk->fails_with;
}

static inline int disk_write(void *opaque, const void *buf, uint32_t length,
                             uint64_t file_offset)
{
    struct disk *disk = opaque;

    disk->writes++;
    if (disk->fails_with == 0)
        memcpy(disk->bytes + file_offset, buf, length);
    return disk->fails_with;
}

static inline int disk_zero(void *opaque, uint32_t length,
                            uint64_t file_offset)
{
    struct disk *disk = opaque;

    disk->zeroes++;
    if (disk->fails_with == 0)
        memset(disk->bytes + file_offset, 0, length);
    return disk->fails_with;
}

struct client {
    struct disk disk;
    struct nbd_export export;
    struct nbd_server *server;
    int fd;
};

static inline void client_open(struct client *c, bool is_writable)
{
    int sndbuf = CLIENT_PIECE; /* not that large if not for root */
    struct error err;

    *c = (struct client){.fd = -1};
    c->disk.bytes = calloc(1, DISK_SIZE);
    test_require(c->disk.bytes != NULL, "calloc");
    for (int i = 0; i < 8192; i++)
        c->disk.bytes[i] = i % 251;
    c->export = (struct nbd_export){
        .size = DISK_SIZE,
        .is_writable = is_writable,
        .read = disk_read,
        .write = disk_write,
        .zero = disk_zero,
        .opaque = &c->disk,
    };
    test_require(nbd_server_start(&c->export, &c->server, &c->fd, &err) == 0,
                 "nbd_server_start");
    setsockopt(c->fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf, sizeof sndbuf);
}

static inline void client_close(struct client *c)
{
    nbd_server_stop(c->server);
    free(c->disk.bytes);
}

/* Each of these is false when there is no more to be had. */
static inline bool client_send(struct client *c, const void *buf,
                               size_t length)
{
    const unsigned char *p = buf;

    for (size_t n; length > 0; p += n, length -= n) {
        n = io_min(length, CLIENT_PIECE);
        if (io_write_full(c->fd, p, n) == -1)
            return false;
    }
    return true;
}

static inline bool client_receive(struct client *c, void *buf, size_t length)
{
    unsigned char *p = buf;

    for (size_t n; length > 0; p += n, length -= n) {
        n = io_min(length, CLIENT_PIECE);
        if (io_read_full(c->fd, p, n) != (ssize_t)n)
            return false;
    }
    return true;
}

/* Has the server ended the connection, with nothing left to read? */
static inline bool client_is_cut_off(struct client *c)
{
    char byte;

    return io_read(c->fd, &byte, 1) == 0;
}

/* Takes the greeting, and sends the client's flags. */
static inline void client_greet(struct client *c)
{
    unsigned char greeting[18], flags[4];

    CHECK(client_receive(c, greeting, sizeof greeting));
    CHECK_MEM(greeting, "NBDMAGICIHAVEOPT\0\3", sizeof greeting);
    put32(flags, 3);
    CHECK(client_send(c, flags, sizeof flags));
}

static inline bool client_send_option(struct client *c, uint32_t option,
                                      const void *data, uint32_t length)
{
    unsigned char header[16];

    memcpy(header, OPTION_MAGIC, 8);
    put32(put32(header + 8, option), length);
    return client_send(c, header, sizeof header) &&
           client_send(c, data, length);
}

/* A reply to option is of a type, and has length bytes of data. */
static inline bool client_check_reply(struct client *c, uint32_t option,
                                      uint32_t type, void *data,
                                      uint32_t length)
{
    unsigned char header[20];

    return CHECK(client_receive(c, header, sizeof header)) &&
           CHECK_UINT(get(header, 8), OPTION_REPLY_MAGIC) &&
           CHECK_UINT(get(header + 8, 4), option) &&
           CHECK_UINT(get(header + 12, 4), type) &&
           CHECK_UINT(get(header + 16, 4), length) &&
           CHECK(client_receive(c, data, length));
}

/* What NBD_OPT_INFO and NBD_OPT_GO are answered with if all is well. */
static inline void client_check_infos(struct client *c, uint32_t option)
{
    unsigned char export[12], block_size[14];

    if (!client_check_reply(c, option, REP_INFO, export, sizeof export) ||
        !client_check_reply(c, option, REP_INFO, block_size,
                            sizeof block_size) ||
        !client_check_reply(c, option, REP_ACK, NULL, 0))
        return;
    CHECK_UINT(get(export, 2), 0);
    CHECK_UINT(get(export + 2, 8), DISK_SIZE);
    /* has flags; read-only; flush; trim; write zeroes */
    CHECK_UINT(get(export + 10, 2), c->export.is_writable ? 0x65 : 0x07);
    CHECK_UINT(get(block_size, 2), 3);
    CHECK_UINT(get(block_size + 2, 4), 1);
    CHECK_UINT(get(block_size + 10, 4), MAX_PAYLOAD);
}

/* The rest of the negotiation, as QEMU does it. */
static inline void client_go(struct client *c)
{
    static const unsigned char no_name[6] = {0};

    CHECK(client_send_option(c, OPT_GO, no_name, sizeof no_name));
    client_check_infos(c, OPT_GO);
}

/* A cookie that tells requests apart. */
static inline uint64_t client_cookie(uint16_t type, uint64_t offset)
{
    return UINT64_C(0xfedcba9876543210) ^ offset ^ type;
}

static inline bool client_send_request(struct client *c, uint16_t type,
                                       uint64_t offset, uint32_t length)
{
    unsigned char request[28], *p = put32(request, REQUEST_MAGIC);

    p = put64(put16(put16(p, 0), type), client_cookie(type, offset));
    put32(put64(p, offset), length);
    return client_send(c, request, sizeof request);
}

/* The head of the reply to a request has this error. */
static inline bool client_check_error(struct client *c, uint16_t type,
                                      uint64_t offset, uint32_t error)
{
    unsigned char reply[16];

    return CHECK(client_receive(c, reply, sizeof reply)) &&
           CHECK_UINT(get(reply, 4), SIMPLE_REPLY_MAGIC) &&
           CHECK_UINT(get(reply + 8, 8), client_cookie(type, offset)) &&
           CHECK_UINT(get(reply + 4, 4), error);
}

/* A read of a few bytes goes right, so both are in step. */
static inline void client_check_in_step(struct client *c)
{
    unsigned char buf[100];

    CHECK(client_send_request(c, CMD_READ, 77, sizeof buf));
    if (client_check_error(c, CMD_READ, 77, 0) &&
        CHECK(client_receive(c, buf, sizeof buf)))
        CHECK_MEM(buf, c->disk.bytes + 77, sizeof buf);
}

#endif
