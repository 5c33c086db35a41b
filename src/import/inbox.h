/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A qcow2 stream while it arrives: what is here of it, and whose it is. */

#ifndef QT_INBOX_H
#define QT_INBOX_H

#include "base/error.h"
#include "import/arrival.h"
#include "lists/filemap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Any thread may call any of this at any time, but only one of them, the
 * receiver, calls inbox_append, inbox_skip and inbox_end_stream.  Lengths are
 * bytes, and offsets are file offsets: positions in the stream.
 */
struct inbox;

/* Keeps what it must in a file without a name in the directory spool_dir; past
 * limit bytes there (0: none) it drops tables that QEMU is done with, and if
 * that is not enough inbox_append fails.
 */
int inbox_new(const char *spool_dir, uint64_t limit, struct inbox **inbox,
              struct error *err);

/* NULL is fine.  No view of it may be in use, and nobody may wait. */
void inbox_free(struct inbox *inbox);

/* If QEMU met an error of the spool, or read what it must not, that is the
 * cause of what came after it: returns -1 with it, each time.
 */
int inbox_check(struct inbox *inbox, struct error *err);

/* --------------------------------------------------------------- arrival */

/* The next length bytes of the stream are in buf, to be kept. */
int inbox_append(struct inbox *inbox, const void *buf, size_t length,
                 struct error *err);

/* The next length bytes of the stream are where they belong, or nobody needs
 * them.
 */
void inbox_skip(struct inbox *inbox, uint64_t length);

/* There is no more of the stream.  is_whole: it is as long as announced.  why
 * is what has ended it, for a message, if that was not the sender's usual end;
 * else NULL.  It must outlive the inbox.  May be said again.
 */
void inbox_end_stream(struct inbox *inbox, bool is_whole, const char *why);

/* How much has arrived; so it is the file offset of what comes next. */
uint64_t inbox_arrived(struct inbox *inbox);

/* What comes before file_end may be kept, even if nobody knows yet what it
 * is.  To keep more at once than the mapper can look at would only fill the
 * spool.  What was allowed once stays allowed.
 */
void inbox_allow(struct inbox *inbox, uint64_t file_end);

/* How many bytes that is, from what has arrived on. */
uint64_t inbox_allowed(struct inbox *inbox);

/* The file offset behind the last byte that was asked for by a view that waits
 * (inbox_show_waiting).  Unless that has arrived, somebody is waiting.
 */
uint64_t inbox_wanted_end(struct inbox *inbox);

/* Waits until all before file_end has arrived, or never will. */
enum inbox_wait inbox_wait(struct inbox *inbox, uint64_t file_end);

/* The same, but for no more than milliseconds; INBOX_ARRIVED then, too. */
enum inbox_wait inbox_wait_briefly(struct inbox *inbox, uint64_t file_end,
                                   unsigned milliseconds);

/* Nobody shall wait any more: whoever does is told INBOX_CANCELLED. */
void inbox_cancel(struct inbox *inbox);

/* Returns -1 with the error for a stream that has ended before file_end, while
 * the bytes before that are needed.  It says why it has ended.
 */
int inbox_truncated(struct inbox *inbox, uint64_t file_end, struct error *err);

/* The same, where a compressed cluster is needed that ends before file_end.
 * QEMU can write files that end inside the last sector of one, and there is no
 * telling them from truncated ones.
 */
int inbox_truncated_sector(struct inbox *inbox, uint64_t file_end,
                           struct error *err);

/* ----------------------------------------------------------------- spool */

/* Is there room for length bytes more, before any table is dropped? */
bool inbox_has_room(struct inbox *inbox, uint64_t length);

/* How many bytes that is; UINT64_MAX without a limit. */
uint64_t inbox_room(struct inbox *inbox);

/* length bytes from file_offset on into buf.  They must have come with
 * inbox_append, and not have been punched.
 */
int inbox_read(struct inbox *inbox, void *buf, size_t length,
               uint64_t file_offset, struct error *err);

/* Gives back the room of length bytes that nobody will read again.  The file
 * system may refuse; then they count as kept.
 */
void inbox_punch(struct inbox *inbox, uint64_t file_offset, uint64_t length);

/* The most bytes that were kept in the spool at a time, in blocks of
 * KEPT_BLOCK bytes.
 */
uint64_t inbox_peak(struct inbox *inbox);

/* As store_settle, for all that was read from it. */
int inbox_settle(struct inbox *inbox, struct error *err);

/* All bytes that ever went to the spool. */
uint64_t inbox_appended(struct inbox *inbox);

/* ---------------------------------------------------------------- ledger */

/* length bytes at file_offset are a table that every run of QEMU reads: never
 * dropped.  To be said before any run.
 */
int inbox_protect(struct inbox *inbox, uint64_t file_offset, uint64_t length,
                  struct error *err);

/* From now on no table is dropped at all: another reader needs them. */
void inbox_keep_tables(struct inbox *inbox);

/* Has any table been dropped? */
bool inbox_has_dropped(struct inbox *inbox);

/* These pieces of the file are data, and so are the clusters of granule bytes
 * (a power of two) that they lie in.  From now on it is an error for QEMU to
 * read them as anything else.  It fails if any byte of them has been claimed
 * before, or read as something else.
 */
int inbox_claim(struct inbox *inbox, const struct filemap *data,
                uint64_t granule, struct error *err);

/* All that was asked for has been read.  Fails if a compressed cluster has a
 * byte of another one.
 */
int inbox_check_compressed(struct inbox *inbox, struct error *err);

#endif
