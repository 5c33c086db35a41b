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
 * What a byte of the file is, is decided once (ledger.h).  Data that was
 * claimed is likely gone, to the disk; and when the spool is at its limit,
 * tables of windows that are mapped are dropped.
 *
 * Receiver, bridges, mapper and movers are threads: the lock guards
 * everything but the file itself.  So a byte may go while QEMU's read of it is
 * under way: whoever reads asks the ledger before and after.
 */

#include "config.h"

#include "import/inbox.h"
#include "base/io.h"
#include "import/kept.h"
#include "import/ledger.h"
#include "nbd/store.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
    struct kept kept;
    uint64_t stuck; /* bytes that the file system did not take back */
    struct ledger ledger;
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
    kept_clear(&in->kept);
    ledger_clear(&in->ledger);
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

/* Is all of it here?  If not, that is the view's fault.  The lock is held. */
static bool is_here(struct inbox_view *v, uint64_t file_end)
{
    if (file_end <= v->inbox->arrived)
        return true;
    v->has_fault = true;
    v->fault_end = file_end;
    return false;
}

/* Reads what is here.  Returns an errno value. */
static int read_here(struct inbox *in, void *buf, uint32_t length,
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

/* May QEMU have these bytes as metadata?  The lock is held. */
static int check_table(struct inbox *in, uint64_t file_offset, uint32_t length)
{
    struct error err;

    if (ledger_check_table(&in->ledger, file_offset, length, &err) == 0)
        return 0;
    note_failure(in, &err);
    return EIO;
}

static int read_arrived(void *opaque, void *buf, uint32_t length,
                        uint64_t file_offset)
{
    struct inbox_view *v = opaque;
    struct inbox *in = v->inbox;
    struct error err;
    int r;

    pthread_mutex_lock(&in->lock);
    r = check_table(in, file_offset, length);
    if (r == 0 && !is_here(v, file_offset + length))
        r = EIO;
    if (r == 0 &&
        ranges_batch_add(&v->reads, file_offset, length, &err) == -1) {
        note_failure(in, &err);
        r = ENOMEM;
    }
    pthread_mutex_unlock(&in->lock);
    if (r == 0)
        r = read_here(in, buf, length, file_offset);
    if (r != 0)
        return r;
    pthread_mutex_lock(&in->lock);
    r = check_table(in, file_offset, length);
    pthread_mutex_unlock(&in->lock);
    return r;
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

/* May QEMU have these bytes as compressed data?  They are noted before they
 * are read, so that nobody claims them meanwhile.  The lock is held.
 */
static int check_compressed(struct inbox_view *v, uint64_t file_offset,
                            uint32_t length)
{
    struct inbox *in = v->inbox;
    struct error err;
    bool is_compressed;

    if (ledger_add_compressed(&in->ledger, !v->is_open, file_offset, length,
                              &is_compressed, &err) == 0)
        return 0;
    note_failure(in, &err);
    return EIO;
}

static int read_waiting(void *opaque, void *buf, uint32_t length,
                        uint64_t file_offset)
{
    struct inbox_view *v = opaque;
    struct inbox *in = v->inbox;
    uint32_t missing = 0;
    int r;

    pthread_mutex_lock(&in->lock);
    while (in->arrived < file_offset + length && !in->is_ended &&
           !in->is_cancelled)
        pthread_cond_wait(&in->changed, &in->lock);
    if (is_cut_sector(in, file_offset, length) &&
        file_offset + length > in->arrived)
        missing = file_offset + length - in->arrived;
    if (in->is_cancelled || !is_here(v, file_offset + length - missing))
        r = EIO;
    else
        r = check_compressed(v, file_offset, length);
    pthread_mutex_unlock(&in->lock);
    if (r != 0)
        return r;
    memset((char *)buf + length - missing, 0, missing);
    return read_here(in, buf, length - missing, file_offset);
}

static void show(struct inbox *in, struct inbox_view *v,
                 int (*read)(void *, void *, uint32_t, uint64_t))
{
    *v = (struct inbox_view){
        .inbox = in,
        .export = {.size = LONGEST_FILE, .read = read, .opaque = v},
    };
}

void inbox_show_arrived(struct inbox *in, struct inbox_view *v)
{
    show(in, v, read_arrived);
}

void inbox_show_waiting(struct inbox *in, struct inbox_view *v)
{
    show(in, v, read_waiting);
}

void inbox_view_opened(struct inbox_view *v)
{
    pthread_mutex_lock(&v->inbox->lock);
    v->is_open = true;
    pthread_mutex_unlock(&v->inbox->lock);
}

void inbox_hide(struct inbox_view *v)
{
    ranges_batch_clear(&v->reads);
}

int inbox_check_compressed(struct inbox *in, struct error *err)
{
    int r;

    pthread_mutex_lock(&in->lock);
    r = ledger_check_compressed(&in->ledger, err);
    pthread_mutex_unlock(&in->lock);
    return r;
}

int inbox_protect(struct inbox *in, uint64_t file_offset, uint64_t length,
                  struct error *err)
{
    return ledger_protect(&in->ledger, file_offset, length, err);
}

void inbox_keep_tables(struct inbox *in)
{
    pthread_mutex_lock(&in->lock);
    in->are_tables_kept = true;
    pthread_mutex_unlock(&in->lock);
}

/* Bytes that are kept now.  The lock is held. */
static uint64_t spooled(const struct inbox *in)
{
    return kept_bytes(&in->kept) + in->stuck;
}

/* Gives back the room of a piece.  The lock is held, so that the receiver does
 * not write into a block that was empty: it has noted it by then.
 */
static void give_back(void *opaque, uint64_t file_offset, uint64_t length)
{
    struct inbox *in = opaque;
    uint64_t from, to, bytes;

    bytes =
        kept_remove(&in->kept, file_offset, file_offset + length, &from, &to);
    if (bytes > 0 && !store_punch(in->store, from, to - from))
        in->stuck += bytes;
}

/* Makes room for the next length bytes, and notes them.  The lock is held. */
static int make_room(struct inbox *in, uint64_t length, struct error *err)
{
    uint64_t needed = spooled(in) + IO_ROUND_UP(length, KEPT_BLOCK);

    if (in->limit != 0 && needed > in->limit && !in->are_tables_kept) {
        if (ledger_drop_tables(&in->ledger, give_back, in, err) == -1)
            return -1;
        needed = spooled(in) + IO_ROUND_UP(length, KEPT_BLOCK);
    }
    if (in->limit != 0 && needed > in->limit)
        return error_set(
            err, 0,
            "spool: %" PRIu64 " bytes needed at file offset %" PRIu64
            ", and the limit is %" PRIu64
            ": what came so far has its tables still to come, or is "
            "compressed",
            needed, in->arrived, in->limit);
    if (kept_add(&in->kept, in->arrived, in->arrived + length, err) == -1)
        return -1;
    in->peak = io_max(in->peak, spooled(in));
    return 0;
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
    has_room = in->limit == 0 ||
               spooled(in) + IO_ROUND_UP(length, KEPT_BLOCK) <= in->limit;
    pthread_mutex_unlock(&in->lock);
    return has_room;
}

int inbox_append(struct inbox *in, const void *buf, size_t length,
                 struct error *err)
{
    int r;

    pthread_mutex_lock(&in->lock);
    r = make_room(in, length, err);
    pthread_mutex_unlock(&in->lock);
    if (r == -1)
        return -1;
    if (io_pwrite_full(in->fd, buf, length, in->arrived) == -1)
        return error_set(err, errno,
                         "spool: cannot write at file offset %" PRIu64,
                         in->arrived);
    pthread_mutex_lock(&in->lock);
    in->appended += length;
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

bool inbox_take_fault(struct inbox_view *v, uint64_t *file_end)
{
    bool has_fault;

    pthread_mutex_lock(&v->inbox->lock);
    has_fault = v->has_fault;
    *file_end = v->fault_end;
    v->has_fault = false;
    pthread_mutex_unlock(&v->inbox->lock);
    return has_fault;
}

int inbox_settle_reads(struct inbox_view *v, struct error *err)
{
    struct inbox *in = v->inbox;
    int r;

    pthread_mutex_lock(&in->lock);
    r = ledger_add_tables(&in->ledger, &v->reads, err);
    pthread_mutex_unlock(&in->lock);
    return r;
}

int inbox_claim(struct inbox *in, const struct filemap *data, uint64_t granule,
                struct error *err)
{
    int r;

    pthread_mutex_lock(&in->lock);
    r = ledger_add_data(&in->ledger, data, granule, err);
    pthread_mutex_unlock(&in->lock);
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

/* Waits, until the time if there is one. */
static enum inbox_wait wait_until(struct inbox *in, uint64_t file_end,
                                  const struct timespec *until)
{
    enum inbox_wait r = INBOX_ARRIVED;
    int timed_out = 0;

    pthread_mutex_lock(&in->lock);
    while (in->arrived < file_end && !in->is_ended && !in->is_cancelled &&
           timed_out == 0)
        timed_out = until == NULL ? pthread_cond_wait(&in->changed, &in->lock)
                                  : pthread_cond_timedwait(&in->changed,
                                                           &in->lock, until);
    if (in->is_cancelled)
        r = INBOX_CANCELLED;
    else if (in->arrived < file_end && in->is_ended)
        r = INBOX_ENDED;
    pthread_mutex_unlock(&in->lock);
    return r;
}

enum inbox_wait inbox_wait(struct inbox *in, uint64_t file_end)
{
    return wait_until(in, file_end, NULL);
}

enum inbox_wait inbox_wait_briefly(struct inbox *in, uint64_t file_end,
                                   unsigned milliseconds)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += milliseconds % 1000 * 1000000L;
    until.tv_sec += milliseconds / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return wait_until(in, file_end, &until);
}

void inbox_cancel(struct inbox *in)
{
    pthread_mutex_lock(&in->lock);
    in->is_cancelled = true;
    pthread_cond_broadcast(&in->changed);
    pthread_mutex_unlock(&in->lock);
}

int inbox_truncated_sector(struct inbox *in, uint64_t file_end,
                           struct error *err)
{
    if (IO_ROUND_UP(inbox_arrived(in), IO_SECTOR) < file_end)
        return inbox_truncated(in, file_end, err);
    return error_set(err, 0,
                     "source: truncated: it ends at file offset %" PRIu64
                     ", inside the last sector of a compressed cluster; if "
                     "that is all of it, --source-size has to say so",
                     inbox_arrived(in));
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
    pthread_mutex_lock(&in->lock);
    give_back(in, file_offset, length);
    pthread_mutex_unlock(&in->lock);
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
