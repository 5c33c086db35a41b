/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qemu-nbd: lets us read or write what is on the disk of an image. */

#ifndef QT_QEMU_NBD_H
#define QT_QEMU_NBD_H

#include "base/child.h"
#include "qemu/qemu.h"

#include <stdbool.h>
#include <stddef.h>

/* What it is to open: a node or, if that is NULL, options as
 * --image-opts has them (qemu.h), with the fds to inherit.
 */
struct qemu_nbd_image {
    const char *node, *options;
    const int *inherit; /* as in child.h */
    size_t n_inherit;
    const struct qemu_files *files; /* NULL: none are opened by name */
    bool is_writable; /* it may write to the files among the fds; else not */
};

/* Starts one for one client: *client_fd is the connection to it, and the
 * caller's.  It ends when that is closed; child_stop is for the rest.
 */
int qemu_nbd_start(const struct qemu *qemu, const struct qemu_nbd_image *image,
                   struct child **child, int *client_fd, struct error *err);

#endif
