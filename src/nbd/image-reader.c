/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Reads the disk of an image: a qemu-nbd of ours, and a client of it. */

#include "config.h"

#include "base/io.h"
#include "nbd/image-reader.h"

#include <errno.h>
#include <stdlib.h>

/* What is asked for at once of an image with compressed clusters. */
#define SMALLEST_PIECE (UINT64_C(64) << 10)

struct image_reader {
    struct child *qemu_nbd;
    struct nbd_client *client;
    int (*check)(void *opaque, struct error *err);
    void *opaque;
};

static int start(struct image_reader *r, const struct image_reader_spec *spec,
                 struct error *err)
{
    struct nbd_address address = {
        .role = spec->role,
        .piece = spec->piece,
        .watch = spec->watch,
    };

    if (qemu_nbd_start(spec->qemu, spec->image, &r->qemu_nbd,
                       &address.socket_fd, err) == -1)
        return -1;
    if (nbd_client_open(&address, spec->cancel_fd, &r->client, err) == 0)
        return 0;
    image_reader_blame(r, err);
    if (spec->path != NULL && !error_is_of(err, "destination"))
        error_wrap(err, "QEMU: qemu-nbd of %s", spec->path);
    return -1;
}

int image_reader_open(const struct image_reader_spec *spec,
                      struct image_reader **reader, struct error *err)
{
    struct image_reader *r = calloc(1, sizeof *r);

    if (r == NULL)
        return error_set(err, errno, "%s: no memory to read an image",
                         spec->role);
    r->check = spec->check;
    r->opaque = spec->opaque;
    if (start(r, spec, err) == -1) {
        image_reader_close(r);
        return -1;
    }
    *reader = r;
    return 0;
}

int image_reader_open_bridge(const struct image_reader_spec *spec,
                             int bridge_fd, uint64_t cluster_size,
                             struct image_reader **reader, struct error *err)
{
    char node[QEMU_NODE_SPACE];
    const struct qemu_nbd_image image = {
        .node = node,
        .inherit = &bridge_fd,
        .n_inherit = 1,
    };
    struct image_reader_spec bridged = *spec;

    qemu_bridge_node(node, bridge_fd, qemu_l2_slice(cluster_size));
    bridged.image = &image;
    bridged.role = "QEMU";
    bridged.piece = io_max(cluster_size, SMALLEST_PIECE);
    return image_reader_open(&bridged, reader, err);
}

struct nbd_client *image_reader_client(const struct image_reader *r)
{
    return r->client;
}

const struct child *image_reader_child(const struct image_reader *r)
{
    return r->qemu_nbd;
}

int image_reader_blame(struct image_reader *r, struct error *err)
{
    /* It hung up because we did, as nobody wants what it reads any more. */
    if (error_is_of(err, "destination"))
        return -1;
    if (r->check != NULL && r->check(r->opaque, err) == -1)
        return -1;
    return child_blame(r->qemu_nbd, err);
}

void image_reader_close(struct image_reader *r)
{
    if (r == NULL)
        return;
    nbd_client_free(r->client);
    child_stop(r->qemu_nbd);
    free(r);
}
