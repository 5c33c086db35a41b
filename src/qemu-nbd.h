/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qemu-nbd: lets us read what is on the disk of an image. */

#ifndef QT_QEMU_NBD_H
#define QT_QEMU_NBD_H

#include "child.h"
#include "qemu.h"

/* Starts one on the qcow2 image behind bridge_fd, for one client: *client_fd
 * is the connection to it, and the caller's.  It ends when that is closed;
 * child_stop is for the rest.
 */
int qemu_nbd_start(const struct qemu *qemu, int bridge_fd,
                   struct child **child, int *client_fd, struct error *err);

#endif
