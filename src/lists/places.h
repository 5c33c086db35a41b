/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Where bytes of the disk lie in the files of images, just as they are. */

#ifndef QT_PLACES_H
#define QT_PLACES_H

#include "base/vector.h"
#include "lists/extents.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes [disk_offset, disk_offset + length) of the disk are those from
 * file_offset on in a file of an image, which link tells: it is a number that
 * the caller gives a meaning to.
 */
struct place {
    uint64_t disk_offset, length, file_offset;
    size_t link;
};

static inline uint64_t place_end(const struct place *p)
{
    return p->disk_offset + p->length;
}

/* In any order at first; ascending by disk offset, no overlap, once
 * places_settle has been called.  All-zero is the empty list.
 */
VECTOR_TYPE(places, struct place);

/* Adds one, joined with the last where it continues that on the disk and in
 * the file.
 */
int places_add(struct places *places, const struct place *place,
               struct error *err);

/* Sorts them, and appends to others, which is empty, all that is in data and
 * in no place.  To change between the two costs time.  So a stretch of places
 * that is shorter than shortest (bytes of data), with others both before and
 * behind it, goes to these.  Places that overlap are an error.
 */
int places_settle(struct places *places, const struct extents *data,
                  uint64_t shortest, struct extents *others,
                  struct error *err);

/* The number of the first one that ends behind disk_offset; if there is none,
 * how many there are.
 */
size_t places_find(const struct places *places, uint64_t disk_offset);

/* Bytes in all of them. */
uint64_t places_total(const struct places *places);

/* to becomes what from is, and from is empty. */
void places_move(struct places *to, struct places *from);

void places_clear(struct places *places);

#define cleanup_places places_clear /* for CLEANUP(places) */

#endif
