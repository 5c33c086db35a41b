/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What has to be sent so that a base becomes another disk. */

#ifndef QT_DELTA_H
#define QT_DELTA_H

#include "base/error.h"
#include "lists/extents.h"

#include <stdint.h>

/* All that is neither is the same on both. */
struct delta {
    struct extents data;   /* to be sent as it is on the disk */
    struct extents zeroes; /* zero on the disk, and not on the base */
};

/* For a base in the chain of the disk's image.  allocated is what the images
 * above the base have allocated, be it data or zeroes; data is what holds data
 * on the disk; both end with disk_size (bytes).  base_data is what holds data
 * on the base, and may go on behind that.  Fills delta, which is empty.
 */
int delta_by_allocation(const struct extents *allocated,
                        const struct extents *data,
                        const struct extents *base_data, uint64_t disk_size,
                        struct delta *delta, struct error *err);

/* For a reader that knows no zero flag: delta->zeroes becomes data. */
int delta_write_zeroes(struct delta *delta, uint64_t disk_size,
                       struct error *err);

/* Zeroes to be marked as such, which only whole granules can be.  What is
 * left of others becomes data, and so do those in which the disk holds data,
 * sent or not.
 */
int delta_mark_zeroes(struct delta *delta, const struct extents *data,
                      uint64_t granule, uint64_t disk_size, struct error *err);

void delta_clear(struct delta *delta);

#define cleanup_delta delta_clear /* for CLEANUP(delta) */

#endif
