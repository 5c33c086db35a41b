/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The header of a qcow2 file: the only structure of it that we know. */

#ifndef QT_HEADER_H
#define QT_HEADER_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is looked at of it (docs/interop/qcow2.txt in QEMU's source): the
 * fields of version 3, and the compression type.
 */
enum { HEADER_BYTES = 112, HEADER_V2_LENGTH = 72, HEADER_V3_LENGTH = 104 };

/* Of an image without a backing file, what does not depend on where in the
 * file its tables are.
 */
enum { HEADER_BEGINNING = 36 };

/* Incompatible features. */
enum {
    HEADER_DIRTY = 1 << 0,
    HEADER_CORRUPT = 1 << 1,
    HEADER_DATA_FILE = 1 << 2,
    HEADER_COMPRESSION = 1 << 3,
    HEADER_EXTENDED_L2 = 1 << 4,
    HEADER_KNOWN_FEATURES = (1 << 5) - 1,
};

/* The fields, as they are in the file: nothing of it has been checked. */
struct header {
    uint32_t version;
    uint64_t backing_offset; /* of the name of the backing file */
    uint32_t backing_length;
    uint32_t cluster_bits;
    uint64_t virtual_size; /* bytes; in whole sectors, as QEMU takes it */
    uint32_t crypt_method;
    uint32_t l1_entries, refcount_clusters, n_snapshots; /* counts */
    uint64_t l1_offset, refcount_offset;                 /* in the file */

    /* Of version 2 these are as if it were version 3. */
    uint64_t incompatible_features;
    uint32_t refcount_order;
    uint32_t length;
    uint8_t compression_type;
};

/* Can a file that begins with these length bytes be qcow2? */
bool header_is_qcow2(const unsigned char *bytes, size_t length);

/* Takes HEADER_BYTES bytes, of which a file that is shorter lacks some; they
 * are zeroes then.
 */
void header_parse(const unsigned char *bytes, struct header *header);

/* One that is set to an offset, but has no length, names none. */
bool header_has_backing(const struct header *header);

/* What an image says about its disk, and which other files that is in. */
struct header_image {
    uint64_t virtual_size; /* bytes, a multiple of 512 */
    uint64_t cluster_size;
    bool is_extended_l2;

    /* As they are recorded, byte by byte; NULL: they are not.  The caller's,
     * until header_image_clear.
     */
    char *backing_file, *backing_format, *data_file;
};

/* Reads the header of the open file fd.  What is wrong with the tables that it
 * points to is QEMU's to say.
 */
int header_read(int fd, struct header_image *image, struct error *err);

void header_image_clear(struct header_image *image);

#define cleanup_header_image header_image_clear /* CLEANUP(header_image) */

/* Changes the length bytes in buf, which stand at file_offset, into what QEMU
 * is shown of an image of this header length and cluster size: no backing
 * file, no snapshots, no dirty and autoclear bits, no header extensions.  The
 * disk is the same, if it has no backing file.
 */
void header_clean(uint64_t header_length, uint64_t cluster_size,
                  uint64_t file_offset, unsigned char *buf, size_t length);

/* Writes another size of the disk, in bytes, into the header of the open file
 * fd.  All tables stay as they are.
 */
int header_write_disk_size(int fd, uint64_t disk_size, struct error *err);

/* The first bytes of a new image of version 2 or 3.  Both sizes are in bytes;
 * that of the disk is a multiple of 512.
 */
void header_make_beginning(bool is_v2, uint64_t cluster_size,
                           uint64_t disk_size,
                           unsigned char bytes[HEADER_BEGINNING]);

/* Takes only the name of the backing file out of what QEMU is shown. */
void header_hide_backing(uint64_t file_offset, unsigned char *buf,
                         size_t length);

#endif
