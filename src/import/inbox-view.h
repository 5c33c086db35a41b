/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What QEMU sees of a qcow2 stream while it arrives. */

#ifndef QT_INBOX_VIEW_H
#define QT_INBOX_VIEW_H

#include "base/error.h"
#include "import/inbox.h"
#include "import/missing.h"
#include "lists/ranges.h"
#include "nbd/server.h"

#include <stdbool.h>
#include <stdint.h>

/* What one QEMU sees of the stream, over a bridge of its own, and what came of
 * it.  The caller's memory, which must stay where it is until the bridge has
 * been stopped; its contents are the inbox's and guarded by its lock, but for
 * export, which is for nbd_server_start.
 */
struct inbox_view {
    struct inbox *inbox;
    struct nbd_export export;
    bool has_fault;     /* it wanted what is not here; then ... */
    uint64_t fault_end; /* ... that ends at this file offset */

    /* For inbox_show_waiting: */
    int wake_fd;
    bool is_open; /* inbox_view_opened has been called */

    /* For inbox_show_arrived: */
    uint64_t arrived;          /* bytes of the stream that it is shown */
    uint64_t slice;            /* bytes of a table that it reads at once */
    bool is_again;             /* it may read what another run has read */
    bool has_gaps;             /* it wanted a table that has been dropped */
    struct missing missing;    /* slices that it was shown as empty */
    uint64_t filled;           /* slices that it has read and are not empty */
    struct ranges_batch reads; /* of these, for inbox_settle_reads */
    struct ranges_batch empty; /* slices that it has read and are empty */
};

/* For a QEMU that finds out what is what: it reads what has arrived by now,
 * though more comes while it does.  Of the rest, whole slices of tables, of
 * slice bytes, read as if they were empty, and are noted; so what QEMU finds
 * is true, but that it finds nothing is not.  All else that is missing fails
 * with EIO.  is_again: it may read tables that another run has read; so if one
 * of those has been dropped that is no fault of the image's.
 */
void inbox_show_arrived(struct inbox *inbox, struct inbox_view *view,
                        uint64_t slice, bool is_again);

/* So many slices may be missing: QEMU takes 30 us for each. */
enum { INBOX_MOST_MISSING = 32768 };

/* How much was there of what QEMU wanted to read? */
enum inbox_sight {
    INBOX_SAW_ALL,
    INBOX_SAW_PART, /* not all tables */
    INBOX_SAW_FEW,  /* more than INBOX_MOST_MISSING were not, and it failed */
    INBOX_SAW_NONE, /* not what it cannot do without, and it failed */
    INBOX_SAW_GAPS, /* a table that is_again was dropped, and it failed */
};

/* That, once the bridge has been stopped.  Then view->missing is what was
 * missing, and view->filled may be looked at.
 */
enum inbox_sight inbox_sight(const struct inbox_view *view);

/* For a QEMU that decodes compressed clusters of windows that are mapped, each
 * once: what has not arrived is waited for.  Such data is refused where it has
 * bytes of other data, or of tables.  Its room in the spool is given back when
 * it has been read.  wake_fd, an eventfd or -1, is written to when bytes are
 * waited for (inbox_wanted_end).
 */
void inbox_show_waiting(struct inbox *inbox, struct inbox_view *view,
                        int wake_fd);

/* From now on QEMU does not read the header, nor the tables that every run
 * reads (inbox_protect): it has the image open.
 */
void inbox_view_opened(struct inbox_view *view);

/* Releases what the view holds.  Its bridge must have been stopped. */
void inbox_hide(struct inbox_view *view);

/* Takes the view's last fault, if there was one since this was last asked:
 * *file_end is the file offset behind the bytes that were missing.
 */
bool inbox_take_fault(struct inbox_view *view, uint64_t *file_end);

/* What QEMU has read in this view, since this was last called, is metadata.
 * Fails if a byte of it is compressed data.  may_drop: what has anything in
 * it is not read again, so it may be dropped if the spool is full.
 */
int inbox_settle_reads(struct inbox_view *view, bool may_drop,
                       struct error *err);

#endif
