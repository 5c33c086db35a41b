/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk to read that comes over NBD: an export, or an image's by qemu-nbd. */

#include "config.h"

#include "child.h"
#include "io.h"
#include "qemu-nbd.h"
#include "source-file.h"
#include "source-nbd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct source_nbd {
    struct source source;   /* first */
    struct child *qemu_nbd; /* of ours; or NULL */
    struct nbd_client *client;
};

static struct source_nbd *nbd_of(struct source *s)
{
    return (struct source_nbd *)s;
}

/* The reason may be in what qemu-nbd said. */
static int failed(struct source_nbd *n, struct error *err)
{
    return n->qemu_nbd == NULL ? -1 : child_blame(n->qemu_nbd, err);
}

struct destination_buffer {
    char *buf;
    uint64_t disk_offset; /* of its first byte */
};

static int copy(void *opaque, const void *buf, size_t length,
                uint64_t disk_offset, struct error *err)
{
    struct destination_buffer *to = opaque;

    (void)err;
    memcpy(to->buf + (disk_offset - to->disk_offset), buf, length);
    return 0;
}

static int nbd_read(struct source *s, char *buf, uint64_t disk_offset,
                    uint64_t length, struct error *err)
{
    struct nbd_client *client = nbd_of(s)->client;
    struct destination_buffer to = {buf, disk_offset};

    if (nbd_client_read(client, disk_offset, length, copy, &to, err) == -1 ||
        nbd_client_finish(client, copy, &to, err) == -1)
        return failed(nbd_of(s), err);
    return 0;
}

/* The destination's errors are not the server's. */
struct delivery {
    struct sink *sink;
    bool has_failed;
};

static int deliver(void *opaque, const void *buf, size_t length,
                   uint64_t disk_offset, struct error *err)
{
    struct delivery *d = opaque;

    (void)disk_offset;
    d->has_failed = sink_write(d->sink, buf, length, err) == -1;
    return d->has_failed ? -1 : 0;
}

static int nbd_send(struct source *s, uint64_t disk_offset, uint64_t length,
                    struct sink *sink, struct error *err)
{
    struct delivery d = {.sink = sink};

    if (nbd_client_read(nbd_of(s)->client, disk_offset, length, deliver, &d,
                        err) == 0)
        return 0;
    return d.has_failed ? -1 : failed(nbd_of(s), err);
}

static int nbd_flush(struct source *s, struct sink *sink, struct error *err)
{
    struct delivery d = {.sink = sink};

    if (nbd_client_finish(nbd_of(s)->client, deliver, &d, err) == 0)
        return 0;
    return d.has_failed ? -1 : failed(nbd_of(s), err);
}

static int nbd_find_data(struct source *s, struct extents *data, bool *is_map,
                         struct error *err)
{
    return nbd_client_status(nbd_of(s)->client, data, is_map, err);
}

static void nbd_free(struct source *s)
{
    nbd_client_free(nbd_of(s)->client);
    child_stop(nbd_of(s)->qemu_nbd);
    free(s);
}

static struct source_nbd *new_source(const char *who, struct error *err)
{
    static const struct source_ops ops = {
        .read = nbd_read,
        .send = nbd_send,
        .flush = nbd_flush,
        .find_data = nbd_find_data,
        .free = nbd_free,
    };
    struct source_nbd *n = calloc(1, sizeof *n);

    if (n == NULL) {
        error_set(err, errno, "%s: no memory", who);
        return NULL;
    }
    n->source.ops = &ops;
    n->source.who = who;
    n->source.fd = -1;
    n->source.is_slow = true;
    return n;
}

/* Frees n if that fails. */
static int connect_source(struct source_nbd *n,
                          const struct nbd_address *address,
                          struct source **source, struct error *err)
{
    if (nbd_client_open(address, -1, &n->client, err) == -1) {
        failed(n, err);
        nbd_free(&n->source);
        return -1;
    }
    n->source.size = nbd_client_size(n->client);
    n->source.disk_size = IO_ROUND_UP(n->source.size, IO_SECTOR);
    *source = &n->source;
    return 0;
}

int source_nbd_open(const struct nbd_address *address, struct source **source,
                    struct error *err)
{
    struct source_nbd *n = new_source(address->who, err);

    return n == NULL ? -1 : connect_source(n, address, source, err);
}

int source_nbd_open_image(const struct qemu *qemu, const char *who,
                          const char *path, const char *format, bool is_direct,
                          struct source **source, struct error *err)
{
    struct source_nbd *n = new_source(who, err);
    const struct qemu_nbd_image image = {
        .bridge_fd = -1,
        .path = path,
        .format = format,
        .is_direct = is_direct && source_file_can_direct(path),
    };
    struct nbd_address address = {.who = who};

    if (n == NULL)
        return -1;
    if (qemu_nbd_start(qemu, &image, &n->qemu_nbd, &address.socket_fd, err) ==
        -1) {
        nbd_free(&n->source);
        return -1;
    }
    return connect_source(n, &address, source, err);
}
