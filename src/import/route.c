/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Brings each byte of an arriving qcow2 stream to where it belongs. */

/* Notes on the design
 *
 * The mapper says, window by window, what the file holds (route_take_window).
 * The receiver asks what comes next (route_next) and delivers it.  What is
 * known to be data goes straight to the disk; what is not known goes to the
 * inbox; and when the whole disk is mapped, what is not needed goes nowhere.
 *
 *     ahead      mapped data that the receiver has not got to; consumed from
 *                its front
 *     decided    up to here the receiver has been told what to do.  Data
 *                before it that a later window names is, or is about to be,
 *                in the inbox, and becomes a job of the mover
 *
 * Beside the receiver there are three workers: the mover brings data from
 * the inbox to the disk, and punches it out there; the zeroer zeroes; the
 * reader reads compressed ranges back through QEMU.  No two of them, nor the
 * receiver, ever write the same byte of the disk, as the map has each once.
 *
 * An image may be larger than the disk it lands on by less than a cluster,
 * since some clients round up, if it holds nothing but zeroes there.  Then
 * all is held: it goes through the inbox, and the workers do not start
 * before all has arrived and the overhang has been looked at.  An overhang
 * that is compressed is found only when it is read.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "import/readback.h"
#include "import/route.h"
#include "base/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>

struct route {
    struct route_options o;
    struct worker *mover, *zeroer, *reader;
    struct readback *readback; /* the reader's */
    bool is_held;
    atomic_uint_fast64_t routed, moved, read_back;

    pthread_mutex_t lock; /* of all that follows */
    struct filemap ahead;
    size_t consumed; /* entries of ahead that have been decided */
    uint64_t decided;
    uint64_t needed_end;
    uint64_t mapped; /* bytes of the disk */
    bool is_mapped, has_compressed;
    struct filemap_batch held; /* if is_held: all data */
};

static int refuse_overhang(const struct route *r, uint64_t disk_offset,
                           struct error *err)
{
    return error_set(err, 0,
                     "destination: too small: it has %" PRIu64
                     " bytes, and there is data at disk offset %" PRIu64,
                     r->o.target->size, disk_offset);
}

/* Writes what fits, and expects zeroes of the rest. */
static int write_piece(struct route *r, const char *buf, uint64_t length,
                       uint64_t disk_offset, struct error *err)
{
    uint64_t fits = 0;

    if (disk_offset < r->o.target->size)
        fits = io_min(length, r->o.target->size - disk_offset);
    if (fits < length && !io_is_zero(buf + fits, length - fits))
        return refuse_overhang(r, disk_offset + fits, err);
    if (fits == 0)
        return 0;
    return target_write(r->o.target, buf, fits, disk_offset, err);
}

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
            write_piece(r, at, n, disk_offset, err) == -1)
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
        }
    }
    return 0;
}

/* As nbd_client_take. */
static int take_read_back(void *opaque, const void *buf, size_t length,
                          uint64_t disk_offset, struct error *err)
{
    struct route *r = opaque;

    if (write_piece(r, buf, length, disk_offset, err) == -1)
        return -1;
    r->read_back += length;
    return 0;
}

