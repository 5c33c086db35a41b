/* SPDX-License-Identifier: LGPL-2.1-or-later */
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
 *
 * Such a size may be wrong.  So it ends a stream that is not all there only
 * after some seconds of silence: a client that has sent all it has may well
 * wait for us.  0 is what an empty request has, or a client that does not
 * know; so it goes by the same rule.  --source-size is never wrong: fewer
 * bytes are an error, even if nobody needs the rest.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/occupied.h"
#include "import/gate.h"
#include "import/inbox.h"
#include "import/mapper.h"
#include "import/route.h"
#include "import/serve.h"
#include "import/target.h"
#include "qemu/qemu-img.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Milliseconds. */
enum {
    /* All that the disk needs is there.  A sender that has been silent for so
     * long has no more to send; if it has, it sees its connection break.
     */
    DRAIN_SILENCE_MS = 1000,

    /* As much has come as --destination-size says, but the disk needs more.
     * The size may be wrong, so a sender gets so long to send more.
     */
    HINT_SILENCE_MS = 5000,

    /* Between two looks at the clock while a sender is silent, and between two
     * pictures of the progress bar.
     */
    REDRAW_MS = 500,

    /* The mapper is about to say what the next bytes are.  If that takes
     * longer, some are kept in the spool all the same: the sender must not see
     * a connection that stands still.
     */
    MAPPER_PATIENCE_MS = 1000,
};

/* What is open while a disk is imported. */
struct import {
    const struct serve_options *options;
    struct target target;
    struct gate_image image;
    struct inbox *inbox;
    struct route *route;
    struct mapper *mapper;
    int wake_fd;       /* an eventfd: mapper or route have something to tell */
    uint64_t received; /* bytes */
    uint64_t received_ms; /* when the last of them came: now_ms */
    uint64_t silent_ms; /* since when nothing comes, while as much has come as
                           * the hint says (now_ms); 0: something comes */
    bool is_ended;      /* the stream is */
    bool is_hinted;     /* because of the hint and silence */
    bool is_broken;     /* because its connection broke: see breakage */
    struct error breakage;
    struct progress progress;
    /* Aligned, of IO_PIECE bytes and IO_ALIGN more: for O_DIRECT a piece lies
     * in memory as it will on the disk, modulo IO_ALIGN.
     */
    char *buf;
};

static void cleanup_import(struct import *m)
{
    mapper_free(m->mapper);
    route_free(m->route);
    inbox_free(m->inbox);
    target_close(&m->target);
    cleanup_close_fd(&m->wake_fd);
    free(m->buf);
}

/* Has anything failed beside us? */
static int check_others(struct import *m, struct error *err)
{
    eventfd_t count;

    if (eventfd_read(m->wake_fd, &count) == -1)
        errno = 0; /* nothing new */
    if (m->mapper != NULL && mapper_check(m->mapper, err) == -1)
        return -1;
    if (m->route != NULL && route_check(m->route, err) == -1)
        return -1;
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * UINT64_C(1000) + now.tv_nsec / 1000000;
}

/* As much has come as the hint said.  It may be wrong. */
static bool is_at_hint(const struct import *m)
{
    return m->options->source_size == 0 && m->options->has_size_hint &&
           m->received == m->options->size_hint;
}

/* Waits until there is something to read, or timeout_ms have passed without;
 * returns 1 or 0, or -1 if anything has failed.
 */
static int wait_for_stream(struct import *m, int timeout_ms, struct error *err)
{
    bool is_at_end = is_at_hint(m);
    int ready;

    if (is_at_end)
        timeout_ms = REDRAW_MS;
    ready = io_wait(m->options->source_fd, POLLIN, m->wake_fd, timeout_ms);
    if (ready == -1)
        return error_set(err, errno, "source");
    if (check_others(m, err) == -1)
        return -1;
    if (ready == 1 || !is_at_end)
        m->silent_ms = 0;
    else if (m->silent_ms == 0)
        m->silent_ms = now_ms();
    else if (now_ms() - m->silent_ms >= HINT_SILENCE_MS)
        m->is_ended = m->is_hinted = true;
    return ready;
}

/* Reads up to length bytes; sets is_ended when there are no more.  Returns
 * how many, or -1.
 */
static ssize_t receive(struct import *m, char *buf, uint64_t length,
                       struct error *err)
{
    uint64_t size = m->options->source_size, hint = m->options->size_hint;
    ssize_t n;

