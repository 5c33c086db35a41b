/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Which part of a qcow2 file holds which part of the disk. */

#ifndef QT_FILEMAP_H
#define QT_FILEMAP_H

#include "base/vector.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes [file_offset, file_offset + length) of the qcow2 file are bytes
 * [disk_offset, disk_offset + length) of the disk.  What lies between two
 * entries is metadata, or nothing that matters.
 */
struct filemap_entry {
    uint64_t file_offset, length, disk_offset;
};

/* Entries in any order, as they are found; all-zero is the empty batch. */
VECTOR_TYPE(filemap_batch, struct filemap_entry);

/* Ascending by file offset, no overlap, none empty: filemap_merge sees to
 * it.  All-zero is the empty map.
 */
VECTOR_TYPE(filemap, struct filemap_entry);

/* Adds one entry, joined with the last where both continue each other. */
int filemap_batch_add(struct filemap_batch *batch, uint64_t file_offset,
                      uint64_t length, uint64_t disk_offset,
                      struct error *err);

/* Moves all of batch into map, and leaves batch empty.  Two entries on one
 * piece of the file are an error that names its file offset and both disk
 * offsets: never does one silently win.
 */
int filemap_merge(struct filemap *map, struct filemap_batch *batch,
                  struct error *err);

/* Removes the first count entries. */
void filemap_drop(struct filemap *map, size_t count);

/* The file offset behind the last entry; 0 for an empty map. */
uint64_t filemap_end(const struct filemap *map);

/* Bytes in all entries. */
uint64_t filemap_total(const struct filemap *map);

void filemap_batch_clear(struct filemap_batch *batch);
void filemap_clear(struct filemap *map);

#define cleanup_filemap filemap_clear /* for CLEANUP(filemap) */
#define cleanup_filemap_batch filemap_batch_clear

#endif
