/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Brings each byte of an arriving qcow2 stream to where it belongs. */

/* Notes on the design
 *
 * Two sides call the route, each in its own thread.  The mapper says, window
 * by window of the disk, where in the file its data is (route_add_window).
 * The receiver asks what to do with the next bytes of the stream (route_next),
 * reads them from the socket, and hands them over (route_deliver).
 *
 * The receiver's question has four answers.  Bytes that are known to be data
 * go straight to the disk.  Bytes of which nothing is known yet go to the
 * inbox, which keeps them; or, if more of those would only fill the spool, the
 * receiver waits with reading them.  Once the whole disk is mapped, and its
 * compressed clusters are read, all other bytes are dropped.
 *
 * The mapper may come too late: it may name data whose bytes the receiver has
 * already asked about.  Those bytes were unknown then, so they are in the
 * inbox, or the receiver is just about to put them there.  The mover takes
 * them from there.  Two members keep both sides apart:
 *
 *     decided    a file offset.  The receiver has been told what to do with
 *                all bytes before it.  Data that a window names is split
 *                here: what is before it is a job of the mover, what is behind
 *                it joins ahead
 *     ahead      data behind decided, in the order of the file.  The receiver
 *                uses it up from its front
 *
 * Three workers run beside the receiver.  The mover brings data from the
 * inbox to the disk, and punches it out there.  The zeroer zeroes.  The reader
 * reads compressed clusters back through QEMU.  The map has each byte of the
 * disk once, so no two of them, nor the receiver, ever write the same byte.
 *
 * An image may be larger than the disk it lands on, by less than a cluster,
 * since some clients round up.  It must hold nothing but zeroes there, its
 * overhang.  Such an image is held: all of it goes to the inbox, and the
 * workers do not start before all has arrived and the overhang has been looked
 * at.  An overhang that is compressed is found only when it is read.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/worker.h"
#include "import/overhang.h"
#include "import/readback.h"
#include "import/route.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>

/* So many bytes of the stream may come before the reader asks for them, while
 * it has others to read.
 */
#define READ_AHEAD (UINT64_C(64) << 20)

struct route {
    struct route_options o;
    struct worker *mover, *zeroer, *reader;
    struct readback *readback; /* the reader's */
    bool is_held;              /* see above */
    atomic_uint_fast64_t routed, moved, read_back, zeroed;
    atomic_uint_fast64_t to_read_back, to_zero;

    pthread_mutex_t lock; /* of all that follows */
    struct filemap ahead;
    size_t consumed;     /* entries of ahead that have been decided */
    uint64_t decided;    /* a file offset */
    uint64_t needed_end; /* of plain data, as a file offset */
    uint64_t mapped;     /* bytes of the disk */
    bool is_mapped;      /* all of the disk */
    bool has_compressed;
    struct filemap_batch held; /* if is_held: all data */
};

static int move_job(struct route *r, struct worker *worker,
                    const struct job *job, char *buf, struct error *err)
{
    for (uint64_t done = 0; done < job->length;) {
        uint64_t disk_offset = job->disk_offset + done;
        uint64_t file_offset = job->file_offset + done;
        /* In memory as on the disk, for O_DIRECT. */
        char *at = buf + disk_offset % IO_ALIGN;
        uint64_t n = io_min(job->length - done, IO_PIECE);

        if (worker_is_stopped(worker))
            return 0;
        switch (inbox_wait(r->o.inbox, file_offset + n)) {
        case INBOX_ARRIVED:
            break;
        case INBOX_CANCELLED:
            return error_set(err, ECANCELED, "mover");
        case INBOX_ENDED:
            return inbox_truncated(r->o.inbox, file_offset + n, err);
        }
        if (inbox_read(r->o.inbox, at, n, file_offset, err) == -1 ||
            overhang_write(r->o.target, at, n, disk_offset, err) == -1)
            return -1;
        inbox_punch(r->o.inbox, file_offset, n);
        eventfd_write(r->o.wake_fd, 1); /* there is more room */
        r->moved += n;
        done += n;
    }
    return 0;
}

static int move(void *opaque, struct worker *worker, const struct job *jobs,
                size_t count, struct error *err)
{
    struct route *r = opaque;
    char *CLEANUP(free_ptr) buf = io_alloc_aligned(IO_PIECE + IO_ALIGN);

    if (buf == NULL)
        return error_set(err, errno, "no memory for the mover");
    for (size_t i = 0; i < count; i++)
        if (move_job(r, worker, &jobs[i], buf, err) == -1)
            return -1;
    return 0;
}

