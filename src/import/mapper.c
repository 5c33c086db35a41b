/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Finds out what each byte of an arriving qcow2 stream is. */

/* Notes on the design
 *
 * qcow2 needs random access and a socket has none.  So `qemu-img map` runs on
 * what has arrived so far, and the bridge notes which tables it wanted that
 * are not here: it sees them as empty.  When they have come, it is run again.
 * A run takes about 10 ms, so what matters is how many there are: windows.c
 * knows when one is worth it, which part of the disk it is for, and what of
 * its map is to be believed.
 *
 * The map is checked as far as it is ours to check: it covers its part of the
 * disk without a gap (mapjson), and no byte of the file is two bytes of the
 * disk, or data and metadata (inbox).  A later run reads tables of parts that
 * are mapped once more, unless they have been dropped.  What it says of these
 * parts is not looked at.
 *
 * While QEMU runs, the receiver waits rather than keep what it may be told to
 * write to the disk a moment later: unknown bytes are kept only as far as we
 * allow.
 *
 * What a window says is held in memory until its data has come.  So that small
 * tables that say much do not fill it, a run ends after MAP_MOST_FINDINGS
 * ranges, and the next goes on there; and it waits until what is held is no
 * more than 8 bytes for each byte that has come, and some MiB.
 *
 * A table that is missing when the stream has ended is how truncation shows.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/signals.h"
#include "import/map-findings.h"
#include "import/mapper.h"
#include "import/windows.h"
#include "nbd/map.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>

/* Bytes of memory that what windows say may take before anything has come. */
#define HELD_AT_ANY_TIME (UINT64_C(8) << 20)

/* And for each byte that has come. */
#define HELD_PER_BYTE UINT64_C(8)

/* Bytes of the stream that may be kept before the first run, and while what is
 * held is too much.
 */
#define LOOKAHEAD (UINT64_C(512) << 10)

/* Milliseconds between two looks at what is held: nobody tells when something
 * has been moved.
 */
enum { BACKLOG_MS = 50 };

struct mapper {
    const struct qemu *qemu;
    struct inbox *inbox;
    const struct gate_image *image;
    mapper_give_window *give;
    mapper_backlog *backlog;
    void *opaque;
    int wake_fd;
    int stop_fd; /* an eventfd: the thread shall end */
    pthread_t thread;
    uint64_t entries;          /* of the map so far; the thread's */
    atomic_uint runs, windows; /* windows: those that were reported */

    pthread_mutex_t lock; /* of what came of it: */
    bool is_done, has_failed;
    struct error failure;
};

static void log_window(const struct windows_run *run,
                       const struct mapper_window *w)
{
    log_debug(
        "map: disk offsets %" PRIu64 " to %" PRIu64 ": %" PRIu64
        " bytes known now, %zu ranges of data, %zu compressed, %zu zero, "
        "%zu holes, %zu tables missing",
        run->disk_offset, run->disk_end, w->mapped, w->data.count,
        w->compressed.count, w->zeroes.count, w->holes.count,
        run->missing->count);
    for (size_t i = 0; log_is_debug() && i < w->data.count; i++)
        log_debug("map: file offset %" PRIu64 " length %" PRIu64
                  " disk offset %" PRIu64,
                  w->data.list[i].file_offset, w->data.list[i].length,
                  w->data.list[i].disk_offset);
}

/* What a run has found must be possible, and then it counts. */
static int keep(struct mapper *m, struct windows *windows,
                struct map_findings *f, const struct windows_run *run,
                struct error *err)
{
    struct mapper_window *w = &f->window;
    bool may_drop = windows_used_all(windows, run);

    if (windows_mapped(windows, run, &w->holes, &w->mapped, err) == -1)
        return -1;
    if (filemap_merge(&w->data, &f->data, err) == -1)
        return error_wrap(err, "source");
    log_window(run, w);
    if (w->compressed.count >
        0) /* who reads them back needs the tables, too */
        inbox_keep_tables(m->inbox);
    if (w->mapped > 0)
        m->windows++; /* who sees that take has the last one may ask */
    if (inbox_settle_reads(&f->view, may_drop, err) == -1 ||
        inbox_claim(m->inbox, &w->data, m->image->cluster_size, err) == -1 ||
        m->give(m->opaque, w, err) == -1)
        return -1;
    m->entries += f->new_entries + w->holes.count;
    return 0;
}

static int check_inbox(void *inbox, struct error *err)
{
    return inbox_check(inbox, err);
}

