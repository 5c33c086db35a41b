/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A qcow2 stream while it arrives: what is here of it, and what QEMU sees. */

/* Notes on the design
 *
 * The stream arrives while QEMU reads.  Nothing that is not here is ever
 * answered, least of all with zeroes: QEMU does not notice the end of a file
 * and would take them for an empty table.  What has not arrived is
 * a fault: EIO, and the mapper is told what was missing.  Every table is
 * there in full or not there; QEMU itself never writes a file that ends
 * inside one, or inside data that it maps.
 *
 * A byte of the file is data or metadata, once and for all: data has been
 * claimed (and is likely gone, to the disk), metadata has been read by QEMU
 * in a run that counted.  Where both want the same byte the image is refused,
 * by file offset.  A table of a window that is mapped is not read again;
 * when the spool is at its limit, those are dropped, and count as gone.
 *
 * Receiver, bridges, mapper and movers are threads: the lock guards
 * everything but the file itself.
 */

#include "config.h"

#include "inbox.h"
#include "io.h"
#include "ranges.h"
#include "store.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* No qcow2 file is longer than this: offsets in its tables have 56 bits. */
#define LONGEST_FILE (UINT64_C(1) << 56)

struct inbox {
    struct store *store;
    int fd; /* the store's */

    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    bool has_failed;
    struct error failure; /* the first one */
    uint64_t arrived, appended, peak;
    uint64_t limit; /* of the spool; 0: none */
    uint64_t allowed_end;
    bool is_ended, is_whole, is_cancelled;
    bool has_fault;
    uint64_t fault_end;
    struct ranges gone;        /* data, and dropped tables: not to be read */
    struct ranges tables;      /* read by QEMU, in runs that counted */
    struct ranges protected;   /* of them, those that every run reads */
    struct ranges droppable;   /* the others */
    struct ranges_batch reads; /* of the run that is on */
    bool are_tables_kept;
};

int inbox_new(const char *spool_dir, uint64_t limit, struct inbox **inbox,
              struct error *err)
{
    struct inbox *in = calloc(1, sizeof *in);

    if (in == NULL)
        return error_set(err, errno, "no memory for the stream");
    if (store_new(spool_dir, &in->store, err) == -1) {
        free(in);
        return -1;
    }
    in->fd = store_fd(in->store);
    in->limit = limit;
    pthread_mutex_init(&in->lock, NULL);
    pthread_cond_init(&in->changed, NULL);
    *inbox = in;
    return 0;
}

void inbox_free(struct inbox *in)
{
    if (in == NULL)
        return;
    store_free(in->store);
    ranges_clear(&in->gone);
    ranges_clear(&in->tables);
    ranges_clear(&in->protected);
    ranges_clear(&in->droppable);
    ranges_batch_clear(&in->reads);
    pthread_mutex_destroy(&in->lock);
    pthread_cond_destroy(&in->changed);
    free(in);
}

/* Remembers err if it is the first failure.  The lock is held. */
static void note_failure(struct inbox *in, const struct error *err)
{
    if (!in->has_failed)
        in->failure = *err;
    in->has_failed = true;
}

int inbox_check(struct inbox *in, struct error *err)
{
    int r = 0;

    pthread_mutex_lock(&in->lock);
    if (in->has_failed) {
        *err = in->failure;
        r = -1;
    }
    pthread_mutex_unlock(&in->lock);
    return r;
}

/* May QEMU have these bytes?  The lock is held.  Returns an errno value. */
static int check_read(struct inbox *in, uint64_t file_offset, uint32_t length)
{
    uint64_t first;
    struct error err;

    if (ranges_has_any(&in->gone, file_offset, length, &first)) {
        error_set(&err, 0,
                  "source: file offset %" PRIu64 " is both data and metadata",
                  first);
        note_failure(in, &err);
        return EIO;
    }
    if (file_offset + length <= in->arrived)
        return 0;
    in->has_fault = true;
    in->fault_end = file_offset + length;
    return EIO;
}

