/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decides by its header whether a stranger's image may meet QEMU. */

#ifndef QT_GATE_H
#define QT_GATE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What of the header (docs/interop/qcow2.txt in QEMU's source) is looked
 * at: version 3's fields and the compression type.
 */
enum { GATE_HEADER = 112 };

/* What the rest of the import needs to know of it. */
struct gate_image {
    uint64_t virtual_size; /* bytes, a multiple of 512 */
    uint64_t cluster_size;
    uint64_t window; /* bytes of disk one L2 table describes */
    size_t header_length;
    uint64_t l1_offset, l1_length;             /* in the file, in bytes */
    uint64_t refcount_offset, refcount_length; /* the refcount table */
};

/* Can a stream that begins with these length bytes be qcow2? */
bool gate_is_qcow2(const unsigned char *header, size_t length);

/* Looks at the first length bytes of a stream, GATE_HEADER of them unless
 * it is shorter.  Refused: what is not qcow2 of version 2 or 3; a backing
 * file, an external data file, encryption; an incompatible feature other
 * than the dirty bit, the compression type and extended L2 entries; tables
 * past the limits that QEMU has; a stream that ends in the header.
 */
int gate_check(const unsigned char *header, size_t length,
               struct gate_image *image, struct error *err);

/* Changes the stream's length bytes in buf, which stand at file_offset, into
 * what QEMU is shown: no snapshots, no dirty and autoclear bits, no header
 * extensions.  The disk is the same, and QEMU neither waits for tables at
 * the end of the stream nor parses more of it than it must.  The first call
 * has the whole header.
 */
void gate_clean(const struct gate_image *image, uint64_t file_offset,
                unsigned char *buf, size_t length);

/* Takes only the name of the backing file out of what QEMU is shown. */
void gate_hide_backing(uint64_t file_offset, unsigned char *buf,
                       size_t length);

#endif
