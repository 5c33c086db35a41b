/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A sparse file without a name, which QEMU sees through the bridge. */

#ifndef QT_STORE_H
#define QT_STORE_H

#include "base/error.h"
#include "nbd/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* Makes an empty one in dir, the spool directory, which has to outlive it as a
 * string: messages name it.  It has no name, so whatever
 * happens to us, nothing is left.  *store is for store_free.
 */
int store_new(const char *dir, struct store **store, struct error *err);

/* How much it may take in the spool directory, in bytes; 0: no bound.
 * STORE_HALF_FREE is half of what is free there now: returns what that is.
 * Before that there is no bound.  Export: QEMU's writes beyond it fail.
 */
#define STORE_HALF_FREE UINT64_MAX
uint64_t store_limit(struct store *store, uint64_t limit);

/* NULL is fine.  No server may show it any more. */
void store_free(struct store *store);

/* The file, for reading and writing: still the store's to close. */
int store_fd(const struct store *store);

/* If QEMU met an error of the spool (it is full, say), that is the cause of
 * what came after it: returns -1 with it.
 */
int store_check(struct store *store, struct error *err);

/* For when something was to write to it and failed, as err says.  If there was
 * no room, that is said, and where, and how many bytes were needed up to then.
 * Returns -1.
 */
int store_explain_full(const struct store *store, uint64_t needed,
                       struct error *err);

/* Has all that was written to it so far, by whomever, been kept?  A write ends
 * in memory, and may fail later: then what is read back is zeroes, and nobody
 * says so.  Who has read from it asks before that counts.  Waits for what is
 * being written out just now, and has nothing written out.
 */
int store_settle(const struct store *store, struct error *err);

/* Empties it, for another image.  Nobody may be shown it meanwhile. */
int store_clear(struct store *store, struct error *err);

/* Bytes it takes in the spool directory now (st_blocks, inode(7)); 0 if that
 * cannot be told.
 */
uint64_t store_spooled(const struct store *store);

/* On export: fills *export so that QEMU writes an image into the store, of at
 * most size bytes; the store has to outlive its use.  What has been read
 * counts from here on (store_read_end).
 */
void store_show_writable(struct store *store, uint64_t size,
                         struct nbd_export *export);

/* The file offset behind the last byte written, zeroes too: where a file that
 * QEMU writes by itself ends.
 */
uint64_t store_written_end(const struct store *store);

/* The file offset behind the last byte that QEMU read, since the store was
 * last shown to it.
 */
uint64_t store_read_end(const struct store *store);

/* *end is the file offset behind the last byte that is not zero, or from if
 * there is none from there on.
 */
int store_find_content_end(const struct store *store, uint64_t from,
                           uint64_t *end, struct error *err);

/* Gives back the room of a piece that nobody will read again, where the file
 * system can: if not, false.
 */
bool store_punch(struct store *store, uint64_t file_offset, uint64_t length);

#endif