static int zero(void *opaque, struct worker *worker, const struct job *jobs,
                size_t count, struct error *err)
{
    struct route *r = opaque;

    for (size_t i = 0; i < count; i++) {
        uint64_t at = jobs[i].disk_offset, end = at + jobs[i].length;

        while (at < end && !worker_is_stopped(worker)) {
            uint64_t n = io_min(end - at, TARGET_ZERO_PIECE);

            if (target_zero(r->o.target, at, n, err) == -1)
                return -1;
            at += n;
            r->zeroed += n;
            eventfd_write(r->o.wake_fd, 1); /* for the progress */
        }
    }
    return 0;
}

/* As nbd_client_deliver. */
static int write_decoded(void *opaque, const void *buf, size_t length,
                         uint64_t disk_offset, struct error *err)
{
    struct route *r = opaque;

    if (overhang_write(r->o.target, buf, length, disk_offset, err) == -1)
        return -1;
    r->read_back += length;
    eventfd_write(r->o.wake_fd, 1);
    return 0;
}

static int read_back(void *opaque, struct worker *worker,
                     const struct job *jobs, size_t count, struct error *err)
{
    struct route *r = opaque;

    if (r->readback == NULL &&
        readback_open(r->o.qemu, r->o.inbox, r->o.cluster_size, r->o.wake_fd,
                      worker_stop_fd(worker), &r->readback, err) == -1)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (readback_read(r->readback, jobs[i].disk_offset, jobs[i].length,
                          write_decoded, r, err) == -1)
            return -1;
    return readback_finish(r->readback, err);
}

int route_open(const struct route_options *options, struct route **route,
               struct error *err)
{
    struct route *r = calloc(1, sizeof *r);

    if (r == NULL)
        return error_set(err, errno, "no memory for the route");
    r->o = *options;
    r->is_held = r->o.target->size < r->o.disk_size;
    r->is_mapped = r->o.disk_size == 0;
    pthread_mutex_init(&r->lock, NULL);
    if (worker_start(move, r, r->o.wake_fd, &r->mover, err) == -1 ||
        worker_start(zero, r, r->o.wake_fd, &r->zeroer, err) == -1 ||
        worker_start(read_back, r, r->o.wake_fd, &r->reader, err) == -1) {
        route_free(r);
        return -1;
    }
    if (r->is_held) {
        worker_hold(r->mover);
        worker_hold(r->zeroer);
        worker_hold(r->reader);
    }
    *route = r;
    return 0;
}

static int add_move_job(struct route *r, const struct filemap_entry *e,
                        struct error *err)
{
    const struct job job = {e->disk_offset, e->length, e->file_offset};

    return worker_add(r->mover, &job, err);
}

/* Splits one entry at decided.  What is behind it joins batch. */
static int place_entry(struct route *r, const struct filemap_entry *e,
                       struct filemap_batch *batch, struct error *err)
{
    struct filemap_entry passed = *e, to_come = *e;

    LOCK_ASSERT_HELD(&r->lock);
    if (r->is_held)
        return filemap_batch_add(&r->held, e->file_offset, e->length,
                                 e->disk_offset, err);
    if (e->file_offset >= r->decided)
        return filemap_batch_add(batch, e->file_offset, e->length,
                                 e->disk_offset, err);
    passed.length = io_min(e->length, r->decided - e->file_offset);
    to_come.file_offset += passed.length;
    to_come.disk_offset += passed.length;
    to_come.length -= passed.length;
    if (add_move_job(r, &passed, err) == -1)
        return -1;
    if (to_come.length == 0)
        return 0;
    return filemap_batch_add(batch, to_come.file_offset, to_come.length,
                             to_come.disk_offset, err);
}

static int place_data(struct route *r, const struct filemap *data,
                      struct error *err)
{
    struct filemap_batch CLEANUP(filemap_batch) batch = {0};

    for (size_t i = 0; i < data->count; i++)
        if (place_entry(r, &data->list[i], &batch, err) == -1)
            return -1;
    r->needed_end = io_max(r->needed_end, filemap_end(data));
    filemap_drop(&r->ahead, r->consumed);
    r->consumed = 0;
    if (filemap_merge(&r->ahead, &batch, err) == -1)
        return error_wrap(err, "source");
    return 0;
}

