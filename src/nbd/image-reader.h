/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Reads the disk of an image: a qemu-nbd of ours, and a client of it. */

#ifndef QT_IMAGE_READER_H
#define QT_IMAGE_READER_H

#include "base/child.h"
#include "base/error.h"
#include "nbd/client.h"
#include "qemu/qemu-nbd.h"
#include "qemu/qemu.h"

#include <stdint.h>

/* What it is to read, and what is known of those who take part.  All pointers
 * but image's have to outlive the reader.
 */
struct image_reader_spec {
    const struct qemu *qemu;
    const struct qemu_nbd_image *image;
    const char *path; /* named if no connection is made; NULL: it is not */
    const char *role; /* as in struct nbd_address */
    uint64_t piece;   /* the same */
    struct nbd_watch watch; /* the same */
    int cancel_fd;          /* as for nbd_client_open */

    /* Is anybody else to blame for what has failed: the file that QEMU was
     * shown, say?  Returns -1 with that error, or 0.  NULL: nobody else is.
     */
    int (*check)(void *opaque, struct error *err);
    void *opaque;
};

struct image_reader;

/* Starts qemu-nbd and connects.  A failure is blamed on whose it is. */
int image_reader_open(const struct image_reader_spec *spec,
                      struct image_reader **reader, struct error *err);

/* The same of the qcow2 image behind an end of the bridge, in whole clusters
 * of so many bytes: qemu-nbd decodes a compressed one for each request that
 * has a part of it.  image, role and piece of spec do not count.
 */
int image_reader_open_bridge(const struct image_reader_spec *spec,
                             int bridge_fd, uint64_t cluster_size,
                             struct image_reader **reader, struct error *err);

/* To read by; the reader's. */
struct nbd_client *image_reader_client(const struct image_reader *reader);

/* The qemu-nbd; the reader's. */
const struct child *image_reader_child(const struct image_reader *reader);

/* The client has failed with err: puts the error of who is to blame in its
 * place or, if that is qemu-nbd, what it said behind it.  Returns -1.
 */
int image_reader_blame(struct image_reader *reader, struct error *err);

/* Disconnects, and ends qemu-nbd.  NULL is fine. */
void image_reader_close(struct image_reader *reader);

#endif
