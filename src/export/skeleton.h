/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Has QEMU lay out a qcow2 image that has no data in it yet. */

#ifndef QT_SKELETON_H
#define QT_SKELETON_H

#include "base/error.h"
#include "export/layout.h"
#include "lists/filemap.h"
#include "nbd/store.h"
#include "qemu/qemu.h"

#include <stddef.h>
#include <stdint.h>

/* What QEMU made of a plan.  The metadata is in the store. */
struct skeleton {
    struct filemap map;   /* the data; all else is metadata */
    uint64_t file_length; /* bytes, of the whole image */
};

/* Lays the planned image out in store, which is empty.  Fails rather than
 * return anything but what was planned.  *skeleton is the caller's, with
 * what is in it.
 */
int skeleton_build(const struct qemu *qemu, const struct layout_plan *plan,
                   struct store *store, struct skeleton *skeleton,
                   struct error *err);

/* Takes length bytes of metadata, at file_offset. */
typedef int skeleton_reader(void *opaque, const void *buf, size_t length,
                            uint64_t file_offset, struct error *err);

/* Goes through the image's metadata before file_end, ascending, in pieces. */
int skeleton_read_metadata(const struct skeleton *skeleton,
                           const struct store *store, uint64_t file_end,
                           skeleton_reader *reader, void *opaque,
                           struct error *err);

void skeleton_clear(struct skeleton *skeleton);

#define cleanup_skeleton skeleton_clear /* for CLEANUP(skeleton) */

#endif
