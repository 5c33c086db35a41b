/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A qcow2 stream while it arrives: what is here of it, and what QEMU sees. */

#ifndef QT_INBOX_H
#define QT_INBOX_H

#include "base/error.h"
#include "lists/filemap.h"
#include "nbd/server.h"
#include "lists/ranges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inbox;

/* Keeps what it must in a store (store.h) in spool_dir; past limit bytes
 * there (0: none) it drops tables that QEMU is done with, and if that is not
 * enough inbox_append fails.
 */
int inbox_new(const char *spool_dir, uint64_t limit, struct inbox **inbox,
              struct error *err);

/* NULL is fine.  No server may show it any more. */
void inbox_free(struct inbox *inbox);

/* If QEMU met an error of the spool, or read what it must not, that is the
 * cause of what came after it: returns -1 with it.
 */
int inbox_check(struct inbox *inbox, struct error *err);

/* What one QEMU sees of the stream, over a bridge of its own, and what came of
 * it.  The caller's memory, until the bridge has been stopped; the inbox looks
 * after its contents.
 */
struct inbox_view {
    struct inbox *inbox;
    struct nbd_export export;
    bool has_fault;
    uint64_t fault_end;
    bool is_open;              /* inbox_view_opened */
    struct ranges_batch reads; /* that are not settled */
};

/* QEMU reads what has arrived, to find out what is what.  A read of anything
 * else is a fault: it fails at once with EIO, and is remembered.
 */
void inbox_show_arrived(struct inbox *inbox, struct inbox_view *view);

/* QEMU reads compressed data of windows that are mapped, each cluster once;
 * what has not arrived is waited for.  Such data is refused where it has
 * bytes of other data, or of tables.
 */
void inbox_show_waiting(struct inbox *inbox, struct inbox_view *view);

/* From now on QEMU does not look at the header, nor at the tables that every
 * run reads: it has the image open.
 */
void inbox_view_opened(struct inbox_view *view);

/* Once its bridge has been stopped. */
void inbox_hide(struct inbox_view *view);

/* All that was asked for has been read.  Fails if a compressed cluster has a
 * byte of another one.
 */
int inbox_check_compressed(struct inbox *inbox, struct error *err);

/* A table that every run of QEMU reads: never dropped.  To be said before any
 * run.
 */
int inbox_protect(struct inbox *inbox, uint64_t file_offset, uint64_t length,
                  struct error *err);

/* From now on no table is dropped at all: another reader needs them. */
void inbox_keep_tables(struct inbox *inbox);

/* Is there room for length bytes more, before any table is dropped? */
bool inbox_has_room(struct inbox *inbox, uint64_t length);

/* The next length bytes of the stream, to be kept; or known to the caller,
 * who has put them where they belong.
 */
int inbox_append(struct inbox *inbox, const void *buf, size_t length,
                 struct error *err);
void inbox_skip(struct inbox *inbox, uint64_t length);

/* There is no more of the stream.  is_whole: it is as long as announced. */
void inbox_end_stream(struct inbox *inbox, bool is_whole);

/* How much has arrived. */
uint64_t inbox_arrived(struct inbox *inbox);

/* Takes the view's last fault, if there was one since this was last asked:
 * *file_end is the end of the bytes that were missing.
 */
bool inbox_take_fault(struct inbox_view *view, uint64_t *file_end);

/* What QEMU has read in this view, since this was last called, is metadata
 * that counts.
 */
int inbox_settle_reads(struct inbox_view *view, struct error *err);

/* These pieces of the file are data, and so are the clusters of granule bytes
 * that they lie in.  From now on it is an error for QEMU to read them as
 * anything else, or for anybody to claim them again, or if they have been read
 * as something else before.
 */
int inbox_claim(struct inbox *inbox, const struct filemap *data,
                uint64_t granule, struct error *err);

/* What comes before file_end may be kept, even if nobody knows yet what it
 * is.  To keep more at once than the mapper can look at would only fill the
 * spool.
 */
void inbox_allow(struct inbox *inbox, uint64_t file_end);

/* How many bytes that is, from what has arrived on. */
uint64_t inbox_allowed(struct inbox *inbox);

enum inbox_wait { INBOX_ARRIVED, INBOX_ENDED, INBOX_CANCELLED };

/* Waits until all before file_end has arrived, or never will. */
enum inbox_wait inbox_wait(struct inbox *inbox, uint64_t file_end);

/* The same, but for no more than milliseconds; INBOX_ARRIVED then, too. */
enum inbox_wait inbox_wait_briefly(struct inbox *inbox, uint64_t file_end,
                                   unsigned milliseconds);

/* Nobody shall wait any more. */
void inbox_cancel(struct inbox *inbox);

/* The error for a stream that has ended before file_end, as the bytes before
 * that are needed.  Returns -1.
 */
int inbox_truncated(struct inbox *inbox, uint64_t file_end, struct error *err);

/* The same, where a compressed cluster is needed that ends before file_end.
 * QEMU can write files that end inside the last sector of one, and there is no
 * telling them from truncated ones.
 */
int inbox_truncated_sector(struct inbox *inbox, uint64_t file_end,
                           struct error *err);

/* length bytes from file_offset on into buf, which must have arrived. */
int inbox_read(struct inbox *inbox, void *buf, size_t length,
               uint64_t file_offset, struct error *err);

/* Gives back the room of a piece that nobody will read again. */
void inbox_punch(struct inbox *inbox, uint64_t file_offset, uint64_t length);

/* The most bytes that were kept in the spool at a time, in blocks of 4 KiB,
 * and all that went there.
 */
uint64_t inbox_peak(struct inbox *inbox);
uint64_t inbox_appended(struct inbox *inbox);

#endif
