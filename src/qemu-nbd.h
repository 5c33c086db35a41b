/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qemu-nbd: lets us read what is on the disk of an image. */

#ifndef QT_QEMU_NBD_H
#define QT_QEMU_NBD_H

#include "child.h"
#include "qemu.h"

#include <stdbool.h>
#include <stddef.h>

/* What it is to open, read-only: node, with the fds to inherit for it; else an
 * image by its path, which may be held by another process.
 */
struct qemu_nbd_image {
    const char *node;
    const int *inherit; /* as in child.h */
    size_t n_inherit;
    const char *path, *format;
    bool is_direct; /* without the page cache */
};

/* Starts one for one client: *client_fd is the connection to it, and the
 * caller's.  It ends when that is closed; child_stop is for the rest.
 */
int qemu_nbd_start(const struct qemu *qemu, const struct qemu_nbd_image *image,
                   struct child **child, int *client_fd, struct error *err);

#endif
