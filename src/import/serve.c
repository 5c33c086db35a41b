/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qcow-tool serve: a qcow2 stream lands on a disk. */

/* Notes on the design
 *
 *     gate --> receive and route, while the mapper follows
 *          --> drain, while the rest is written --> flush
 *
 * The gate decides on the header, before anything else is touched.  Then
 * this thread does nothing but receive, and ask the route where the next
 * bytes go: to the disk, to the inbox, or nowhere.  All is there when the
 * whole disk is mapped and every byte that it needs has arrived: not when the
 * stream ends, because HTTP clients keep the connection open.
 *
 * A sender may still have bytes for us that no part of the disk needs: a
 * refcount table at the end, say.  They are taken and dropped, or it would
 * see its connection break.  They end where --source-size says, or with the
 * stream, or when nothing has come for a second, or when as much has come as
 * --destination-size says, where xapi puts what the client says.  We go on
 * reading as long as anything is still being written, for clients that do not
 * like to wait.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/interruption.h"
#include "base/io.h"
#include "base/log.h"
#include "base/occupied.h"
#include "base/own-cage.h"
#include "import/foreign.h"
#include "import/gate.h"
#include "import/inbox.h"
#include "import/incoming.h"
#include "import/mapper.h"
#include "import/phases.h"
#include "import/route.h"
#include "import/serve.h"
#include "import/target.h"
#include "qemu/qemu-img.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Milliseconds. */
enum {
    /* All that the disk needs is there.  A sender that has been silent for so
     * long has no more to send; if it has, it sees its connection break.
     */
    DRAIN_SILENCE_MS = 1000,

    FOREIGN_PATIENCE_MS = 100, /* for more of what came and is no image */

    /* The mapper is about to say what the next bytes are.  If that takes
     * longer, some are kept in the spool all the same: the sender must not see
     * a connection that stands still.
     */
    MAPPER_PATIENCE_MS = 1000,
};

/* What is open while a disk is imported. */
struct import {
    const struct serve_options *options;
    struct target *target; /* NULL: it is not open yet */
    struct gate_image image;
    struct inbox *inbox;
    struct route *route;
    struct mapper *mapper;
    int wake_fd; /* an eventfd: mapper or route have something to tell */
    struct incoming incoming;
    struct progress progress;
    /* Aligned, of IO_PIECE bytes and IO_ALIGN more: for O_DIRECT a piece lies
     * in memory as it will on the disk, modulo IO_ALIGN.
     */
    char *buf;
    char sha256[CHECKSUM_SPACE]; /* of all that came, at the end */
};

/* Nobody but us writes to the disk any more. */
static void end_others(struct import *m)
{
    target_cancel(m->target);
    mapper_free(m->mapper);
    m->mapper = NULL;
    route_free(m->route);
    m->route = NULL;
}

static void cleanup_import(struct import *m)
{
    progress_close(&m->progress);
    end_others(m);
    inbox_free(m->inbox);
    target_close(m->target);
    cleanup_close_fd(&m->wake_fd);
    checksum_free(m->incoming.checksum);
    free(m->buf);
}

/* What the others had to tell will be looked at. */
static void forget_wake(struct import *m)
{
    eventfd_t count;

    if (eventfd_read(m->wake_fd, &count) == -1)
        errno = 0; /* nothing new */
}

/* Has anything failed beside us? */
static int check_others(struct import *m, struct error *err)
{
    if (m->mapper != NULL && mapper_check(m->mapper, err) == -1)
        return -1;
    if (m->route != NULL && route_check(m->route, err) == -1)
        return -1;
    return 0;
}

/* Waits until there is something to read, or timeout_ms have passed without;
 * returns 1 or 0, or -1 if anything has failed.
 */
static int wait_for_stream(struct import *m, int timeout_ms, struct error *err)
{
    int ready = incoming_wait(&m->incoming, m->wake_fd, timeout_ms, err);

    if (ready == 0)
        forget_wake(m);
    if (ready == -1 || check_others(m, err) == -1)
        return -1;
    return ready;
}

/* Receives all of length bytes, fewer only at the end of the stream. */
static ssize_t receive_full(struct import *m, char *buf, uint64_t length,
                            struct error *err)
{
    uint64_t done = 0;