/* Adds extents, as far as they lie before disk_end, to a worker's jobs, and
 * their bytes to total.
 */
static int add_extents(struct worker *worker, const struct extents *extents,
                       uint64_t disk_end, atomic_uint_fast64_t *total,
                       struct error *err)
{
    for (size_t i = 0; i < extents->count; i++) {
        const struct extent *e = &extents->list[i];
        struct job job = {.disk_offset = e->disk_offset};

        if (e->disk_offset >= disk_end)
            break;
        job.length = io_min(e->length, disk_end - e->disk_offset);
        *total += job.length;
        if (worker_add(worker, &job, err) == -1)
            return -1;
    }
    return 0;
}

static int place_window(struct route *r, const struct mapper_window *w,
                        struct error *err)
{
    uint64_t size = r->o.target->size;

    LOCK_FOR_SCOPE(&r->lock);
    ASSERT(w->mapped <= r->o.disk_size - r->mapped);
    if (w->compressed.count > 0)
        r->has_compressed = true;
    if (place_data(r, &w->data, err) == -1 ||
        add_extents(r->reader, &w->compressed, UINT64_MAX, &r->to_read_back,
                    err) == -1)
        return -1;
    if (!r->o.target->is_created &&
        (add_extents(r->zeroer, &w->zeroes, size, &r->to_zero, err) == -1 ||
         (!r->o.is_prezeroed &&
          add_extents(r->zeroer, &w->holes, size, &r->to_zero, err) == -1)))
        return -1;
    r->mapped += w->mapped;
    r->is_mapped = r->mapped == r->o.disk_size;
    return 0;
}

int route_add_window(void *opaque, struct mapper_window *window,
                     struct error *err)
{
    struct route *r = opaque;
    int result = place_window(r, window, err);

    eventfd_write(r->o.wake_fd, 1);
    return result;
}

uint64_t route_backlog(void *opaque, uint64_t *needed_end)
{
    struct route *r = opaque;
    uint64_t arrived = inbox_arrived(r->o.inbox), bytes = 0;

    LOCK_FOR_SCOPE(&r->lock);
    *needed_end = r->needed_end;
    if (r->needed_end > arrived)
        bytes = (r->ahead.count - r->consumed + r->held.count) *
                sizeof *r->ahead.list;
    if (!r->is_held)
        bytes += (worker_count(r->mover) + worker_count(r->zeroer)) *
                 sizeof(struct job);
    return bytes;
}

/* Should the receiver wait, rather than keep length bytes at file_offset?  Yes
 * if the spool has too much, and mover or reader will make room without these
 * bytes.  So a disk slower than the stream is no reason to fail.
 */
static bool is_room_coming(struct route *r, uint64_t file_offset,
                           uint64_t length)
{
    uint64_t wanted_end = inbox_wanted_end(r->o.inbox);
    bool has_room = inbox_has_room(r->o.inbox, length);

    LOCK_ASSERT_HELD(&r->lock);
    if (r->is_held)
        return false;
    if (!has_room && !worker_is_idle(r->mover))
        return true;
    return !worker_is_idle(r->reader) && file_offset >= wanted_end &&
           (!has_room || file_offset - wanted_end >= READ_AHEAD);
}

/* Where compressed clusters end is known when they have been read. */
static bool is_all_known(struct route *r)
{
    LOCK_ASSERT_HELD(&r->lock);
    return r->is_mapped && (!r->has_compressed || worker_is_idle(r->reader));
}

/* What to do with bytes at file_offset that are not known to be data.  May
 * make *length less.
 */
static enum route_kind kind_of_unknown(struct route *r, uint64_t file_offset,
                                       uint64_t *length)
{
    uint64_t allowed;

    LOCK_ASSERT_HELD(&r->lock);
    if (is_all_known(r) && file_offset >= r->decided &&
        (!r->is_held || file_offset >= r->needed_end))
        return ROUTE_DROP;
    /* Who makes room may be waiting for what was decided on. */
    if (file_offset >= r->decided && is_room_coming(r, file_offset, *length))
        return ROUTE_WAIT;
    allowed = inbox_allowed(r->o.inbox);
    *length = io_min(*length, allowed);
    return allowed > 0 ? ROUTE_KEEP : ROUTE_WAIT;
}