/* What comes of a run that QEMU has ended, or we: result and err say how. */
static int conclude(struct mapper *m, struct windows *w,
                    struct map_findings *f, struct windows_run *run,
                    int result, struct error *err)
{
    enum inbox_sight sight = inbox_sight(&f->view);
    bool is_part = f->is_full || sight == INBOX_SAW_FEW;
    bool may_be_for_want =
        result == -1 && !is_part && !f->is_refused && err->errnum == 0;

    if (is_part)
        map_findings_cut(f, run->disk_offset, w->slice);
    run->disk_end = f->disk_end;
    run->entries = f->entries;
    run->new_entries = f->new_entries;
    run->filled = f->view.filled;
    run->is_last = sight == INBOX_SAW_FEW;
    if (sight == INBOX_SAW_GAPS)
        return 0; /* without these it is asked for again */
    if (sight == INBOX_SAW_NONE ||
        (may_be_for_want && sight == INBOX_SAW_PART))
        return windows_failed(w, run, err);
    if (result == -1 && !is_part) {
        /* With an errno it is our host's fault, not the image's. */
        if (err->errnum == 0)
            error_wrap(err, "source: disk offset %" PRIu64, run->disk_offset);
        return -1;
    }
    if (!is_part && f->disk_end != run->disk_offset + run->length)
        return error_set(err, 0,
                         "QEMU: qemu-img map ends at disk offset %" PRIu64
                         ", not at %" PRIu64,
                         f->disk_end, run->disk_offset + run->length);
    return keep(m, w, f, run, err);
}

/* Runs QEMU once, on length bytes of disk from disk_offset on.  is_again: some
 * of them are mapped already.
 */
static int run(struct mapper *m, struct windows *w, uint64_t disk_offset,
               uint64_t length, bool is_again, struct error *err)
{
    uint64_t slice = qemu_l2_slice(m->image->cluster_size);
    struct map_findings CLEANUP(map_findings) f = {
        .inbox = m->inbox,
        .known_entries = m->entries,
        .unmapped = &w->unmapped,
        .disk_end = disk_offset,
    };
    const struct nbd_shown shown = {
        .export = &f.view.export,
        .check = check_inbox,
        .opaque = m->inbox,
    };
    const struct qemu_img_map map = {
        .disk_offset = disk_offset,
        .length = length,
        .l2_slice = slice,
        .cancel_fd = m->stop_fd,
        .sink = map_findings_add,
        .opaque = &f,
    };
    struct windows_run told = {
        .disk_offset = disk_offset,
        .length = length,
        .told = &f.told,
        .missing = &f.view.missing,
    };
    uint64_t began = clock_ms();
    bool is_qemus;
    int r;

    inbox_show_arrived(m->inbox, &f.view, slice, is_again);
    m->runs++;
    r = nbd_map(m->qemu, &shown, &map, &is_qemus, err);
    told.milliseconds = clock_ms() - began;
    if (r == -1 && !is_qemus)
        return -1;
    return conclude(m, w, &f, &told, r, err);
}

/* Waits for bytes before file_end, and allows that those before kept_end are
 * kept.
 */
static int wait_for(struct mapper *m, uint64_t file_end, uint64_t kept_end,
                    struct error *err)
{
    inbox_allow(m->inbox, kept_end);
    eventfd_write(m->wake_fd, 1);
    switch (inbox_wait(m->inbox, file_end)) {
    case INBOX_ARRIVED:
        return 0;
    case INBOX_CANCELLED:
        return error_set(err, ECANCELED, "mapper");
    default:
        return inbox_truncated(m->inbox, file_end, err);
    }
}

/* Waits for tables that are missing, until another pass is worth it. */
static int wait_for_tables(struct mapper *m, struct windows *w,
                           struct error *err)
{
    struct windows_wait until;

    windows_wait(w, inbox_arrived(m->inbox), inbox_room(m->inbox), &until);
    if (wait_for(m, until.first_end, until.kept_end, err) == -1)
        return -1;
    if (inbox_wait(m->inbox, until.file_end) == INBOX_CANCELLED)
        return error_set(err, ECANCELED, "mapper");
    return windows_begin_pass(w, inbox_arrived(m->inbox), err);
}

/* What every run needs. */
static uint64_t first_tables_end(const struct gate_image *image)
{
    return io_max(image->cluster_size,
                  io_max(image->l1_offset + image->l1_length,
                         image->refcount_offset + image->refcount_length));
}

/* Maps the next window, or waits until there is one that can be. */
static int map_next(struct mapper *m, struct windows *w, struct error *err)
{
    bool is_apart = inbox_has_dropped(m->inbox);
    uint64_t disk_offset, length;

    if (!windows_next(w, is_apart, &disk_offset, &length))
        return wait_for_tables(m, w, err);
    return run(m, w, disk_offset, length, !is_apart, err);
}