    while (done < length && !m->incoming.is_ended) {
        int ready = wait_for_stream(m, -1, err);
        ssize_t n = 0;

        if (ready == 1)
            n = incoming_read(&m->incoming, buf + done, length - done, err);
        if (ready == -1 || n == -1)
            return -1;
        done += n;
        /* The whole may take long on a slow line. */
        progress_set(&m->progress, m->incoming.received);
    }
    return done;
}

/* It is no image.  A little more of it may tell what it is; but who sends it
 * may well be waiting for our answer.
 */
static int refuse_foreign(struct import *m, const unsigned char *beginning,
                          size_t length, struct error *err)
{
    memcpy(m->buf, beginning, length);
    while (length < FOREIGN_BYTES && !m->incoming.is_ended) {
        int ready = wait_for_stream(m, FOREIGN_PATIENCE_MS, err);
        ssize_t n = 0;

        if (ready == 1)
            n = incoming_read(&m->incoming, m->buf + length,
                              FOREIGN_BYTES - length, err);
        if (ready == -1 || n == -1)
            return -1;
        if (n == 0)
            break;
        length += n;
    }
    return gate_refuse_foreign((unsigned char *)m->buf, length, err);
}

/* The header decides whether there is anything to do. */
static int pass_gate(struct import *m, unsigned char *header,
                     struct error *err)
{
    ssize_t length = receive_full(m, (char *)header, 4, err), more = 0;

    /* Who sends something else need not send much of it. */
    if (length > 0 && header_is_qcow2(header, length))
        more = receive_full(m, (char *)header + length, GATE_HEADER - length,
                            err);
    if (length == -1 || more == -1)
        return -1;
    if (m->incoming.is_hinted && m->incoming.received == 0)
        return error_set(err, 0,
                         "source: empty: not a byte has come in %d s, and "
                         "--destination-size is 0",
                         INCOMING_HINT_SILENCE_MS / 1000);
    if (length > 0 && !header_is_qcow2(header, length))
        return refuse_foreign(m, header, length, err);
    length += more;
    if (gate_check(header, length, &m->image, err) == -1)
        return -1;
    if (m->target->size < m->image.virtual_size &&
        m->image.virtual_size - m->target->size >= m->image.cluster_size)
        return error_set(err, 0,
                         "destination: too small: %s has %" PRIu64
                         " bytes, and the image's disk %" PRIu64,
                         destination_name(&m->options->destination),
                         m->target->size, m->image.virtual_size);
    return 0;
}

/* All is open: no name is needed any more, but those of programs, and that of
 * a file that we have made.
 */
static int give_up_power(const struct import *m, struct error *err)
{
    const struct qemu *qemu = &m->options->qemu;
    const char *const programs[] = {qemu->img, qemu->nbd, NULL};
    const struct own_cage own = {
        .policy = qemu->sandbox,
        .programs = programs,
        .made_path = m->target->made_path,
    };

    return own_cage_enter(&own, err);
}

/* The inbox has the header, and the others may begin. */
static int start_others(struct import *m, unsigned char *header,
                        struct error *err)
{
    const struct serve_options *o = m->options;
    const struct gate_image *image = &m->image;
    struct route_options route = {
        .qemu = &o->qemu,
        .target = m->target,
        .disk_size = image->virtual_size,
        .cluster_size = image->cluster_size,
        .is_prezeroed = o->is_prezeroed,
        .wake_fd = m->wake_fd,
    };

    if (inbox_new(o->spool_dir, o->spool_limit, &m->inbox, err) == -1 ||
        give_up_power(m, err) == -1 ||
        inbox_protect(m->inbox, 0, image->cluster_size, err) == -1 ||
        inbox_protect(m->inbox, image->l1_offset, image->l1_length, err) ==
            -1 ||
        inbox_protect(m->inbox, image->refcount_offset, image->refcount_length,
                      err) == -1)
        return -1;
    gate_clean(image, 0, header, GATE_HEADER);
    route.inbox = m->inbox;
    if (inbox_append(m->inbox, header, GATE_HEADER, err) == -1 ||
        route_open(&route, &m->route, err) == -1)
        return -1;
    return mapper_start(&o->qemu, m->inbox, image, route_add_window,
                        route_backlog, m->route, m->wake_fd, &m->mapper, err);
}