/* For a bridge; returns an errno value. */
static int read_kept(struct inbox *in, void *buf, uint32_t length,
                     uint64_t file_offset)
{
    struct error err;

    if (inbox_read(in, buf, length, file_offset, &err) == 0)
        return 0;
    pthread_mutex_lock(&in->lock);
    note_failure(in, &err);
    pthread_mutex_unlock(&in->lock);
    return EIO;
}

static int read_arrived(void *opaque, void *buf, uint32_t length,
                        uint64_t file_offset)
{
    struct inbox *in = opaque;
    struct error err;
    int r;

    pthread_mutex_lock(&in->lock);
    r = check_read(in, file_offset, length);
    if (r == 0 &&
        ranges_batch_add(&in->reads, file_offset, length, &err) == -1) {
        note_failure(in, &err);
        r = ENOMEM;
    }
    pthread_mutex_unlock(&in->lock);
    if (r != 0)
        return r;
    return read_kept(in, buf, length, file_offset);
}

/* Of a compressed cluster QEMU reads whole sectors, and the last one in a
 * file may be cut short; but only if the stream is known to be complete, as
 * QEMU would decode the rest of a truncated one without a word.  The lock is
 * held.
 */
static bool is_cut_sector(const struct inbox *in, uint64_t file_offset,
                          uint32_t length)
{
    return in->is_whole && file_offset < in->arrived &&
           file_offset + length <= IO_ROUND_UP(in->arrived, IO_SECTOR);
}

static int read_waiting(void *opaque, void *buf, uint32_t length,
                        uint64_t file_offset)
{
    struct inbox *in = opaque;
    uint32_t missing = 0;
    int r = 0;

    pthread_mutex_lock(&in->lock);
    while (in->arrived < file_offset + length && !in->is_ended &&
           !in->is_cancelled)
        pthread_cond_wait(&in->changed, &in->lock);
    if (in->is_cancelled)
        r = EIO;
    else if (is_cut_sector(in, file_offset, length) &&
             file_offset + length > in->arrived)
        missing = file_offset + length - in->arrived;
    if (r == 0)
        r = check_read(in, file_offset, length - missing);
    pthread_mutex_unlock(&in->lock);
    if (r != 0)
        return r;
    memset((char *)buf + length - missing, 0, missing);
    return read_kept(in, buf, length - missing, file_offset);
}

void inbox_show_arrived(struct inbox *in, struct nbd_export *export)
{
    *export = (struct nbd_export){
        .size = LONGEST_FILE,
        .read = read_arrived,
        .opaque = in,
    };
}

void inbox_show_waiting(struct inbox *in, struct nbd_export *export)
{
    inbox_show_arrived(in, export);
    export->read = read_waiting;
}

int inbox_protect(struct inbox *in, uint64_t file_offset, uint64_t length,
                  struct error *err)
{
    struct ranges_batch batch = {0};

    if (ranges_batch_add(&batch, file_offset, length, err) == 0 &&
        ranges_unite(&in->protected, &batch, err) == 0)
        return 0;
    ranges_batch_clear(&batch);
    return -1;
}

void inbox_keep_tables(struct inbox *in)
{
    pthread_mutex_lock(&in->lock);
    in->are_tables_kept = true;
    pthread_mutex_unlock(&in->lock);
}

/* Drops the tables of windows that are mapped.  The lock is held. */
static int drop_tables(struct inbox *in, struct error *err)
{
    struct ranges_batch dropped = {0};
    int r = 0;

    for (size_t i = 0; i < in->droppable.count && r == 0; i++) {
        const struct range *table = &in->droppable.list[i];

        store_punch(in->store, table->file_offset, table->length);
        r = ranges_batch_add(&dropped, table->file_offset, table->length, err);
    }
    if (r == 0)
        r = ranges_unite(&in->gone, &dropped, err);
    ranges_clear(&in->droppable);
    ranges_batch_clear(&dropped);
    return r;
}

