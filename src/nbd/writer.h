/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Writes a disk to an NBD server, by any range that the caller likes. */

#ifndef QT_NBD_WRITER_H
#define QT_NBD_WRITER_H

#include "base/error.h"
#include "nbd/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nbd_writer;

/* Connects as nbd_client_open does, and refuses an export that is read-only.
 * keeps_space: what is zeroed is not given back to the storage.
 */
int nbd_writer_open(const struct nbd_address *address, bool keeps_space,
                    struct nbd_writer **writer, struct error *err);

/* Bytes of the export. */
uint64_t nbd_writer_size(const struct nbd_writer *writer);

/* Can the server be told to bring all to stable storage? */
bool nbd_writer_can_flush(const struct nbd_writer *writer);

/* What is best written at once, in bytes: at multiples of it on the disk. */
uint64_t nbd_writer_piece(const struct nbd_writer *writer);

/* A buffer for what one thread is going to write to [disk_offset,
 * disk_offset + length), which goes to the server without another copy.  *buf
 * is NULL if the range is not of whole blocks of the server's, or is longer
 * than a piece.
 * It is the writer's again when something has been written from where it
 * begins; until then it is the same again.
 */
int nbd_writer_lend(struct nbd_writer *writer, uint64_t disk_offset,
                    uint64_t length, char **buf, struct error *err);

/* Several threads may write at a time, and one may zero, each its own range.
 * These return before the server has answered: the error may be that of any
 * earlier call.  Edges of a range that are less than a block of the server's
 * are read, changed and written.
 */
int nbd_writer_write(struct nbd_writer *writer, const void *buf, size_t length,
                     uint64_t disk_offset, struct error *err);
int nbd_writer_zero(struct nbd_writer *writer, uint64_t disk_offset,
                    uint64_t length, struct error *err);

/* Waits for all answers, has the server flush if it can, and disconnects. */
int nbd_writer_finish(struct nbd_writer *writer, struct error *err);

/* Has the connection to the server been lost? */
bool nbd_writer_is_lost(const struct nbd_writer *writer);

/* All calls under way fail, and those that come. */
void nbd_writer_cancel(struct nbd_writer *writer);

/* NULL is fine. */
void nbd_writer_free(struct nbd_writer *writer);

#endif