/* The mapper is about to say what comes next, or the mover to make room.  If
 * nobody wakes us in all of MAPPER_PATIENCE_MS, some more of the stream may be
 * kept, as far as the spool has room.  Who is woken asks again at once.
 */
static int wait_for_mapper(struct import *m, struct error *err)
{
    int woken = io_wait(m->wake_fd, POLLIN, -1, MAPPER_PATIENCE_MS);

    if (woken == -1)
        return error_set(err, errno, "import");
    if (woken == 0)
        inbox_allow(m->inbox, inbox_arrived(m->inbox) + IO_PIECE);
    forget_wake(m);
    return check_others(m, err);
}

/* Receives the next piece and brings it to where it belongs. */
static int receive_piece(struct import *m, struct error *err)
{
    struct route_piece piece;
    char *buf = m->buf, *lent;
    ssize_t n;

    route_next(m->route, IO_PIECE, &piece);
    if (piece.kind == ROUTE_WAIT)
        return wait_for_mapper(m, err);
    if (piece.kind == ROUTE_DISK) {
        if (target_lend(m->target, piece.disk_offset, piece.length, &lent,
                        err) == -1)
            return -1;
        buf = lent != NULL ? lent : buf + piece.disk_offset % IO_ALIGN;
        n = receive_full(m, buf, piece.length, err);
    } else {
        n = incoming_read(&m->incoming, buf, piece.length, err);
    }
    if (n <= 0)
        return n;
    if (piece.kind == ROUTE_KEEP)
        gate_clean(&m->image, inbox_arrived(m->inbox), (unsigned char *)buf,
                   n);
    return route_deliver(m->route, &piece, buf, n, err);
}

/* The stream has ended: is it all there, once the others have seen that? */
static int wait_for_others(struct import *m, struct error *err)
{
    uint64_t needed_end;
    bool is_known;

    needed_end = route_needed_end(m->route, &is_known);
    if (mapper_is_done(m->mapper) && m->incoming.received < needed_end)
        return inbox_truncated(m->inbox, needed_end, err);
    if (io_wait(m->wake_fd, POLLIN, -1, -1) == -1)
        return error_set(err, errno, "import");
    forget_wake(m);
    return check_others(m, err);
}

/* Receives until all that the disk needs is there. */
static int receive_all(struct import *m, struct error *err)
{
    while (!route_is_complete(m->route)) {
        int ready;

        if (route_is_releasable(m->route)) {
            if (route_release(m->route, err) == -1)
                return -1;
            continue;
        }
        if (m->incoming.is_ended) {
            inbox_end_stream(m->inbox,
                             m->options->source_size == m->incoming.received &&
                                 !m->incoming.is_broken,
                             incoming_why_ended(&m->incoming));
            phases_ended(&m->progress, m->route);
            if (wait_for_others(m, err) == -1)
                return -1;
            continue;
        }
        ready = wait_for_stream(m, -1, err);
        if (ready == -1 || (ready == 1 && receive_piece(m, err) == -1))
            return -1;
        phases_received(&m->progress, m->route, m->incoming.received,
                        m->options->source_size,
                        io_max(m->options->size_hint, m->image.virtual_size));
    }
    return 0;
}

/* Takes what nobody needs, until it ends and all is on the disk. */
static int drain(struct import *m, struct error *err)
{
    for (;;) {
        bool is_sized = m->options->source_size != 0;
        uint64_t silence = clock_ms() - m->incoming.received_ms;
        bool is_over = m->incoming.is_ended ||
                       incoming_is_at_hint(&m->incoming) ||
                       (!is_sized && silence >= DRAIN_SILENCE_MS);
        int ready;

        phases_complete(&m->progress, m->route);
        if (m->incoming.is_ended &&
            incoming_check_size(&m->incoming, err) == -1)
            return -1;
        if (is_over && route_is_idle(m->route))
            return inbox_settle(m->inbox, err);
        if (m->incoming.is_ended) {
            ready = io_wait(m->wake_fd, POLLIN, -1, -1);
            if (ready == -1)
                return error_set(err, errno, "import");
            forget_wake(m);
            if (check_others(m, err) == -1)
                return -1;
            continue;
        }
        ready = wait_for_stream(m,
                                is_over || is_sized
                                    ? -1
                                    : (int)(DRAIN_SILENCE_MS - silence),
                                err);
        if (ready == -1 || (ready == 1 && incoming_read(&m->incoming, m->buf,
                                                        IO_PIECE, err) == -1))
            return -1;
    }
}

