/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Brings each byte of an arriving qcow2 stream to where it belongs. */

#ifndef QT_ROUTE_H
#define QT_ROUTE_H

#include "base/error.h"
#include "import/inbox.h"
#include "import/mapper.h"
#include "import/target.h"
#include "qemu/qemu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All that the members point to must outlive the route. */
struct route_options {
    const struct qemu *qemu;
    struct inbox *inbox;
    struct target *target;
    uint64_t disk_size, cluster_size; /* bytes, of the image */
    bool is_prezeroed; /* what was never allocated is left alone */
    int wake_fd;       /* an eventfd: something has changed */
};

struct route;

/* Starts the threads that write to the target beside the receiver. */
int route_open(const struct route_options *options, struct route **route,
               struct error *err);

/* For the mapper, in its thread: as mapper_give_window and mapper_backlog.
 * opaque is a route.
 */
int route_add_window(void *opaque, struct mapper_window *window,
                     struct error *err);
uint64_t route_backlog(void *opaque, uint64_t *needed_end);

/* ---------------------------------------------------------- the receiver */

/* All that follows is for one thread, the receiver.  It asks what to do with
 * the next part of the stream, reads that much, and delivers it; in turn.
 */
enum route_kind {
    ROUTE_KEEP, /* nobody knows yet, or QEMU needs it: to the spool */
    ROUTE_DISK, /* data: to disk_offset of the disk */
    ROUTE_DROP, /* nobody needs it */
    ROUTE_WAIT, /* nobody knows yet, but soon: ask again at the next wake */
};

struct route_piece {
    enum route_kind kind;
    uint64_t length;      /* bytes, up to what was asked for */
    uint64_t disk_offset; /* ROUTE_DISK */
};

/* What to do with the next bytes, up to length of them (not 0).  What goes to
 * the disk ends at a multiple of the target's piece there at the latest, so
 * that what follows begins with a block of the disk.
 */
void route_next(struct route *route, uint64_t length,
                struct route_piece *piece);

/* buf has length bytes of the piece.  That may be less than piece->length; for
 * ROUTE_DISK only at the end of the stream.  For O_DIRECT see target_write;
 * it may be what target_lend has lent.
 */
int route_deliver(struct route *route, const struct route_piece *piece,
                  const void *buf, size_t length, struct error *err);

/* The file offset behind the last byte that is needed, as far as is known.
 * *is_known: that is all, and the stream may end there.
 */
uint64_t route_needed_end(struct route *route, bool *is_known);

/* An image with an overhang (it is larger than the target) is held back.  Has
 * all of its data arrived?
 */
bool route_is_releasable(struct route *route);

/* Then this lets it go to the disk; it fails if there is data in the overhang.
 */
int route_release(struct route *route, struct error *err);

/* Has all arrived that the disk needs, and may go there? */
bool route_is_complete(struct route *route);

/* Is everything on the disk that was to go there? */
bool route_is_idle(struct route *route);

/* Returns -1 with the error of a thread that has failed, if one has. */
int route_check(struct route *route, struct error *err);

/* Bytes that went to the disk straight, out of the spool, through QEMU, and
 * those that were zeroed; what is known so far to go there in these last two
 * ways, and whether anything is on its way.
 */
struct route_totals {
    uint64_t routed, moved;
    uint64_t read_back, to_read_back;
    uint64_t zeroed, to_zero;
    bool is_reading_back, is_zeroing;
};

struct route_totals route_totals(struct route *route);

/* Ends all work, wherever it is.  NULL is fine. */
void route_free(struct route *route);

#endif