/* Makes room for length bytes more.  The lock is held. */
static int make_room(struct inbox *in, uint64_t length, struct error *err)
{
    uint64_t spooled = store_spooled(in->store) + length;

    if (in->limit == 0 || spooled <= in->limit)
        return 0;
    if (!in->are_tables_kept && drop_tables(in, err) == -1)
        return -1;
    spooled = store_spooled(in->store) + length;
    if (spooled <= in->limit)
        return 0;
    return error_set(err, 0,
                     "spool: %" PRIu64 " bytes needed at file offset %" PRIu64
                     ", and the limit is %" PRIu64
                     ": what came so far has its tables still to come, or is "
                     "compressed",
                     spooled, in->arrived, in->limit);
}

static void arrive(struct inbox *in, uint64_t length)
{
    in->arrived += length;
    pthread_cond_broadcast(&in->changed);
}

bool inbox_has_room(struct inbox *in, uint64_t length)
{
    bool has_room;

    pthread_mutex_lock(&in->lock);
    has_room =
        in->limit == 0 ||
        store_spooled(in->store) + IO_ROUND_UP(length, IO_ALIGN) <= in->limit;
    pthread_mutex_unlock(&in->lock);
    return has_room;
}

int inbox_append(struct inbox *in, const void *buf, size_t length,
                 struct error *err)
{
    int r;

    pthread_mutex_lock(&in->lock);
    r = make_room(in, IO_ROUND_UP(length, IO_ALIGN), err);
    pthread_mutex_unlock(&in->lock);
    if (r == -1)
        return -1;
    if (io_pwrite_full(in->fd, buf, length, in->arrived) == -1)
        return error_set(err, errno,
                         "spool: cannot write at file offset %" PRIu64,
                         in->arrived);
    pthread_mutex_lock(&in->lock);
    in->appended += length;
    in->peak = io_max(in->peak, store_spooled(in->store));
    arrive(in, length);
    pthread_mutex_unlock(&in->lock);
    return 0;
}

void inbox_skip(struct inbox *in, uint64_t length)
{
    pthread_mutex_lock(&in->lock);
    arrive(in, length);
    pthread_mutex_unlock(&in->lock);
}

void inbox_end_stream(struct inbox *in, bool is_whole)
{
    pthread_mutex_lock(&in->lock);
    in->is_ended = true;
    in->is_whole = is_whole;
    pthread_cond_broadcast(&in->changed);
    pthread_mutex_unlock(&in->lock);
}

uint64_t inbox_arrived(struct inbox *in)
{
    uint64_t arrived;

    pthread_mutex_lock(&in->lock);
    arrived = in->arrived;
    pthread_mutex_unlock(&in->lock);
    return arrived;
}

bool inbox_take_fault(struct inbox *in, uint64_t *file_end)
{
    bool has_fault;

    pthread_mutex_lock(&in->lock);
    has_fault = in->has_fault;
    *file_end = in->fault_end;
    in->has_fault = false;
    pthread_mutex_unlock(&in->lock);
    return has_fault;
}

/* What QEMU has read is metadata.  The lock is held. */
static int keep_reads(struct inbox *in, struct error *err)
{
    struct ranges_batch droppable = {0};
    int r = 0;

    for (size_t i = 0; i < in->reads.count && r == 0; i++) {
        const struct range *read = &in->reads.list[i];
        uint64_t first;

        if (!ranges_has_any(&in->protected, read->file_offset, read->length,
                            &first))
            r = ranges_batch_add(&droppable, read->file_offset, read->length,
                                 err);
    }
    if (r == 0)
        r = ranges_unite(&in->droppable, &droppable, err);
    if (r == 0)
        r = ranges_unite(&in->tables, &in->reads, err);
    ranges_batch_clear(&droppable);
    return r;
}

int inbox_settle_reads(struct inbox *in, bool is_metadata, struct error *err)
{
    int r = 0;

    pthread_mutex_lock(&in->lock);
    if (is_metadata)
        r = keep_reads(in, err);
    ranges_batch_clear(&in->reads);
    pthread_mutex_unlock(&in->lock);
    return r;
}