    if (size != 0)
        length = io_min(length, size - m->received);
    else if (m->received < hint)
        length = io_min(length, hint - m->received);
    n = io_read(m->options->source_fd, buf, length);
    if (n == -1 && errno != ECONNRESET)
        return error_set(err, errno,
                         "source: cannot read at file offset %" PRIu64,
                         m->received);
    if (n == -1) {
        /* A client that left this way may have sent all that is needed. */
        error_set(&m->breakage, errno,
                  "source: the sender left at file offset %" PRIu64,
                  m->received);
        m->is_broken = true;
        n = 0;
    }
    m->received += n;
    m->received_ms = now_ms();
    m->is_ended = n == 0 || (size != 0 && m->received == size);
    return n;
}

/* Receives all of length bytes, fewer only at the end of the stream. */
static ssize_t receive_full(struct import *m, char *buf, uint64_t length,
                            struct error *err)
{
    uint64_t done = 0;

    while (done < length && !m->is_ended) {
        int ready = wait_for_stream(m, -1, err);
        ssize_t n = 0;

        if (ready == 1)
            n = receive(m, buf + done, length - done, err);
        if (ready == -1 || n == -1)
            return -1;
        done += n;
    }
    return done;
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
    if (m->is_hinted && m->received == 0)
        return error_set(err, 0,
                         "source: empty: not a byte has come in %d s, and "
                         "--destination-size is 0",
                         HINT_SILENCE_MS / 1000);
    length += more;
    if (gate_check(header, length, &m->image, err) == -1)
        return -1;
    if (m->target.size < m->image.virtual_size &&
        m->image.virtual_size - m->target.size >= m->image.cluster_size)
        return error_set(err, 0,
                         "destination: too small: %s has %" PRIu64
                         " bytes, and the image's disk %" PRIu64,
                         m->options->destination, m->target.size,
                         m->image.virtual_size);
    return 0;
}

/* The inbox has the header, and the others may begin. */
static int start_others(struct import *m, unsigned char *header,
                        struct error *err)
{
    const struct serve_options *o = m->options;
    const struct gate_image *image = &m->image;
    struct route_options route = {
        .qemu = &o->qemu,
        .target = &m->target,
        .disk_size = image->virtual_size,
        .cluster_size = image->cluster_size,
        .is_prezeroed = o->is_prezeroed,
        .wake_fd = m->wake_fd,
    };