/* Waits until what is held in memory is in a proportion to what has come. */
static int wait_for_backlog(struct mapper *m, struct error *err)
{
    for (;;) {
        uint64_t arrived = inbox_arrived(m->inbox), needed_end;
        uint64_t held = m->backlog(m->opaque, &needed_end);

        if (held <= HELD_AT_ANY_TIME + HELD_PER_BYTE * arrived)
            return 0;
        inbox_allow(m->inbox, arrived + LOOKAHEAD);
        eventfd_write(m->wake_fd, 1);
        switch (
            inbox_wait_briefly(m->inbox, arrived + LOOKAHEAD, BACKLOG_MS)) {
        case INBOX_CANCELLED:
            return error_set(err, ECANCELED, "mapper");
        case INBOX_ENDED:
            if (needed_end > inbox_arrived(m->inbox))
                return inbox_truncated(m->inbox, needed_end, err);
            return 0; /* there will not be more than there is */
        case INBOX_ARRIVED:
            break;
        }
    }
}

static int map_all(struct mapper *m, struct windows *w, struct error *err)
{
    uint64_t tables_end = first_tables_end(m->image);
    uint64_t here_end = io_max(tables_end, inbox_arrived(m->inbox));

    if (wait_for(m, tables_end, here_end + LOOKAHEAD, err) == -1)
        return -1;
    while (!windows_are_done(w))
        if (wait_for_backlog(m, err) == -1 || map_next(m, w, err) == -1)
            return -1;
    inbox_allow(m->inbox, INT64_MAX);
    return 0;
}

static int map_disk(struct mapper *m, struct error *err)
{
    struct windows w;
    int r = windows_begin(&w, m->image->virtual_size,
                          m->image->window / m->image->cluster_size *
                              qemu_l2_slice(m->image->cluster_size),
                          err);

    if (r == 0)
        r = map_all(m, &w, err);
    windows_end(&w);
    return r;
}

static void note_result(struct mapper *m, int result, const struct error *err)
{
    LOCK_FOR_SCOPE(&m->lock);
    m->is_done = result == 0;
    m->has_failed = result == -1;
    if (m->has_failed)
        m->failure = *err;
}

static void *run_thread(void *opaque)
{
    struct mapper *m = opaque;
    struct error err;
    int r = map_disk(m, &err);

    note_result(m, r, &err);
    eventfd_write(m->wake_fd, 1);
    return NULL;
}

/* All of it but the thread. */
static void free_unstarted(struct mapper *m)
{
    cleanup_close_fd(&m->stop_fd);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

int mapper_start(const struct qemu *qemu, struct inbox *inbox,
                 const struct gate_image *image, mapper_give_window *give,
                 mapper_backlog *backlog, void *opaque, int wake_fd,
                 struct mapper **mapper, struct error *err)
{
    struct mapper *m = calloc(1, sizeof *m);
    int r = 0;

    if (m == NULL)
        return error_set(err, errno, "no memory for the mapper");
    *m = (struct mapper){
        .qemu = qemu,
        .inbox = inbox,
        .image = image,
        .give = give,
        .backlog = backlog,
        .opaque = opaque,
        .wake_fd = wake_fd,
        .stop_fd = eventfd(0, EFD_CLOEXEC),
    };
    pthread_mutex_init(&m->lock, NULL);
    if (m->stop_fd == -1)
        r = error_set(err, errno, "cannot make an eventfd");
    if (r == 0) {
        int errnum = signals_create_thread(&m->thread, run_thread, m);

        if (errnum != 0)
            r = error_set(err, errnum, "cannot start a thread");
    }
    if (r == -1) {
        free_unstarted(m);
        return -1;
    }
    *mapper = m;
    return 0;
}

int mapper_check(struct mapper *m, struct error *err)
{
    LOCK_FOR_SCOPE(&m->lock);
    if (!m->has_failed)
        return 0;
    *err = m->failure;
    return -1;
}

bool mapper_is_done(struct mapper *m)
{
    LOCK_FOR_SCOPE(&m->lock);
    return m->is_done;
}

unsigned mapper_runs(const struct mapper *m)
{
    return m->runs;
}

unsigned mapper_windows(const struct mapper *m)
{
    return m->windows;
}

void mapper_free(struct mapper *m)
{
    if (m == NULL)
        return;
    inbox_cancel(m->inbox);
    eventfd_write(m->stop_fd, 1);
    pthread_join(m->thread, NULL);
    free_unstarted(m);
}
