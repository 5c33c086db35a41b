/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Ascending lists of disk ranges. */

#ifndef QT_EXTENTS_H
#define QT_EXTENTS_H

#include "base/vector.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes [disk_offset, disk_offset + length) of the virtual disk. */
struct extent {
    uint64_t disk_offset, length;
};

/* Ascending, no overlap, none empty: extents_append sees to it, and joins
 * those that touch.  All-zero is the empty list.
 */
VECTOR_TYPE(extents, struct extent);

static inline uint64_t extent_end(const struct extent *e)
{
    return e->disk_offset + e->length;
}

/* Adds a range behind all others, joined with the last where they touch.
 * An empty range, one that begins before the end of the last, or one past
 * 2^63 - 1 (no disk has that) is an error.
 */
int extents_append(struct extents *extents, uint64_t disk_offset,
                   uint64_t length, struct error *err);

/* The same, but joined with nothing: for lists in which the seams count. */
int extents_append_apart(struct extents *extents, uint64_t disk_offset,
                         uint64_t length, struct error *err);

/* Adds to out, which is empty, what in covers, widened to whole multiples
 * of granule bytes and cut at limit, the end of the disk.
 */
int extents_widen(const struct extents *in, uint64_t granule, uint64_t limit,
                  struct extents *out, struct error *err);

enum extents_op {
    EXTENTS_BOTH,   /* in a and in b */
    EXTENTS_EITHER, /* in a or in b */
    EXTENTS_WITHOUT /* in a but not in b */
};

/* Adds to out, which is empty, the bytes below limit that op chooses. */
int extents_combine(const struct extents *a, enum extents_op op,
                    const struct extents *b, uint64_t limit,
                    struct extents *out, struct error *err);

/* Adds to out, which is empty, the ranges of both, as they are: joined with
 * nothing.  A range that overlaps one of the other list is an error.
 */
int extents_merge_apart(const struct extents *a, const struct extents *b,
                        struct extents *out, struct error *err);

/* The number of the first one that ends behind disk_offset; if there is none,
 * how many there are.
 */
size_t extents_find(const struct extents *extents, uint64_t disk_offset);

/* Is disk_offset in one of them?  *next is where that changes; UINT64_MAX if
 * it does not.
 */
bool extents_covers(const struct extents *extents, uint64_t disk_offset,
                    uint64_t *next);

/* Bytes in all of them. */
uint64_t extents_total(const struct extents *extents);

/* Do both have the same ranges?  If not, *differ is where they first do
 * not.
 */
bool extents_is_equal(const struct extents *a, const struct extents *b,
                      uint64_t *differ);

/* to becomes what from is; what it was is freed, and from is empty. */
void extents_move(struct extents *to, struct extents *from);

void extents_clear(struct extents *extents);

#define cleanup_extents extents_clear /* for CLEANUP(extents) */

#endif