/* What has come so far, for the report. */
static void fill_report(const struct import *m, struct report *r)
{
    struct route_totals totals;

    r->moved = m->incoming.received;
    memcpy(r->sha256, m->sha256, sizeof r->sha256);
    if (m->route == NULL)
        return;
    totals = route_totals(m->route);
    r->disk_size = m->image.virtual_size;
    r->direct = totals.routed;
    r->by_spool = totals.moved;
    r->decoded = totals.read_back;
    r->spool_peak = inbox_peak(m->inbox);
}

static void summarize(const struct import *m)
{
    struct route_totals totals = route_totals(m->route);

    if (m->sha256[0] != '\0')
        log_summary("sha256 %s", m->sha256);
    log_summary("received %" PRIu64 " bytes for a disk of %" PRIu64
                "; straight to the disk %" PRIu64 ", by the spool %" PRIu64
                ", read back %" PRIu64 "; spooled %" PRIu64
                ", at the most %" PRIu64 "; %u mapper runs for %u windows",
                m->incoming.received, m->image.virtual_size, totals.routed,
                totals.moved, totals.read_back, inbox_appended(m->inbox),
                inbox_peak(m->inbox), mapper_runs(m->mapper),
                mapper_windows(m->mapper));
}

/* Opens both ends, and changes nothing yet. */
static int open_ends(struct import *m, struct error *err)
{
    const struct serve_options *o = m->options;

    if (incoming_check(o->source_fd, err) == -1)
        return -1;
    if ((o->has_checksum && checksum_new(&m->incoming.checksum, err) == -1) ||
        destination_open(&o->destination, &o->qemu, &m->target, err) == -1)
        return -1;
    if (occupied_check_same(m->target->fd, o->source_fd, "source", err) == -1)
        return -1;
    io_keep_alive(o->source_fd);
    return progress_open(&m->progress, o->progress,
                         o->destination.is_stdout ? m->target->fd
                                                  : o->source_fd,
                         o->report, err);
}

/* Says what has ended it, and what is left behind.  Returns -1. */
static int explain(struct import *m, struct error *err)
{
    end_others(m);
    interruption_explain(err);
    if (m->target != NULL && target_is_spoilt(m->target))
        error_append(err, "; the destination is partly written");
    return -1;
}

static int transfer(struct import *m, struct error *err)
{
    const struct serve_options *o = m->options;
    unsigned char header[GATE_HEADER];

    if (open_ends(m, err) == -1 || qemu_img_check(&o->qemu, err) == -1)
        return -1;
    progress_phase(&m->progress, PHASE_RECEIVING);
    if (pass_gate(m, header, err) == -1 ||
        target_create(m->target, m->image.virtual_size, err) == -1 ||
        start_others(m, header, err) == -1)
        return -1;
    progress_stage(&m->progress, 100, 0);
    progress_skip(&m->progress, m->incoming.received);
    if (receive_all(m, err) == -1 || drain(m, err) == -1)
        return -1;
    progress_phase(&m->progress, PHASE_FLUSHING);
    if (target_finish(m->target, err) == -1)
        return -1;
    return m->incoming.checksum == NULL
               ? 0
               : checksum_finish(m->incoming.checksum, m->sha256, err);
}

int serve(const struct serve_options *o, struct error *err)
{
    struct import CLEANUP(import) m = {
        .options = o,
        .incoming = {.fd = o->source_fd,
                     .size = o->source_size,
                     .hint = o->size_hint,
                     .has_hint = o->has_size_hint,
                     .rate = {.limit = o->rate_limit}},
        .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .buf = io_alloc_aligned(IO_PIECE + IO_ALIGN),
    };
    int r;

    if (m.wake_fd == -1 || m.buf == NULL)
        return error_set(err, errno, "import");
    r = transfer(&m, err);
    if (o->report != NULL)
        fill_report(&m, o->report);
    if (r == -1)
        return explain(&m, err);
    progress_succeed(&m.progress);
    summarize(&m);
    return 0;
}
