/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Finds by reading what is zero on a disk, and what differs between two. */

#ifndef QT_SCAN_H
#define QT_SCAN_H

#include "base/error.h"
#include "base/progress.h"
#include "export/source.h"
#include "lists/extents.h"

#include <stdint.h>

/* Looks at where, granule by granule (a power of two of bytes, aligned on the
 * disk; the first and last of a range may be cut).  Appends to data, which is
 * empty, those that are not all zeroes.  progress is set to disk offsets.
 */
int scan_data(struct source *source, const struct extents *where,
              uint64_t granule, struct progress *progress,
              struct extents *data, struct error *err);

/* Appends to data, which is empty, what of where is data: of that which is in
 * uncertain, what is not all zeroes, as above; all of the rest.
 */
int scan_uncertain(struct source *source, const struct extents *where,
                   const struct extents *uncertain, uint64_t granule,
                   struct progress *progress, struct extents *data,
                   struct error *err);

/* As scan_data, for granules that differ from the base: those that are zero
 * here are appended to zeroes, the others to data.
 */
int scan_differences(struct source *source, struct source *base,
                     const struct extents *where, uint64_t granule,
                     struct progress *progress, struct extents *data,
                     struct extents *zeroes, struct error *err);

#endif
