/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A qcow2 stream while it arrives: what is here of it, and whose it is. */

/* Notes on the design
 *
 * The stream arrives while QEMU reads (inbox-view.c).  Three things are kept
 * of it, each in a module that knows nothing of the others:
 *
 *     arrival  how much has come, and who waits for more
 *     spool    the bytes that are kept, and how much room they take
 *     ledger   what each byte of the file is, decided once
 *
 * Receiver, bridges, mapper and movers are threads: one lock guards all three,
 * but not the spool's file itself.
 */

#include "config.h"

#include "base/io.h"
#include "import/inbox-state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

int inbox_new(const char *spool_dir, uint64_t limit, struct inbox **inbox,
              struct error *err)
{
    struct inbox *in = calloc(1, sizeof *in);

    if (in == NULL)
        return error_set(err, errno, "no memory for the stream");
    if (spool_open(&in->spool, spool_dir, limit, err) == -1) {
        free(in);
        return -1;
    }
    pthread_mutex_init(&in->lock, NULL);
    arrival_init(&in->arrival, &in->lock);
    *inbox = in;
    return 0;
}

void inbox_free(struct inbox *in)
{
    if (in == NULL)
        return;
    spool_close(&in->spool);
    ledger_clear(&in->ledger);
    arrival_destroy(&in->arrival);
    pthread_mutex_destroy(&in->lock);
    free(in);
}

int inbox_check(struct inbox *in, struct error *err)
{
    LOCK_FOR_SCOPE(&in->lock);
    if (!in->has_failed)
        return 0;
    *err = in->failure;
    return -1;
}

/* --------------------------------------------------------------- arrival */

void inbox_skip(struct inbox *in, uint64_t length)
{
    LOCK_FOR_SCOPE(&in->lock);
    arrival_add(&in->arrival, length);
}

void inbox_end_stream(struct inbox *in, bool is_whole, const char *why)
{
    LOCK_FOR_SCOPE(&in->lock);
    in->why_ended = why;
    arrival_end(&in->arrival, is_whole);
}

uint64_t inbox_arrived(struct inbox *in)
{
    LOCK_FOR_SCOPE(&in->lock);
    return in->arrival.arrived;
}

void inbox_allow(struct inbox *in, uint64_t file_end)
{
    LOCK_FOR_SCOPE(&in->lock);
    in->arrival.allowed_end = io_max(in->arrival.allowed_end, file_end);
}

uint64_t inbox_allowed(struct inbox *in)
{
    const struct arrival *a = &in->arrival;

    LOCK_FOR_SCOPE(&in->lock);
    return a->arrived < a->allowed_end ? a->allowed_end - a->arrived : 0;
}

uint64_t inbox_wanted_end(struct inbox *in)
{
    LOCK_FOR_SCOPE(&in->lock);
    return in->wanted_end;
}

enum inbox_wait inbox_wait(struct inbox *in, uint64_t file_end)
{
    LOCK_FOR_SCOPE(&in->lock);
    return arrival_wait(&in->arrival, file_end, NULL);
}

enum inbox_wait inbox_wait_briefly(struct inbox *in, uint64_t file_end,
                                   unsigned milliseconds)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += milliseconds % 1000 * 1000000L;
    until.tv_sec += milliseconds / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    LOCK_FOR_SCOPE(&in->lock);
    return arrival_wait(&in->arrival, file_end, &until);
}

void inbox_cancel(struct inbox *in)
{
    LOCK_FOR_SCOPE(&in->lock);
    arrival_cancel(&in->arrival);
}

static int say_why_ended(struct inbox *in, struct error *err)
{
    LOCK_FOR_SCOPE(&in->lock);
    return error_wrap(err, "%s",
                      in->why_ended != NULL ? in->why_ended : "source");
}

int inbox_truncated(struct inbox *in, uint64_t file_end, struct error *err)
{
    error_set(err, 0,
              "truncated: it ends at file offset %" PRIu64
              ", and the bytes up to %" PRIu64 " are needed",
              inbox_arrived(in), file_end);
    return say_why_ended(in, err);
}