/* One piece of data: may it be that?  The lock is held. */
static int check_claim(struct inbox *in, const struct filemap_entry *e,
                       struct error *err)
{
    uint64_t first;

    if (ranges_has_any(&in->gone, e->file_offset, e->length, &first))
        return error_set(err, 0,
                         "source: file offset %" PRIu64
                         " is claimed twice, again for disk offset %" PRIu64,
                         first, e->disk_offset + first - e->file_offset);
    if (ranges_has_any(&in->tables, e->file_offset, e->length, &first))
        return error_set(err, 0,
                         "source: file offset %" PRIu64
                         " is metadata, and data for disk offset %" PRIu64,
                         first, e->disk_offset + first - e->file_offset);
    return 0;
}

int inbox_claim(struct inbox *in, const struct filemap *data,
                struct error *err)
{
    struct ranges_batch claimed = {0};
    int r = 0;

    pthread_mutex_lock(&in->lock);
    for (size_t i = 0; i < data->count && r == 0; i++) {
        const struct filemap_entry *e = &data->list[i];

        r = check_claim(in, e, err);
        if (r == 0)
            r = ranges_batch_add(&claimed, e->file_offset, e->length, err);
    }
    if (r == 0)
        r = ranges_unite(&in->gone, &claimed, err);
    pthread_mutex_unlock(&in->lock);
    ranges_batch_clear(&claimed);
    return r;
}

void inbox_allow(struct inbox *in, uint64_t file_end)
{
    pthread_mutex_lock(&in->lock);
    in->allowed_end = io_max(in->allowed_end, file_end);
    pthread_mutex_unlock(&in->lock);
}

uint64_t inbox_allowed(struct inbox *in)
{
    uint64_t allowed = 0;

    pthread_mutex_lock(&in->lock);
    if (in->arrived < in->allowed_end)
        allowed = in->allowed_end - in->arrived;
    pthread_mutex_unlock(&in->lock);
    return allowed;
}

enum inbox_wait inbox_wait(struct inbox *in, uint64_t file_end)
{
    enum inbox_wait r = INBOX_ENDED;

    pthread_mutex_lock(&in->lock);
    while (in->arrived < file_end && !in->is_ended && !in->is_cancelled)
        pthread_cond_wait(&in->changed, &in->lock);
    if (in->is_cancelled)
        r = INBOX_CANCELLED;
    else if (in->arrived >= file_end)
        r = INBOX_ARRIVED;
    pthread_mutex_unlock(&in->lock);
    return r;
}

void inbox_cancel(struct inbox *in)
{
    pthread_mutex_lock(&in->lock);
    in->is_cancelled = true;
    pthread_cond_broadcast(&in->changed);
    pthread_mutex_unlock(&in->lock);
}

int inbox_truncated(struct inbox *in, uint64_t file_end, struct error *err)
{
    return error_set(err, 0,
                     "source: truncated: it ends at file offset %" PRIu64
                     ", and the bytes up to %" PRIu64 " are needed",
                     inbox_arrived(in), file_end);
}

int inbox_read(struct inbox *in, void *buf, size_t length,
               uint64_t file_offset, struct error *err)
{
    ssize_t got = io_pread_full(in->fd, buf, length, file_offset);

    if (got == (ssize_t)length)
        return 0;
    return error_set(err, got == -1 ? errno : 0,
                     "spool: cannot read at file offset %" PRIu64,
                     file_offset);
}

void inbox_punch(struct inbox *in, uint64_t file_offset, uint64_t length)
{
    store_punch(in->store, file_offset, length);
}

uint64_t inbox_peak(struct inbox *in)
{
    uint64_t peak;

    pthread_mutex_lock(&in->lock);
    peak = in->peak;
    pthread_mutex_unlock(&in->lock);
    return peak;
}

uint64_t inbox_appended(struct inbox *in)
{
    uint64_t appended;

    pthread_mutex_lock(&in->lock);
    appended = in->appended;
    pthread_mutex_unlock(&in->lock);
    return appended;
}
