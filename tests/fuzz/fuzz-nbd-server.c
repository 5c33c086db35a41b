/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Fuzzes the bridge: a client that sends anything. */

#include "config.h"

#include "fuzz.h"
#include "nbd/server.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The first byte says what is shown, and whether the negotiation has been
 * done before the rest is sent.
 */
enum { IS_WRITABLE = 1, IS_NEGOTIATED = 2, FAILS = 4 };

enum {
    DISK_SIZE = 100000,
    MAX_PAYLOAD = 32 << 20,
    MAX_INPUT = 65536, /* the socket takes it before anybody reads */
};

#define FLAGS "\0\0\0\3"
#define OPTION "IHAVEOPT\0\0\0"
#define GO OPTION "\7\0\0\0\6\0\0\0\0\0\0"
#define REQUEST "\x25\x60\x95\x13\0\0\0"
#define COOKIE "12345678"
#define OFFSET "\0\0\0\0\0\0\0\x10"

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\1" FLAGS OPTION "\6\0\0\0\x0a\0\0\0\4name\0\0" OPTION
              "\x08\0\0\0\0" GO REQUEST "\3" COOKIE OFFSET "\0\0\0\0"),
    FUZZ_SEED("\0" FLAGS OPTION "\3\0\0\0\0" OPTION "\2\0\0\0\0"),
    FUZZ_SEED("\3" REQUEST "\0" COOKIE OFFSET "\0\0\1\0" REQUEST
              "\1" COOKIE OFFSET "\0\0\0\4data" REQUEST "\6" COOKIE OFFSET
              "\0\0\x10\0" REQUEST "\4" COOKIE OFFSET "\0\0\x10\0" REQUEST
              "\2" COOKIE OFFSET "\0\0\0\0"),
    FUZZ_SEED("\2" REQUEST "\1" COOKIE OFFSET "\0\0\0\4data" REQUEST
              "\0" COOKIE OFFSET "\0\1\x86\xa0"),
    FUZZ_SEED("\7" REQUEST "\1" COOKIE OFFSET "\2\0\0\1data"),
};

/* Exactly as long as it is shown. */
struct disk {
    unsigned char *bytes;
    int is_writable, errnum;
};

static void check_range(uint32_t length, uint64_t file_offset)
{
    MUST(file_offset <= DISK_SIZE);
    MUST(length <= DISK_SIZE - file_offset);
}

static int disk_read(void *opaque, void *buf, uint32_t length,
                     uint64_t file_offset)
{
    const struct disk *disk = opaque;

    check_range(length, file_offset);
    memcpy(buf, disk->bytes + file_offset, length);
    return disk->errnum;
}

static int disk_write(void *opaque, const void *buf, uint32_t length,
                      uint64_t file_offset)
{
    struct disk *disk = opaque;

    MUST(disk->is_writable);
    MUST(length <= MAX_PAYLOAD);
    check_range(length, file_offset);
    memcpy(disk->bytes + file_offset, buf, length);
    return disk->errnum;
}

static int disk_zero(void *opaque, uint32_t length, uint64_t file_offset)
{
    struct disk *disk = opaque;

    MUST(disk->is_writable);
    check_range(length, file_offset);
    memset(disk->bytes + file_offset, 0, length);
    return disk->errnum;
}

static void send_all(int fd, const void *data, size_t size)
{
    /* A server that has cut us off is no failure. */
    if (send(fd, data, size, MSG_NOSIGNAL) == -1)
        MUST(errno == EPIPE || errno == ECONNRESET);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char negotiation[] = FLAGS GO;
    struct disk disk = {.bytes = calloc(1, DISK_SIZE)};
    struct nbd_export export = {
        .size = DISK_SIZE,
        .read = disk_read,
        .write = disk_write,
        .zero = disk_zero,
        .opaque = &disk,
    };
    struct nbd_server *server;
    struct error err;
    char answer[4096];
    int fd;

    MUST(disk.bytes != NULL);
    if (size == 0 || size > MAX_INPUT) {
        free(disk.bytes);
        return 0;
    }
    disk.is_writable = (data[0] & IS_WRITABLE) != 0;
    export.is_writable = disk.is_writable;
    disk.errnum = data[0] & FAILS ? ENOSPC : 0;
    MUST(nbd_server_start(&export, &server, &fd, &err) == 0);
    if (data[0] & IS_NEGOTIATED)
        send_all(fd, negotiation, sizeof negotiation - 1);
    send_all(fd, data + 1, size - 1);
    shutdown(fd, SHUT_WR);
    while (read(fd, answer, sizeof answer) > 0)
        ;
    nbd_server_stop(server);
    free(disk.bytes);
    return 0;
}

FUZZ_MAIN(seeds)
