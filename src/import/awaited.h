/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The tables that are waited for, and what is to be mapped then. */

#ifndef QT_AWAITED_H
#define QT_AWAITED_H

#include "base/error.h"
#include "base/vector.h"

#include <stdint.h>

struct awaited_table {
    uint64_t file_end;    /* it is before that */
    uint64_t disk_offset; /* of the part of the disk to be mapped */
};

/* All-zero is the empty list. */
VECTOR_TYPE(awaited, struct awaited_table);

/* For a list in any order. */
int awaited_add(struct awaited *awaited, uint64_t file_end,
                uint64_t disk_offset, struct error *err);

/* Of a list in the order of the file, which it stays: those for parts in
 * [disk_offset, disk_end) are not waited for any more, but those in news, in
 * any order, are.
 */
int awaited_replace(struct awaited *awaited, uint64_t disk_offset,
                    uint64_t disk_end, struct awaited *news,
                    struct error *err);

/* How many of such a list end at limit or before, a file offset. */
size_t awaited_before(const struct awaited *awaited, uint64_t limit);

void awaited_clear(struct awaited *awaited);

#define cleanup_awaited awaited_clear /* for CLEANUP(awaited) */

#endif
