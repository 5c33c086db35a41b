/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Reads what xapi says has changed on a disk. */

#ifndef QT_CHANGED_BLOCKS_H
#define QT_CHANGED_BLOCKS_H

#include "base/error.h"
#include "lists/extents.h"

#include <stdint.h>

/* What VDI.list_changed_blocks returns (ocaml/idl/datamodel.ml in xen-api
 * v26.17.0; libs/sm/VDI.py in xapi-project/sm at 471cf7e of April 2026 makes
 * it): base64 of one bit for each 64 KiB of the disk, the most significant bit
 * of a byte first, in whole bytes.  tapdisk's own log has the least
 * significant one first (set_bit in drivers/block-log.c of xapi-project/blktap
 * v4.0.8), and VDI.py turns each byte around (bytereverse).
 */
#define CHANGED_BLOCK (UINT64_C(64) << 10)

/* Reads it from fd, to its end, and appends to changed, which is empty, what
 * it says has changed of a disk of disk_size bytes.  White space is skipped.
 * It is an error if anything else is not base64, if the length is that of
 * another disk, or if a block is marked that the disk does not have.  name is
 * what messages call it; fd stays the caller's.
 */
int changed_blocks_read(int fd, const char *name, uint64_t disk_size,
                        struct extents *changed, struct error *err);

#endif
