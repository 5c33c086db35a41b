/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Finds out what each byte of an arriving qcow2 stream is. */

/* Notes on the design
 *
 * qcow2 needs random access and a socket has none, so QEMU takes page
 * faults: `qemu-img map` runs on what has arrived so far, fails where a table
 * is missing, and the bridge notes which bytes it wanted.  When they have
 * come, it is run again.  A run takes about 10 ms, so what matters is how
 * many there are.
 *
 * The disk is mapped in windows; which one is next is windows.c's business.
 *
 * The map is checked as far as it is ours to check: it covers the window
 * without a gap (mapjson), and no byte of the file is two bytes of the disk,
 * or data and metadata (inbox).
 *
 * While QEMU runs, the receiver waits rather than keep what it may be told to
 * write to the disk a moment later: unknown bytes are kept only as far as we
 * allow.  At a fault that is the missing table and some more.
 *
 * What a window says is held in memory until its data has come.  So that small
 * tables that say much do not fill it, a run has no more than MOST_FINDINGS
 * ranges, and its window is halved, to what a slice of an L2 table describes;
 * and the next run waits until what is held is no more than 8 bytes for each
 * byte that has come, and some MiB.
 *
 * A fault past the end of a stream that has ended is how truncation shows.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/signals.h"
#include "import/inbox-view.h"
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

enum {
    /* Ranges that a run may find.  A slice of a table, which is the smallest
     * window, has half as many at the most.
     */
    MOST_FINDINGS = 1 << 18,

    /* Milliseconds between two looks at what is held: nobody tells when
     * something has been moved.
     */
    BACKLOG_MS = 50,
};

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

/* One run's findings, which count only when it succeeds. */
struct findings {
    const struct mapper *mapper;
    struct filemap_batch data; /* becomes the window's */
    struct mapper_window window;
    uint64_t entries, most_entries;
    bool is_full;
    struct inbox_view view;
};

static void cleanup_findings(struct findings *f)
{
    inbox_hide(&f->view);
    filemap_batch_clear(&f->data);
    filemap_clear(&f->window.data);
    extents_clear(&f->window.compressed);
    extents_clear(&f->window.zeroes);
    extents_clear(&f->window.holes);
}

/* How many ranges a run may find.  An entry of a table has 8 bytes and
 * describes a range; an extended L2 entry has 16, and 32 ranges.  Who sends
 * more has tables that share tables, and means to keep us busy.  Tables may
 * arrive while QEMU runs, so who reaches the bound asks again.
 */
static uint64_t most_entries(const struct mapper *m)
{
    return inbox_arrived(m->inbox) / 8 * 16 + 16 - m->entries;
}

static int add_entry(void *opaque, const struct mapjson_entry *e,
                     struct error *err)
{
    struct findings *f = opaque;
    struct mapper_window *w = &f->window;
    struct extents *extents;

    w->disk_end = e->disk_offset + e->length;
    if (f->entries == f->most_entries)
        f->most_entries = most_entries(f->mapper);
    if (f->entries == f->most_entries)
        return error_set(err, 0,
                         "more ranges than its tables have entries: they are "
                         "used more than once");
    if (f->entries == MOST_FINDINGS) {
        f->is_full = true;
        return error_set(err, 0, "more ranges than are wanted at once");
    }
    f->entries++;
    if (e->is_zero && e->is_present)
        extents = &w->zeroes;
    else if (!mapjson_entry_has_data(e))
        extents = &w->holes;
    else if (e->is_compressed || !e->has_file_offset)
        extents = &w->compressed;
    else
        return filemap_batch_add(&f->data, e->file_offset, e->length,
                                 e->disk_offset, err);
    return extents_append(extents, e->disk_offset, e->length, err);
}

static void log_window(const struct mapper_window *w)
{
    log_debug("map: disk offsets %" PRIu64 " to %" PRIu64
              ": %zu ranges of data, %zu compressed, %zu zero, %zu holes",
              w->disk_offset, w->disk_end, w->data.count, w->compressed.count,
              w->zeroes.count, w->holes.count);
    for (size_t i = 0; log_is_debug() && i < w->data.count; i++)
        log_debug("map: file offset %" PRIu64 " length %" PRIu64
                  " disk offset %" PRIu64,
                  w->data.list[i].file_offset, w->data.list[i].length,
                  w->data.list[i].disk_offset);
}

enum outcome { MAPPED, FAULTED, TOO_MANY, FAILED };

