/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The allocation map of an image and its backing files. */

#ifndef QT_IMAGE_H
#define QT_IMAGE_H

#include "error.h"
#include "extents.h"
#include "qemu.h"

/* Splits "DEVICE:IMAGE".  As names may have colons of their own, it is the
 * first one before which a file that exists is named; if there is none, the
 * first.  Memory to free, in both.
 */
int image_split_hybrid(const char *hybrid, char **device, char **image,
                       struct error *err);

/* Appends to data, which is empty, what the chain of the image at path
 * holds.  Another process may hold it.  disk_size is what the image must
 * describe.  Its format, and those of its backing files that the chain
 * records, are taken as told: a link that records none is refused, because
 * to probe it is to trust what a guest wrote onto its own disk.
 */
int image_map(const struct qemu *qemu, const char *path, const char *format,
              uint64_t disk_size, struct extents *data, struct error *err);

#endif
