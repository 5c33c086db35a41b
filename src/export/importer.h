/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Whether the importer that xapi has today takes an image. */

#ifndef QT_IMPORTER_H
#define QT_IMPORTER_H

#include "base/error.h"
#include "export/layout.h"
#include "export/skeleton.h"

#include <stdbool.h>
#include <stdint.h>

/* That is lib/qcow_stream.ml of ocaml-qcow (0.12.0 of 2025 to 0.14.0 of 2026),
 * behind xapi's qcow-stream-tool.  It reads forwards only, so all tables have
 * to come before the data, and that in order.  And it refuses a cluster of the
 * file of a larger number than its bound, which it makes, in clusters, of
 *
 *     what the disk has, without a last one in part
 *   + those of the refcount table
 *   + those from the end of that table to L1; this is negative if L1 is first
 *   + those of L1, and the L2 tables, as far as they have been read.
 */
struct importer_verdict {
    bool is_ordered; /* it gets as far as the bound */
    bool is_taken;
    uint64_t file_cluster; /* else one that is refused: its number */
    int64_t bound;         /* and what it is compared with */
};

/* What does the importer make of the image that was laid out by plan?  Its
 * header is read from image_fd.
 */
int importer_judge(const struct layout_plan *plan,
                   const struct skeleton *skeleton, int image_fd,
                   struct importer_verdict *verdict, struct error *err);

/* Says with --verbose why an import is going to fail, if it is. */
void importer_report(const struct importer_verdict *verdict);

/* May an image of plan be one that is taken?  It costs nothing to ask. */
bool importer_may_take(const struct layout_plan *plan);

#endif
