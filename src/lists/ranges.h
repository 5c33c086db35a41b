/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Sets of pieces of a file. */

#ifndef QT_RANGES_H
#define QT_RANGES_H

#include "base/vector.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes [file_offset, file_offset + length). */
struct range {
    uint64_t file_offset, length;
};

static inline uint64_t range_end(const struct range *r)
{
    return r->file_offset + r->length;
}

/* Ascending, no two touch, none is empty.  All-zero is the empty set. */
VECTOR_TYPE(ranges, struct range);

/* Pieces in any order, which may overlap.  All-zero is the empty batch. */
VECTOR_TYPE(ranges_batch, struct range);

/* Adds a piece; an empty one is left out.  One that ends past 2^64 - 1 is an
 * error.
 */
int ranges_batch_add(struct ranges_batch *batch, uint64_t file_offset,
                     uint64_t length, struct error *err);

/* Moves all of batch into set, and leaves batch empty; in place, so that it
 * takes no more memory than the outcome.
 */
int ranges_unite(struct ranges *set, struct ranges_batch *batch,
                 struct error *err);

/* Is any byte of [file_offset, file_end) in the set?  *piece is the first
 * piece of it that is, then.
 */
bool ranges_find(const struct ranges *set, uint64_t file_offset,
                 uint64_t file_end, struct range *piece);

/* Is any byte of [file_offset, file_offset + length) in the set?  *first is
 * the lowest one then.
 */
bool ranges_has_any(const struct ranges *set, uint64_t file_offset,
                    uint64_t length, uint64_t *first);

/* Is all of it? */
bool ranges_has_all(const struct ranges *set, uint64_t file_offset,
                    uint64_t length);

/* Does a piece of batch overlap another, or set?  *first is the lowest byte
 * then where one begins inside the other.  batch is sorted by this.
 */
bool ranges_batch_overlaps(struct ranges_batch *batch,
                           const struct ranges *set, uint64_t *first);

void ranges_batch_clear(struct ranges_batch *batch);
void ranges_clear(struct ranges *set);

#define cleanup_ranges ranges_clear /* for CLEANUP(ranges) */
#define cleanup_ranges_batch ranges_batch_clear

#endif