int inbox_truncated_sector(struct inbox *in, uint64_t file_end,
                           struct error *err)
{
    if (IO_ROUND_UP(inbox_arrived(in), IO_SECTOR) < file_end)
        return inbox_truncated(in, file_end, err);
    error_set(err, 0,
              "truncated: it ends at file offset %" PRIu64
              ", inside the last sector of a compressed cluster; if that is "
              "all of it, --source-size has to say so",
              inbox_arrived(in));
    return say_why_ended(in, err);
}

/* ----------------------------------------------------------------- spool */

/* As ledger_drop.  The lock is held so that the receiver does not write into a
 * block that was empty: it has noted it by then.
 */
static void give_back(void *opaque, uint64_t file_offset, uint64_t length)
{
    struct inbox *in = opaque;

    LOCK_ASSERT_HELD(&in->lock);
    spool_give_back(&in->spool, file_offset, length);
}

/* Makes room for the next length bytes, and notes them. */
static int make_room(struct inbox *in, uint64_t length, struct error *err)
{
    LOCK_FOR_SCOPE(&in->lock);
    if (!spool_has_room(&in->spool, length) && !in->are_tables_kept &&
        ledger_drop_tables(&in->ledger, give_back, in, err) == -1)
        return -1;
    return spool_note(&in->spool, in->arrival.arrived, length, err);
}

int inbox_append(struct inbox *in, const void *buf, size_t length,
                 struct error *err)
{
    /* Only the receiver, who calls this, changes it. */
    uint64_t file_offset = inbox_arrived(in);

    int r;

    if (make_room(in, length, err) == -1)
        return -1;
    r = spool_write(&in->spool, buf, length, file_offset, err);
    LOCK_FOR_SCOPE(&in->lock);
    if (r == -1)
        return spool_explain_full(&in->spool, err);
    in->spool.appended += length;
    arrival_add(&in->arrival, length);
    return 0;
}

bool inbox_has_room(struct inbox *in, uint64_t length)
{
    LOCK_FOR_SCOPE(&in->lock);
    return spool_has_room(&in->spool, length);
}

uint64_t inbox_room(struct inbox *in)
{
    LOCK_FOR_SCOPE(&in->lock);
    return spool_room(&in->spool);
}

int inbox_read(struct inbox *in, void *buf, size_t length,
               uint64_t file_offset, struct error *err)
{
    return spool_read(&in->spool, buf, length, file_offset, err);
}

void inbox_punch(struct inbox *in, uint64_t file_offset, uint64_t length)
{
    LOCK_FOR_SCOPE(&in->lock);
    give_back(in, file_offset, length);
}

int inbox_settle(struct inbox *in, struct error *err)
{
    return store_settle(in->spool.store, err);
}

uint64_t inbox_peak(struct inbox *in)
{
    LOCK_FOR_SCOPE(&in->lock);
    return in->spool.peak;
}

uint64_t inbox_appended(struct inbox *in)
{
    LOCK_FOR_SCOPE(&in->lock);
    return in->spool.appended;
}

/* ---------------------------------------------------------------- ledger */

int inbox_protect(struct inbox *in, uint64_t file_offset, uint64_t length,
                  struct error *err)
{
    LOCK_FOR_SCOPE(&in->lock);
    return ledger_protect(&in->ledger, file_offset, length, err);
}

void inbox_keep_tables(struct inbox *in)
{
    LOCK_FOR_SCOPE(&in->lock);
    in->are_tables_kept = true;
}

bool inbox_has_dropped(struct inbox *in)
{
    LOCK_FOR_SCOPE(&in->lock);
    return in->ledger.dropped.count > 0;
}

int inbox_claim(struct inbox *in, const struct filemap *data, uint64_t granule,
                struct error *err)
{
    LOCK_FOR_SCOPE(&in->lock);
    return ledger_add_data(&in->ledger, data, granule, err);
}

int inbox_check_compressed(struct inbox *in, struct error *err)
{
    LOCK_FOR_SCOPE(&in->lock);
    return ledger_check_compressed(&in->ledger, err);
}
