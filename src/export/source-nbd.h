/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk to read that comes over NBD: an export, or an image's by qemu-nbd. */

#ifndef QT_SOURCE_NBD_H
#define QT_SOURCE_NBD_H

#include "export/chain.h"
#include "base/error.h"
#include "nbd/client.h"
#include "qemu/qemu.h"
#include "export/source.h"

#include <stdbool.h>

/* The address is as in nbd-client.h, but for socket_fd, which is not for
 * strangers; its who is the source's.
 */
int source_nbd_open(const struct nbd_address *address, struct source **source,
                    struct error *err);

struct source_nbd_how {
    bool is_direct; /* without the page cache, where that can be */

    /* Some of the data has no place in a file where that it is there could be
     * seen (image_map): it is read by way of the bridge.
     */
    bool has_coded;

    int reader_fd; /* as in struct nbd_address */
};

/* An image with its backing files, as chain_open has found them.  For the map
 * see image.h: this one only reads.  What was in chain becomes the source's.
 */
int source_nbd_open_image(const struct qemu *qemu, struct chain *chain,
                          const struct source_nbd_how *how,
                          struct source **source, struct error *err);

#endif
