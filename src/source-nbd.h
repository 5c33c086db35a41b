/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk to read that comes over NBD: an export, or an image's by qemu-nbd. */

#ifndef QT_SOURCE_NBD_H
#define QT_SOURCE_NBD_H

#include "error.h"
#include "nbd-client.h"
#include "qemu.h"
#include "source.h"

#include <stdbool.h>

/* The address is as in nbd-client.h, but for socket_fd, which is not for
 * strangers; its who is the source's.
 */
int source_nbd_open(const struct nbd_address *address, struct source **source,
                    struct error *err);

/* The image at path, which another process may hold, with its backing files.
 * Its format is taken as told.  For the map see image.h: this one only reads.
 */
int source_nbd_open_image(const struct qemu *qemu, const char *who,
                          const char *path, const char *format, bool is_direct,
                          struct source **source, struct error *err);

#endif