void route_next(struct route *r, uint64_t length, struct route_piece *piece)
{
    uint64_t at = inbox_arrived(r->o.inbox), unit = r->o.target->piece;
    struct filemap_entry *next = NULL;

    LOCK_FOR_SCOPE(&r->lock);
    ASSERT(length > 0);
    *piece = (struct route_piece){.length = length};
    if (r->consumed < r->ahead.count)
        next = &r->ahead.list[r->consumed];
    if (next != NULL && next->file_offset == at) {
        piece->kind = ROUTE_DISK;
        length = io_min(length, unit - next->disk_offset % unit);
        piece->length = io_min(length, next->length);
        piece->disk_offset = next->disk_offset;
        next->file_offset += piece->length;
        next->disk_offset += piece->length;
        next->length -= piece->length;
        if (next->length == 0)
            r->consumed++;
    } else {
        if (at < r->decided) /* fewer came than were decided on */
            piece->length = io_min(length, r->decided - at);
        else if (next != NULL)
            piece->length = io_min(length, next->file_offset - at);
        piece->kind = kind_of_unknown(r, at, &piece->length);
    }
    if (piece->kind == ROUTE_KEEP || piece->kind == ROUTE_DISK)
        r->decided = io_max(r->decided, at + piece->length);
}

int route_deliver(struct route *r, const struct route_piece *piece,
                  const void *buf, size_t length, struct error *err)
{
    if (piece->kind == ROUTE_KEEP)
        return inbox_append(r->o.inbox, buf, length, err);
    if (piece->kind == ROUTE_DISK) {
        if (overhang_write(r->o.target, buf, length, piece->disk_offset,
                           err) == -1)
            return -1;
        r->routed += length;
    }
    inbox_skip(r->o.inbox, length);
    return 0;
}

uint64_t route_needed_end(struct route *r, bool *is_known)
{
    LOCK_FOR_SCOPE(&r->lock);
    *is_known = r->is_mapped && !r->has_compressed;
    return r->needed_end;
}

bool route_is_complete(struct route *r)
{
    uint64_t arrived = inbox_arrived(r->o.inbox);

    LOCK_FOR_SCOPE(&r->lock);
    return is_all_known(r) && arrived >= r->needed_end && !r->is_held;
}

bool route_is_releasable(struct route *r)
{
    uint64_t arrived = inbox_arrived(r->o.inbox);

    LOCK_FOR_SCOPE(&r->lock);
    return r->is_held && r->is_mapped && arrived >= r->needed_end;
}

int route_release(struct route *r, struct error *err)
{
    int result = 0;

    LOCK_FOR_SCOPE(&r->lock);
    for (size_t i = 0; i < r->held.count && result == 0; i++)
        result =
            overhang_check(r->o.inbox, r->o.target, &r->held.list[i], err);
    for (size_t i = 0; i < r->held.count && result == 0; i++)
        result = add_move_job(r, &r->held.list[i], err);
    filemap_batch_clear(&r->held);
    if (result == 0 && r->is_held) {
        worker_release(r->mover);
        worker_release(r->zeroer);
        worker_release(r->reader);
    }
    r->is_held = false;
    return result;
}

bool route_is_idle(struct route *r)
{
    return worker_is_idle(r->mover) && worker_is_idle(r->zeroer) &&
           worker_is_idle(r->reader);
}

int route_check(struct route *r, struct error *err)
{
    if (worker_check(r->mover, err) == -1 ||
        worker_check(r->zeroer, err) == -1 ||
        worker_check(r->reader, err) == -1)
        return -1;
    return 0;
}

struct route_totals route_totals(struct route *r)
{
    return (struct route_totals){
        .routed = r->routed,
        .moved = r->moved,
        .read_back = r->read_back,
        .to_read_back = r->to_read_back,
        .zeroed = r->zeroed,
        .to_zero = r->to_zero,
        .is_reading_back = !worker_is_idle(r->reader),
        .is_zeroing = !worker_is_idle(r->zeroer),
    };
}

void route_free(struct route *r)
{
    if (r == NULL)
        return;
    inbox_cancel(r->o.inbox);
    worker_free(r->mover);
    worker_free(r->zeroer);
    worker_free(r->reader);
    readback_close(r->readback);
    filemap_clear(&r->ahead);
    filemap_batch_clear(&r->held);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
