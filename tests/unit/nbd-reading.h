/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Reading from NBD servers that nbd-peer.h has, for tests of the client. */

#ifndef QT_NBD_READING_H
#define QT_NBD_READING_H

#include "nbd-peer.h"
#include "nbd/client.h"
#include "test.h"

/* Does the message begin like that?  How it goes on is libnbd's to say. */
static inline void check_begins(int r, struct error *err,
                                const char *beginning)
{
    if (CHECK_INT(r, -1)) {
        err->msg[strlen(beginning)] = '\0';
        CHECK_STR(err->msg, beginning);
    }
    *err = (struct error){0};
}

/* Takes what is read, which must be in order. */
struct taken {
    uint64_t disk_offset; /* of what is to come next */
    uint64_t refused_at;  /* 0: nowhere */
};

static inline int take(void *opaque, const void *buf, size_t length,
                       uint64_t disk_offset, struct error *err)
{
    struct taken *t = opaque;
    unsigned char *expected = malloc(length);

    test_require(expected != NULL, "malloc");
    if (t->refused_at != 0 && disk_offset + length > t->refused_at) {
        free(expected);
        return error_set(err, ENOSPC, "taker");
    }
    CHECK_UINT(disk_offset, t->disk_offset);
    peer_fill(expected, disk_offset, length);
    CHECK_MEM(buf, expected, length);
    t->disk_offset = disk_offset + length;
    free(expected);
    return 0;
}

static inline int read_range(struct nbd_client *client, uint64_t disk_offset,
                             uint64_t length, struct taken *t,
                             struct error *err)
{
    t->disk_offset = disk_offset;
    if (nbd_client_read(client, disk_offset, length, take, t, err) == -1 ||
        nbd_client_finish(client, err) == -1)
        return -1;
    CHECK_UINT(t->disk_offset, disk_offset + length);
    return 0;
}

static inline void check_range(struct nbd_client *client, uint64_t disk_offset,
                               uint64_t length)
{
    struct taken t = {0};
    struct error err;

    CHECK_OK(read_range(client, disk_offset, length, &t, &err), &err);
}

static inline int open_peer(const struct peer *p, int cancel_fd,
                            struct error *err)
{
    const struct nbd_address address = {
        .role = "x",
        .socket_fd = -1,
        .socket_path = p->path,
        .export_name = "name",
    };
    struct nbd_client *client = NULL;
    int r = nbd_client_open(&address, cancel_fd, &client, err);

    nbd_client_free(client);
    return r;
}

#endif