    if (inbox_new(o->spool_dir, o->spool_limit, &m->inbox, err) == -1 ||
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

static void show_received(struct import *m)
{
    bool is_known;
    uint64_t needed = route_needed_end(m->route, &is_known);
    uint64_t total = m->options->source_size;

    if (is_known)
        total = needed;
    else if (total == 0)
        total = io_max(m->options->size_hint, m->image.virtual_size);
    m->progress.total = io_max(total, m->received);
    progress_set(&m->progress, m->received);
}

/* The mapper is about to say what comes next, or the mover to make room.  If
 * that takes long the sender must not wait: some more is kept.
 */
static int wait_for_mapper(struct import *m, struct error *err)
{
    int woken = io_wait(m->wake_fd, POLLIN, -1, MAPPER_PATIENCE_MS);

    if (woken == -1)
        return error_set(err, errno, "import");
    if (woken == 0)
        inbox_allow(m->inbox, inbox_arrived(m->inbox) + IO_PIECE);
    return check_others(m, err);
}

/* Receives the next piece and brings it to where it belongs. */
static int receive_piece(struct import *m, struct error *err)
{
    struct route_piece piece;
    char *buf = m->buf;
    ssize_t n;

    route_next(m->route, IO_PIECE, &piece);
    if (piece.kind == ROUTE_WAIT)
        return wait_for_mapper(m, err);
    if (piece.kind == ROUTE_DISK) {
        buf += piece.disk_offset % IO_ALIGN;
        n = receive_full(m, buf, piece.length, err);
    } else {
        n = receive(m, buf, piece.length, err);
    }
    if (n <= 0)
        return n;
    if (piece.kind == ROUTE_KEEP)
        gate_clean(&m->image, inbox_arrived(m->inbox), (unsigned char *)buf,
                   n);
    if (route_deliver(m->route, &piece, buf, n, err) == -1)
        return -1;
    if (piece.kind == ROUTE_DISK)
        progress_moved(&m->progress, n);
    return 0;
}

/* The stream has ended: is it all there, once the others have seen that? */
static int wait_for_others(struct import *m, struct error *err)
{
    uint64_t needed_end;
    bool is_known;

    needed_end = route_needed_end(m->route, &is_known);
    if (mapper_is_done(m->mapper) && m->received < needed_end)
        return inbox_truncated(m->inbox, needed_end, err);
    if (io_wait(m->wake_fd, POLLIN, -1, -1) == -1)
        return error_set(err, errno, "import");
    return check_others(m, err);
}

/* Receives until all that the disk needs is there. */
static int receive_all(struct import *m, struct error *err)
{
    int tick = m->options->progress == PROGRESS_BAR ? REDRAW_MS : -1;

    while (!route_is_complete(m->route)) {
        int ready;

        if (route_is_releasable(m->route)) {
            if (route_release(m->route, err) == -1)
                return -1;
            continue;
        }
        if (m->is_ended) {
            inbox_end_stream(m->inbox,
                             m->options->source_size == m->received &&
                                 !m->is_broken);
            if (wait_for_others(m, err) == -1)
                return -1;
            continue;
        }
        ready = wait_for_stream(m, tick, err);
        if (ready == -1 || (ready == 1 && receive_piece(m, err) == -1))
            return -1;
        show_received(m);
    }
    return 0;
}

/* What came is all that the disk needs, but not all that was announced. */
static int fail_size(const struct import *m, struct error *err)
{
    if (m->is_broken) {
        *err = m->breakage;
        return -1;
    }
    return error_set(err, 0,
                     "source: truncated: it ends at file offset %" PRIu64
                     ", and --source-size is %" PRIu64,
                     m->received, m->options->source_size);
}

/* Takes what nobody needs, until it ends and all is on the disk. */
static int drain(struct import *m, struct error *err)
{
    for (;;) {
        bool is_sized = m->options->source_size != 0;
        uint64_t silence = now_ms() - m->received_ms;
        bool is_over = m->is_ended || is_at_hint(m) ||
                       (!is_sized && silence >= DRAIN_SILENCE_MS);
        int ready;

        if (m->is_ended && m->received < m->options->source_size)
            return fail_size(m, err);
        if (is_over && route_is_idle(m->route))
            return 0;
        if (m->is_ended) {
            ready = io_wait(m->wake_fd, POLLIN, -1, -1);
            if (ready == -1)
                return error_set(err, errno, "import");
            if (check_others(m, err) == -1)
                return -1;
            continue;
        }
        ready = wait_for_stream(m,
                                is_over || is_sized
                                    ? -1
                                    : (int)(DRAIN_SILENCE_MS - silence),
                                err);
        if (ready == -1 ||
            (ready == 1 && receive(m, m->buf, IO_PIECE, err) == -1))
            return -1;
    }
}

static void summarize(const struct import *m)
{
    struct route_totals totals = route_totals(m->route);

    log_summary("received %" PRIu64 " bytes for a disk of %" PRIu64
                "; straight to the disk %" PRIu64 ", by the spool %" PRIu64
                ", read back %" PRIu64 "; spooled %" PRIu64
                ", at the most %" PRIu64 "; %u mapper runs for %u windows",
                m->received, m->image.virtual_size, totals.routed,
                totals.moved, totals.read_back, inbox_appended(m->inbox),
                inbox_peak(m->inbox), mapper_runs(m->mapper),
                mapper_windows(m->mapper));
}

int serve(const struct serve_options *o, struct error *err)
{
    struct import CLEANUP(import) m = {
        .options = o,
        .target = TARGET_NONE,
        .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .buf = io_alloc_aligned(IO_PIECE + IO_ALIGN),
    };
    unsigned char header[GATE_HEADER];

    if (m.wake_fd == -1 || m.buf == NULL)
        return error_set(err, errno, "import");
    if (isatty(o->source_fd))
        return error_set(err, 0,
                         "source: refusing to read an image from a terminal");
    if (target_open(o->destination, o->is_direct, &m.target, err) == -1)
        return -1;
    if (occupied_is_same(o->source_fd, m.target.fd))
        return error_set(err, 0, "destination: it is the source");
    if (target_claim(&m.target, o->claim, err) == -1)
        return -1;
    progress_open(&m.progress, o->progress, o->source_fd);
    if (qemu_img_check_version(&o->qemu, err) == -1 ||
        pass_gate(&m, header, err) == -1 ||
        target_create(&m.target, m.image.virtual_size, err) == -1 ||
        start_others(&m, header, err) == -1)
        return -1;
    progress_stage(&m.progress, 100, 0);
    if (receive_all(&m, err) == -1) {
        if (m.is_broken)
            *err = m.breakage;
        else if (m.is_hinted)
            error_wrap(err,
                       "source: nothing came behind the %" PRIu64
                       " bytes of --destination-size",
                       o->size_hint);
        return -1;
    }
    if (drain(&m, err) == -1 || target_finish(&m.target, err) == -1)
        return -1;
    progress_succeed(&m.progress);
    summarize(&m);
    return 0;
}
