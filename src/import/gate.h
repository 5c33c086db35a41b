/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Decides by its header whether a stranger's image may meet QEMU. */

#ifndef QT_GATE_H
#define QT_GATE_H

#include "base/error.h"
#include "qemu/header.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a stream that are looked at. */
enum { GATE_HEADER = HEADER_BYTES };

/* What the rest of the import needs to know of the image.  All are bytes. */
struct gate_image {
    uint64_t virtual_size; /* bytes, a multiple of 512 */
    uint64_t cluster_size;
    uint64_t window; /* bytes of disk one L2 table describes */
    size_t header_length;
    uint64_t l1_offset, l1_length;             /* in the file */
    uint64_t refcount_offset, refcount_length; /* the refcount table */
};

/* Looks at the first length bytes of a stream, GATE_HEADER of them unless
 * it is shorter.  Refused: what is not qcow2 of version 2 or 3; a backing
 * file, an external data file, encryption; an incompatible feature other
 * than the dirty bit, the compression type and extended L2 entries; a
 * compression type that contradicts its feature bit; tables past the limits
 * that QEMU has (block/qcow2.h in its source); a stream that ends in the
 * header.  The layout is that of docs/interop/qcow2.txt there.
 */
int gate_check(const unsigned char *header, size_t length,
               struct gate_image *image, struct error *err);

/* Fills err for a stream that does not begin as a qcow2 image: says what these
 * first length bytes are, if they tell (foreign.h).  Returns -1.
 */
int gate_refuse_foreign(const unsigned char *bytes, size_t length,
                        struct error *err);

/* Changes the stream's length bytes in buf, which stand at file_offset, into
 * what QEMU is shown (header_clean): it neither waits for tables at the end of
 * the stream nor parses more of it than it must.  The first call has the whole
 * header.
 */
void gate_clean(const struct gate_image *image, uint64_t file_offset,
                unsigned char *buf, size_t length);

#endif
