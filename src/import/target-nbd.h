/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The disk that an imported stream lands on: an export of an NBD server. */

#ifndef QT_TARGET_NBD_H
#define QT_TARGET_NBD_H

#include "base/error.h"
#include "import/target.h"
#include "nbd/writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is written by an nbd_writer begins with this. */
struct target_nbd {
    struct target target; /* first */
    struct nbd_writer *writer;
};

/* These write to it, and are in its struct target_ops. */
int target_nbd_lend(struct target *t, uint64_t disk_offset, uint64_t length,
                    char **buf, struct error *err);
int target_nbd_write(struct target *t, const void *buf, size_t length,
                     uint64_t disk_offset, struct error *err);
int target_nbd_zero(struct target *t, uint64_t disk_offset, uint64_t length,
                    struct error *err);
void target_nbd_cancel(struct target *t);

/* Connects to the server, and refuses an export that is read-only.  One that
 * cannot be flushed is taken, with a warning.  keeps_space: zeroes are to take
 * the space that they took.
 */
int target_nbd_open(const char *uri, bool keeps_space, struct target **target,
                    struct error *err);

#endif
