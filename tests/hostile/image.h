/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A qcow2 image in memory, and where its tables are. */

#ifndef QT_HOSTILE_IMAGE_H
#define QT_HOSTILE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The layout is that of docs/interop/qcow2.txt in QEMU's source (7.2).  Unlike
 * the program, which leaves all tables to QEMU, its tests know them.
 */

/* Fields of the header: file offset and bytes. */
struct field {
    const char *name;
    size_t at, width;
};

enum field_number {
    F_MAGIC,
    F_VERSION,
    F_BACKING_OFFSET,
    F_BACKING_SIZE,
    F_CLUSTER_BITS,
    F_SIZE,
    F_CRYPT,
    F_L1_SIZE,
    F_L1_OFFSET,
    F_REFCOUNT_OFFSET,
    F_REFCOUNT_CLUSTERS,
    F_SNAPSHOTS,
    F_SNAPSHOTS_OFFSET,
    F_INCOMPATIBLE,
    F_COMPATIBLE,
    F_AUTOCLEAR,
    F_REFCOUNT_ORDER,
    F_HEADER_LENGTH,
    F_COMPRESSION,
    N_FIELDS
};

extern const struct field fields[N_FIELDS];

enum { HEADER_END = 112 };

#define INCOMPATIBLE_DIRTY (UINT64_C(1) << 0)
#define INCOMPATIBLE_CORRUPT (UINT64_C(1) << 1)
#define INCOMPATIBLE_DATA_FILE (UINT64_C(1) << 2)
#define INCOMPATIBLE_COMPRESSION (UINT64_C(1) << 3)
#define INCOMPATIBLE_EXTENDED_L2 (UINT64_C(1) << 4)

#define ENTRY_COPIED (UINT64_C(1) << 63)
#define ENTRY_COMPRESSED (UINT64_C(1) << 62)
#define ENTRY_ZERO (UINT64_C(1) << 0)
#define ENTRY_OFFSET UINT64_C(0x00fffffffffffe00)

struct image {
    uint8_t *bytes;
    size_t size;
};

/* Reads a file, in memory of its own; ends the program if it cannot. */
struct image image_read(const char *path);

/* A big-endian number of up to 8 bytes.  What lies behind the end reads as
 * zeroes, as it does for QEMU, and is not changed.
 */
uint64_t image_get(const struct image *image, uint64_t at, size_t width);
void image_put(struct image *image, uint64_t at, size_t width, uint64_t value);

uint64_t image_field(const struct image *image, enum field_number field);

/* What the header says, unchecked but for the cluster size: 0 if that is not
 * one that QEMU takes.
 */
struct geometry {
    uint64_t cluster, virtual_size, l1_offset, l1_entries;
    uint64_t refcount_offset, refcount_length; /* bytes */
    uint64_t entry;                            /* bytes of an L2 entry */
    uint64_t window; /* bytes of disk that an L2 table describes */
    unsigned bits, version;
};

struct geometry image_geometry(const struct image *image);

/* Where a compressed cluster begins and ends in the file. */
void image_compressed_range(const struct geometry *g, uint64_t entry,
                            uint64_t *from, uint64_t *to);

enum place_kind {
    PLACE_L1,
    PLACE_L2,
    PLACE_REFCOUNT_TABLE,
    PLACE_REFCOUNT_BLOCK,
    PLACE_SNAPSHOT,
    PLACE_BITMAP,
    PLACE_EXTENSION,
    N_PLACE_KINDS
};

extern const char *const place_names[N_PLACE_KINDS];

/* Numbers of a table, each 8 bytes (an extension: 4) at a file offset. */
struct places {
    uint64_t *at;
    size_t count;
};

/* Finds them in an image that is valid. */
void image_find_places(const struct image *image,
                       struct places places[N_PLACE_KINDS]);

#endif
