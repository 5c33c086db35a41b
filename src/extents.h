/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ascending lists of disk ranges. */

#ifndef QT_EXTENTS_H
#define QT_EXTENTS_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes [disk_offset, disk_offset + length) of the virtual disk. */
struct extent {
    uint64_t disk_offset, length;
};

/* Ascending, no two touch, none is empty: extents_append sees to it.
 * All-zero is the empty list.
 */
struct extents {
    struct extent *list;
    size_t count, space;
};

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

/* Adds to out, which is empty, what in covers, widened to whole multiples
 * of granule bytes and cut at limit, the end of the disk.
 */
int extents_widen(const struct extents *in, uint64_t granule, uint64_t limit,
                  struct extents *out, struct error *err);

/* Bytes in all of them. */
uint64_t extents_total(const struct extents *extents);

/* Do both cover the same bytes?  If not, *differ is where they first do
 * not.
 */
bool extents_is_equal(const struct extents *a, const struct extents *b,
                      uint64_t *differ);

void extents_clear(struct extents *extents);

#define cleanup_extents extents_clear /* for CLEANUP(extents) */

#endif
