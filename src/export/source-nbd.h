/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A disk to read that comes over NBD: an export, or an image's by qemu-nbd. */

#ifndef QT_SOURCE_NBD_H
#define QT_SOURCE_NBD_H

#include "base/error.h"
#include "export/chain.h"
#include "export/source.h"
#include "nbd/client.h"
#include "qemu/qemu.h"

#include <stdbool.h>

/* address is as in nbd/client.h, without socket_fd, which is for servers of
 * ours, and without watch.  Its role becomes the source's.  While the server
 * is waited for, a reader that leaves destination_fd (-1: none) ends that with
 * an error of the destination.
 */
int source_nbd_open(const struct nbd_address *address, int destination_fd,
                    struct source **source, struct error *err);

/* Appends to dirty, which is empty, what the bitmap of the address that it was
 * opened with marks.
 */
int source_nbd_find_dirty(struct source *source, struct extents *dirty,
                          struct error *err);

struct source_nbd_how {
    bool is_direct; /* without the page cache, where that can be */

    /* Some of the data has no file offset in the map, because it is
     * compressed, for example.  So it cannot be seen beforehand whether the
     * file is long enough for it, and it is read over the bridge.
     */
    bool has_compressed;

    /* As above; besides, it must not be a file that the image is in.  -1:
     * there is none.
     */
    int destination_fd;
};

/* An image with its backing files, as chain_open has found them, all of it by
 * a qemu-nbd; see source-image.h.  chain has to outlive the source.
 */
int source_nbd_open_image(const struct qemu *qemu, const struct chain *chain,
                          const struct source_nbd_how *how,
                          struct source **source, struct error *err);

#endif
