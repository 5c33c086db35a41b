/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* How much of a file is kept, to the block. */

#ifndef QT_KEPT_H
#define QT_KEPT_H

#include "base/vector.h"

#include <stddef.h>
#include <stdint.h>

/* A file system may take more for a file than it holds, for a while (XFS
 * does), so st_blocks is no measure.  This counts blocks of KEPT_BLOCK bytes
 * that have anything in them.  It looks at sectors of 512 bytes, of which data
 * always has whole ones.  It takes about a byte of memory for each block.
 * All-zero keeps nothing.
 */
enum { KEPT_BLOCK = 4096 };

struct kept_chunk;

VECTOR_TYPE(kept_chunks, struct kept_chunk *);

struct kept {
    struct kept_chunks chunks;
    uint64_t blocks; /* with something in them */
};

/* Bytes [from, to) are kept from now on; from <= to. */
int kept_add(struct kept *kept, uint64_t from, uint64_t to, struct error *err);

/* The whole sectors in [from, to) are not kept any more.  Of the blocks that
 * they lie in those that are empty then are [*empty_from, *empty_to), which is
 * larger than what was asked for where its neighbours were gone before.
 * Returns how many bytes that gives back.
 */
uint64_t kept_remove(struct kept *kept, uint64_t from, uint64_t to,
                     uint64_t *empty_from, uint64_t *empty_to);

/* Bytes in the blocks that are kept. */
uint64_t kept_bytes(const struct kept *kept);

/* Frees what it holds; nothing is kept then. */
void kept_clear(struct kept *kept);

#endif
