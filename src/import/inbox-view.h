/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What QEMU sees of a qcow2 stream while it arrives. */

#ifndef QT_INBOX_VIEW_H
#define QT_INBOX_VIEW_H

#include "base/error.h"
#include "import/inbox.h"
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
    bool has_fault;            /* see inbox_take_fault */
    uint64_t fault_end;        /* a file offset */
    bool is_open;              /* inbox_view_opened */
    int wake_fd;               /* of inbox_show_waiting */
    struct ranges_batch reads; /* that inbox_settle_reads has not seen */
};

/* For a QEMU that finds out what is what: it reads what has arrived.  A read
 * of anything else is a fault: it fails at once with EIO, and is remembered.
 */
void inbox_show_arrived(struct inbox *inbox, struct inbox_view *view);

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
 * Fails if a byte of it is compressed data.
 */
int inbox_settle_reads(struct inbox_view *view, struct error *err);

#endif
