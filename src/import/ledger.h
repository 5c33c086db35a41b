/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Who owns which byte of an arriving qcow2 file: data or metadata. */

#ifndef QT_LEDGER_H
#define QT_LEDGER_H

#include "base/error.h"
#include "lists/filemap.h"
#include "lists/ranges.h"

#include <stdbool.h>
#include <stdint.h>

/* Each byte of the file is in one state: not known yet, plain data, compressed
 * data, or table (which is metadata).  A table may be protected, or dropped.
 * Once a state is known it never changes.  A claim that contradicts it, or
 * that gives one byte to two places of the disk, returns -1 with an error that
 * names the file offset, and changes nothing.
 *
 * All lengths are bytes and all offsets file offsets.  All-zero is the empty
 * ledger.  It has no lock of its own.
 */
struct ledger {
    struct ranges data;       /* plain data of the disk */
    struct ranges compressed; /* compressed data: see ledger_add_compressed */
    struct ranges_batch new_compressed; /* the newest of it */
    struct ranges tables;    /* read by QEMU, in runs that succeeded */
    struct ranges protected; /* of them, those that every run reads */
    struct ranges droppable; /* of them, the others */
    struct ranges dropped;   /* of them, what is not to be read again */
};

/* length bytes at file_offset are a table that every run of QEMU reads: never
 * dropped.  Fails only for want of memory.
 */
int ledger_protect(struct ledger *ledger, uint64_t file_offset,
                   uint64_t length, struct error *err);

/* May QEMU read this as metadata?  Returns -1 if it is plain data, or has been
 * dropped.  Nothing is noted.
 */
int ledger_check_table(struct ledger *ledger, uint64_t file_offset,
                       uint64_t length, struct error *err);

/* Has any of it been dropped? */
bool ledger_is_dropped(const struct ledger *ledger, uint64_t file_offset,
                       uint64_t length);

/* What QEMU has read, in a run that succeeded, is metadata.  On success reads
 * is empty.  may_drop: what is not protected may be dropped.
 */
int ledger_add_tables(struct ledger *ledger, struct ranges_batch *reads,
                      bool may_drop, struct error *err);

/* The entries of data are plain data.  Whole clusters of cluster_size bytes, a
 * power of two, are claimed, even where an entry has only a part of one (as
 * with extended L2 entries).
 */
int ledger_add_data(struct ledger *ledger, const struct filemap *data,
                    uint64_t cluster_size, struct error *err);

/* QEMU reads a compressed cluster from its first byte to the end of the sector
 * that it ends in, in one read (docs/interop/qcow2.txt in QEMU's source,
 * "Compressed Clusters Descriptor").  Where it ends there is not told, and the
 * next one may begin in that sector.  A read is of a table instead if
 * is_opening, or if it lies wholly in known tables and begins at a multiple of
 * 512.  Protected tables do not count there: QEMU does not read them again
 * once it has opened the image.  *is_compressed says which it was.  Each
 * cluster is to be read once: one that has a byte of another is refused.
 */
int ledger_add_compressed(struct ledger *ledger, bool is_opening,
                          uint64_t file_offset, uint64_t length,
                          bool *is_compressed, struct error *err);

/* Has any compressed cluster a byte of another?  All of them are looked at in
 * ledger_add_data and here, some before.
 */
int ledger_check_compressed(struct ledger *ledger, struct error *err);

/* Gives back the room of a table. */
typedef void ledger_drop(void *opaque, uint64_t file_offset, uint64_t length);

/* All tables but the protected ones are dropped: they are not to be read any
 * more.  Calls drop for each of them that has not been dropped before.
 */
int ledger_drop_tables(struct ledger *ledger, ledger_drop *drop, void *opaque,
                       struct error *err);

/* Frees what it holds; it is empty then. */
void ledger_clear(struct ledger *ledger);

#endif