/* What a run that succeeded says must be possible, and then it counts. */
static enum outcome keep(struct mapper *m, struct findings *f,
                         uint64_t disk_end, struct error *err)
{
    struct mapper_window *w = &f->window;

    if (w->disk_end != disk_end) {
        error_set(err, 0,
                  "QEMU: qemu-img map ends at disk offset %" PRIu64
                  ", not at %" PRIu64,
                  w->disk_end, disk_end);
        return FAILED;
    }
    if (filemap_merge(&w->data, &f->data, err) == -1) {
        error_wrap(err, "source");
        return FAILED;
    }
    log_window(w);
    if (w->compressed.count >
        0) /* who reads them back needs the tables, too */
        inbox_keep_tables(m->inbox);
    m->windows++; /* who sees that take has the last one may ask */
    if (inbox_settle_reads(&f->view, err) == -1 ||
        inbox_claim(m->inbox, &w->data, m->image->cluster_size, err) == -1 ||
        m->give(m->opaque, w, err) == -1)
        return FAILED;
    m->entries += f->entries;
    return MAPPED;
}

static int check_inbox(void *inbox, struct error *err)
{
    return inbox_check(inbox, err);
}

/* Runs QEMU once, on length bytes of disk from disk_offset on. */
static enum outcome run(struct mapper *m, uint64_t disk_offset,
                        uint64_t length, uint64_t *fault_end,
                        struct error *err)
{
    struct findings CLEANUP(findings) f = {
        .mapper = m,
        .window.disk_offset = disk_offset,
    };
    const struct nbd_shown shown = {
        .export = &f.view.export,
        .check = check_inbox,
        .opaque = m->inbox,
    };
    const struct qemu_img_map map = {
        .disk_offset = disk_offset,
        .length = length,
        .cancel_fd = m->stop_fd,
        .sink = add_entry,
        .opaque = &f,
    };
    bool is_qemus;
    int r;

    inbox_show_arrived(m->inbox, &f.view);
    m->runs++;
    r = nbd_map(m->qemu, &shown, &map, &is_qemus, err);
    if (r == -1 && !is_qemus)
        return FAILED;
    if (inbox_take_fault(&f.view, fault_end))
        return FAULTED;
    if (f.is_full)
        return TOO_MANY;
    if (r == -1) {
        /* With an errno it is our host's fault, not the image's. */
        if (err->errnum == 0)
            error_wrap(err, "source: disk offset %" PRIu64, disk_offset);
        return FAILED;
    }
    return keep(m, &f, disk_offset + length, err);
}

/* Waits for bytes before file_end, and allows for lookahead more. */
static int wait_for(struct mapper *m, uint64_t file_end, uint64_t lookahead,
                    struct error *err)
{
    inbox_allow(m->inbox,
                io_max(file_end, inbox_arrived(m->inbox)) + lookahead);
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
    uint64_t disk_offset, length, table_end, lookahead;
    uint64_t before = m->entries;

    if (!windows_next(w, inbox_arrived(m->inbox), &disk_offset, &length,
                      &table_end))
        return wait_for(m, table_end, 0, err);
    switch (run(m, disk_offset, length, &table_end, err)) {
    case MAPPED:
        windows_mapped(w, m->entries - before < MOST_FINDINGS / 4);
        return 0;
    case FAULTED:
        if (windows_faulted(w, table_end, inbox_arrived(m->inbox), &lookahead))
            return wait_for(m, table_end, lookahead, err);
        return 0;
    case TOO_MANY:
        windows_too_long(w);
        return 0;
    default:
        return -1;
    }
}

/* Waits until what is held in memory is in a proportion to what has come. */
static int wait_for_backlog(struct mapper *m, struct error *err)
{
    for (;;) {
        uint64_t arrived = inbox_arrived(m->inbox), needed_end;
        uint64_t held = m->backlog(m->opaque, &needed_end);

        if (held <= HELD_AT_ANY_TIME + HELD_PER_BYTE * arrived)
            return 0;
        inbox_allow(m->inbox, arrived + WINDOWS_LOOKAHEAD);
        eventfd_write(m->wake_fd, 1);
        switch (inbox_wait_briefly(m->inbox, arrived + WINDOWS_LOOKAHEAD,
                                   BACKLOG_MS)) {
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

static int map_disk(struct mapper *m, struct error *err)
{
    struct windows w;

    windows_begin(&w, m->image->virtual_size, m->image->window,
                  m->image->cluster_size);
    if (wait_for(m, first_tables_end(m->image), WINDOWS_LOOKAHEAD, err) == -1)
        return -1;
    while (!windows_are_done(&w))
        if (wait_for_backlog(m, err) == -1 || map_next(m, &w, err) == -1)
            return -1;
    inbox_allow(m->inbox, INT64_MAX);
    return 0;
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