static int read_back(void *opaque, struct worker *worker,
                     const struct job *jobs, size_t count, struct error *err)
{
    struct route *r = opaque;

    if (r->readback == NULL &&
        readback_open(r->o.qemu, r->o.inbox, r->o.cluster_size,
                      worker_stop_fd(worker), &r->readback, err) == -1)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (readback_read(r->readback, jobs[i].disk_offset, jobs[i].length,
                          take_read_back, r, err) == -1)
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

static int add_move(struct route *r, const struct filemap_entry *e,
                    struct error *err)
{
    const struct job job = {e->disk_offset, e->length, e->file_offset};

    return worker_add(r->mover, &job, err);
}

/* Splits one entry where the receiver is.  The lock is held. */
static int place_entry(struct route *r, const struct filemap_entry *e,
                       struct filemap_batch *batch, struct error *err)
{
    struct filemap_entry late = *e, early = *e;

    if (r->is_held)
        return filemap_batch_add(&r->held, e->file_offset, e->length,
                                 e->disk_offset, err);
    if (e->file_offset >= r->decided)
        return filemap_batch_add(batch, e->file_offset, e->length,
                                 e->disk_offset, err);
    late.length = io_min(e->length, r->decided - e->file_offset);
    early.file_offset += late.length;
    early.disk_offset += late.length;
    early.length -= late.length;
    if (add_move(r, &late, err) == -1)
        return -1;
    if (early.length == 0)
        return 0;
    return filemap_batch_add(batch, early.file_offset, early.length,
                             early.disk_offset, err);
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

/* Adds extents, as far as they lie before disk_end, to a worker's jobs. */
static int add_extents(struct worker *worker, const struct extents *extents,
                       uint64_t disk_end, struct error *err)
{
    for (size_t i = 0; i < extents->count; i++) {
        const struct extent *e = &extents->list[i];
        struct job job = {.disk_offset = e->disk_offset};

        if (e->disk_offset >= disk_end)
            break;
        job.length = io_min(e->length, disk_end - e->disk_offset);
        if (worker_add(worker, &job, err) == -1)
            return -1;
    }
    return 0;
}

/* The lock is held. */
static int place_window(struct route *r, const struct mapper_window *w,
                        struct error *err)
{
    uint64_t size = r->o.target->size;

    if (w->compressed.count > 0)
        r->has_compressed = true;
    if (place_data(r, &w->data, err) == -1 ||
        add_extents(r->reader, &w->compressed, UINT64_MAX, err) == -1)
        return -1;
    if (!r->o.target->is_created &&
        (add_extents(r->zeroer, &w->zeroes, size, err) == -1 ||
         (!r->o.is_prezeroed &&
          add_extents(r->zeroer, &w->holes, size, err) == -1)))
        return -1;
    r->mapped += w->disk_end - w->disk_offset;
    r->is_mapped = r->mapped == r->o.disk_size;
    return 0;
}

int route_take_window(void *opaque, struct mapper_window *window,
                      struct error *err)
{
    struct route *r = opaque;
    int result;

    pthread_mutex_lock(&r->lock);
    result = place_window(r, window, err);
    pthread_mutex_unlock(&r->lock);
    eventfd_write(r->o.wake_fd, 1);
    return result;
}

uint64_t route_backlog(void *opaque, uint64_t *needed_end)
{
    struct route *r = opaque;
    uint64_t arrived = inbox_arrived(r->o.inbox), bytes = 0;

    pthread_mutex_lock(&r->lock);
    *needed_end = r->needed_end;
    if (r->needed_end > arrived)
        bytes = (r->ahead.count - r->consumed + r->held.count) *
                sizeof *r->ahead.list;
    if (!r->is_held)
        bytes += (worker_count(r->mover) + worker_count(r->zeroer)) *
                 sizeof(struct job);
    pthread_mutex_unlock(&r->lock);
    return bytes;
}

/* What to do with bytes at file_offset that are not known to be data.  The
 * lock is held.
 */
static enum route_kind kind_of_unknown(const struct route *r,
                                       uint64_t file_offset, uint64_t *length)
{
    uint64_t allowed;

    if (r->is_mapped && !r->has_compressed && file_offset >= r->decided &&
        (!r->is_held || file_offset >= r->needed_end))
        return ROUTE_DROP;
    /* A disk slower than the stream is no reason to fail: the mover makes
     * room.  It may be waiting for what was decided on, so that must come.
     */
    if (file_offset >= r->decided && !r->is_held &&
        !inbox_has_room(r->o.inbox, *length) && !worker_is_idle(r->mover))
        return ROUTE_WAIT;
    allowed = inbox_allowed(r->o.inbox);
    *length = io_min(*length, allowed);
    return allowed > 0 ? ROUTE_KEEP : ROUTE_WAIT;
}

void route_next(struct route *r, uint64_t length, struct route_piece *piece)
{
    uint64_t at = inbox_arrived(r->o.inbox);
    struct filemap_entry *next = NULL;

    pthread_mutex_lock(&r->lock);
    *piece = (struct route_piece){.length = length};
    if (r->consumed < r->ahead.count)
        next = &r->ahead.list[r->consumed];
    if (next != NULL && next->file_offset == at) {
        piece->kind = ROUTE_DISK;
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
    pthread_mutex_unlock(&r->lock);
}

int route_deliver(struct route *r, const struct route_piece *piece,
                  const void *buf, size_t length, struct error *err)
{
    if (piece->kind == ROUTE_KEEP)
        return inbox_append(r->o.inbox, buf, length, err);
    if (piece->kind == ROUTE_DISK) {
        if (write_piece(r, buf, length, piece->disk_offset, err) == -1)
            return -1;
        r->routed += length;
    }
    inbox_skip(r->o.inbox, length);
    return 0;
}

uint64_t route_needed_end(struct route *r, bool *is_known)
{
    uint64_t end;

    pthread_mutex_lock(&r->lock);
    end = r->needed_end;
    *is_known = r->is_mapped && !r->has_compressed;
    pthread_mutex_unlock(&r->lock);
    return end;
}

bool route_is_complete(struct route *r)
{
    uint64_t arrived = inbox_arrived(r->o.inbox);
    bool is_complete;

    pthread_mutex_lock(&r->lock);
    /* Where compressed clusters end is known when they have been read. */
    is_complete = r->is_mapped && arrived >= r->needed_end && !r->is_held &&
                  (!r->has_compressed || worker_is_idle(r->reader));
    pthread_mutex_unlock(&r->lock);
    return is_complete;
}

bool route_is_releasable(struct route *r)
{
    uint64_t arrived = inbox_arrived(r->o.inbox);
    bool is_releasable;

    pthread_mutex_lock(&r->lock);
    is_releasable = r->is_held && r->is_mapped && arrived >= r->needed_end;
    pthread_mutex_unlock(&r->lock);
    return is_releasable;
}

/* Looks at what lies behind the end of the target, in the inbox. */
static int check_overhang(struct route *r, const struct filemap_entry *e,
                          struct error *err)
{
    char buf[4096];
    uint64_t end = e->disk_offset + e->length;
    uint64_t at = io_max(e->disk_offset, r->o.target->size);

    while (at < end) {
        size_t n = io_min(end - at, sizeof buf);

        if (inbox_read(r->o.inbox, buf, n,
                       e->file_offset + at - e->disk_offset, err) == -1)
            return -1;
        if (!io_is_zero(buf, n))
            return refuse_overhang(r, at, err);
        at += n;
    }
    return 0;
}

int route_release(struct route *r, struct error *err)
{
    int result = 0;

    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->held.count && result == 0; i++)
        result = check_overhang(r, &r->held.list[i], err);
    for (size_t i = 0; i < r->held.count && result == 0; i++)
        result = add_move(r, &r->held.list[i], err);
    filemap_batch_clear(&r->held);
    if (result == 0 && r->is_held) {
        worker_release(r->mover);
        worker_release(r->zeroer);
        worker_release(r->reader);
    }
    r->is_held = false;
    pthread_mutex_unlock(&r->lock);
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
    return (struct route_totals){r->routed, r->moved, r->read_back};
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
