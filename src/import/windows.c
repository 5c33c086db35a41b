/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Which part of the disk is mapped next, and when. */

/* Notes on the design
 *
 * An image that a guest has grown has its tables all over the file, in any
 * order.  What has come of them is mapped in passes over the disk, one after
 * the other.  A table that is missing is shown to QEMU as one without entries.
 * So what a run finds is true, but where it finds nothing, that may be for
 * want of a table.  QEMU reads tables in slices; if it finds anything in a
 * slice, that was here, and all that it says of it is true.  Slices in which
 * it found nothing are left for a later pass, unless nothing was missing.
 *
 * So a part that is left begins and ends with a slice.
 *
 * Which tables does a part wait for?  QEMU reads them in the order of the
 * disk.  So those that are missing between the third and the fourth that have
 * something in them belong to what was left between the third and the fourth
 * slice of the disk in which it found something.  Should that be wrong, or not
 * add up, it costs time and no more.
 *
 * When is a pass worth it?  All it costs is time, about as much as some bytes
 * of the stream take, and so many are worth being kept.  Several tables that
 * come within that are waited for, and mapped at once; and if more are to come
 * soon after, as much may be kept while QEMU runs.  It is no more than a small
 * part of what has come.  A table with nothing
 * behind it for long is waited for alone: what follows it is likely its data,
 * and should not be kept at all.
 */

#include "config.h"

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "import/windows.h"

#include <errno.h>
#include <stdlib.h>

/* Bytes of a stream that takes 500 MB/s, while QEMU ... */
#define COST_RUN (UINT64_C(4) << 20)      /* starts */
#define COST_ENTRY (UINT64_C(2) << 10)    /* prints an entry, and we read it */
#define COST_MISSING (UINT64_C(16) << 10) /* asks for a table */
#define COST_MILLISECOND (UINT64_C(500) << 10)

/* Bytes that may be kept at any time, and the share of what has come.  It may
 * be twice as much: until a pass begins, and as much again while it runs.
 */
#define ALWAYS_WORTH (UINT64_C(8) << 20)
#define SHARE 16

int windows_begin(struct windows *w, uint64_t disk_size, uint64_t slice,
                  struct error *err)
{
    ASSERT(slice > 0 && (slice & (slice - 1)) == 0);
    *w = (struct windows){.disk_size = disk_size, .slice = slice};
    if (disk_size == 0)
        return 0;
    if (extents_append(&w->unmapped, 0, disk_size, err) == -1)
        return -1;
    return extents_append(&w->ready, 0, disk_size, err);
}

void windows_end(struct windows *w)
{
    extents_clear(&w->unmapped);
    extents_clear(&w->ready);
    awaited_clear(&w->awaited);
}

bool windows_are_done(const struct windows *w)
{
    return w->unmapped.count == 0;
}

/* ----------------------------------------------------------- what is next */

/* What it costs to map what lies between two parts, rather than to run QEMU
 * for each.
 */
static uint64_t cost_between(const struct windows *w, uint64_t from,
                             uint64_t to)
{
    uint64_t unmapped = 0;
    double entries;

    for (size_t i = extents_find(&w->unmapped, from); i < w->unmapped.count;
         i++) {
        const struct extent *e = &w->unmapped.list[i];

        if (e->disk_offset >= to)
            break;
        unmapped += io_min(to, extent_end(e)) - io_max(from, e->disk_offset);
    }
    entries = (double)w->entries * (double)(to - from - unmapped) /
              (double)io_max(w->mapped, 1);
    return unmapped / w->slice * COST_MISSING +
           (uint64_t)(entries * COST_ENTRY);
}

bool windows_next(struct windows *w, bool is_apart, uint64_t *disk_offset,
                  uint64_t *length)
{
    size_t i = extents_find(&w->ready, w->at);
    uint64_t end;

    if (i == w->ready.count)
        return false;
    *disk_offset = io_max(w->ready.list[i].disk_offset, w->at);
    end = extent_end(&w->ready.list[i]);
    for (i++; i < w->ready.count && !is_apart; i++) {
        const struct extent *next = &w->ready.list[i];

        if (cost_between(w, end, next->disk_offset) > COST_RUN)
            break;
        end = extent_end(next);
    }
    *length = end - *disk_offset;
    return true;
}

/* ------------------------------------------------------ what a run told us */

/* The parts of extents that lie in [from, to). */
static int cut_out(const struct windows *w, const struct extents *extents,
                   uint64_t from, uint64_t to, struct extents *out,
                   struct error *err)
{
    struct extents CLEANUP(extents) all = {0};

    if (from == to)
        return 0;
    if (extents_append(&all, from, to - from, err) == -1)
        return -1;
    return extents_combine(extents, EXTENTS_BOTH, &all, w->disk_size, out,
                           err);
}

/* Slices in which nothing was found, for all we know for want of a table. */
static int find_doubtful(const struct windows *w, const struct extents *holes,
                         struct extents *doubtful, struct error *err)
{
    for (size_t i = 0; i < holes->count; i++) {
        const struct extent *hole = &holes->list[i];
        uint64_t from = IO_ROUND_UP(hole->disk_offset, w->slice);
        uint64_t to = extent_end(hole);

        if (to != w->disk_size)
            to = IO_ROUND_DOWN(to, w->slice);
        if (from < to && extents_append(doubtful, from, to - from, err) == -1)
            return -1;
    }
    return 0;
}

/* What has been told of, known: all that the run got to, but what is doubtful.
 * Adds the holes in it to sure_holes.
 */
static int find_sure(const struct windows *w, const struct windows_run *run,
                     struct extents *sure_holes, struct extents *doubtful,
                     struct extents *known, struct error *err)
{
    struct extents CLEANUP(extents) unmapped = {0};
    struct extents CLEANUP(extents) holes = {0};

    if (cut_out(w, &w->unmapped, run->disk_offset, run->disk_end, &unmapped,
                err) == -1 ||
        extents_combine(&unmapped, EXTENTS_WITHOUT, run->told, w->disk_size,
                        &holes, err) == -1 ||
        (run->missing->count > 0 &&
         find_doubtful(w, &holes, doubtful, err) == -1) ||
        extents_combine(&holes, EXTENTS_WITHOUT, doubtful, w->disk_size,
                        sure_holes, err) == -1)
        return -1;
    return extents_combine(&unmapped, EXTENTS_WITHOUT, doubtful, w->disk_size,
                           known, err);
}

/* How many slices of a run's are there, before disk_offset, in which something
 * was found?  *i and *count are those of the call before, for a lower offset;
 * *slice_end is behind the last that was counted.
 */
static void count_told(const struct windows *w, const struct extents *told,
                       uint64_t disk_offset, size_t *i, uint64_t *slice_end,
                       uint64_t *count)
{
    for (; *i < told->count && told->list[*i].disk_offset < disk_offset;
         ++*i) {
        const struct extent *e = &told->list[*i];
        uint64_t from = IO_ROUND_DOWN(e->disk_offset, w->slice);
        uint64_t to = IO_ROUND_UP(extent_end(e), w->slice);

        from = io_max(from, *slice_end);
        if (from < to) {
            *count += (to - from) / w->slice;
            *slice_end = to;
        }
    }
}

/* The first and the last end of all that are missing. */
static void find_ends(const struct missing *missing, uint64_t *first,
                      uint64_t *last)
{
    *first = UINT64_MAX;
    *last = 0;
    for (size_t i = 0; i < missing->count; i++) {
        *first = io_min(*first, missing->list[i].file_end);
        *last = io_max(*last, missing->list[i].file_end);
    }
}

/* Each part waits for the tables that were missing there.  If none was, it has
 * none, and can wait for the last.
 */
static int await_own(const struct windows *w, const struct windows_run *run,
                     const struct extents *parts, uint64_t last,
                     struct awaited *news, struct error *err)
{
    uint64_t told = 0, slice_end = 0;
    size_t at = 0, j = 0;

    for (size_t i = 0; i < parts->count; i++) {
        uint64_t disk_offset = parts->list[i].disk_offset;
        size_t before = news->count;

        count_told(w, run->told, disk_offset, &at, &slice_end, &told);
        for (; j < run->missing->count && run->missing->list[j].filled <= told;
             j++)
            if (awaited_add(news, run->missing->list[j].file_end, disk_offset,
                            err) == -1)
                return -1;
        if (news->count == before &&
            awaited_add(news, last, disk_offset, err) == -1)
            return -1;
    }
    return 0;
}

/* Nobody knows which table belongs where: each part waits for any of them. */
static int await_any(const struct windows_run *run,
                     const struct extents *parts, uint64_t first,
                     struct awaited *news, struct error *err)
{
    for (size_t i = 0; i < parts->count; i++)
        if (awaited_add(news, first, parts->list[i].disk_offset, err) == -1)
            return -1;
    for (size_t i = 0; i < run->missing->count; i++)
        if (awaited_add(news, run->missing->list[i].file_end,
                        parts->list[0].disk_offset, err) == -1)
            return -1;
    return 0;
}

/* Does the number of tables that QEMU read add up? */
static bool is_in_order(const struct windows *w, const struct windows_run *run)
{
    uint64_t told = 0, slice_end = 0;
    size_t i = 0;

    count_told(w, run->told, UINT64_MAX, &i, &slice_end, &told);
    if (run->disk_end == run->disk_offset + run->length)
        return run->filled == told;
    return run->filled >= told; /* it has read on */
}

/* What is left of the run's part of the disk, up to disk_end, waits. */
static int await_tables(struct windows *w, const struct windows_run *run,
                        uint64_t disk_end, bool is_known, struct error *err)
{
    struct extents CLEANUP(extents) parts = {0};
    struct awaited CLEANUP(awaited) news = {0};
    uint64_t first, last;
    int r = 0;

    find_ends(run->missing, &first, &last);
    if (cut_out(w, &w->unmapped, run->disk_offset, disk_end, &parts, err) ==
        -1)
        return -1;
    ASSERT(parts.count == 0 || run->missing->count > 0);
    if (parts.count > 0 && is_known && is_in_order(w, run))
        r = await_own(w, run, &parts, last, &news, err);
    else if (parts.count > 0)
        r = await_any(run, &parts, first, &news, err);
    if (r == 0)
        r = awaited_replace(&w->awaited, run->disk_offset, disk_end, &news,
                            err);
    return r;
}

bool windows_used_all(const struct windows *w, const struct windows_run *run)
{
    return run->disk_end == run->disk_offset + run->length &&
           (run->missing->count == 0 || is_in_order(w, run));
}

static void note_cost(struct windows *w, const struct windows_run *run)
{
    uint64_t cost = COST_RUN + run->missing->count * COST_MISSING +
                    run->entries * COST_ENTRY;

    w->cost += io_max(cost, run->milliseconds * COST_MILLISECOND);
}

int windows_mapped(struct windows *w, const struct windows_run *run,
                   struct extents *holes, uint64_t *mapped, struct error *err)
{
    struct extents CLEANUP(extents) doubtful = {0};
    struct extents CLEANUP(extents) known = {0};
    struct extents CLEANUP(extents) unmapped = {0};
    uint64_t run_end = run->disk_offset + run->length;

    if (find_sure(w, run, holes, &doubtful, &known, err) == -1 ||
        extents_combine(&w->unmapped, EXTENTS_WITHOUT, &known, w->disk_size,
                        &unmapped, err) == -1)
        return -1;
    extents_move(&w->unmapped, &unmapped);
    *mapped = extents_total(&known);
    w->mapped += *mapped;
    w->entries += run->new_entries;
    note_cost(w, run);
    w->at = run->is_last ? w->disk_size : run->disk_end;
    return await_tables(w, run, run->is_last ? run_end : run->disk_end, true,
                        err);
}

int windows_failed(struct windows *w, const struct windows_run *run,
                   struct error *err)
{
    note_cost(w, run);
    w->at = run->disk_offset + run->length;
    return await_tables(w, run, w->at, false, err);
}

/* ----------------------------------------------------------------- passes */

/* How many bytes are worth being kept?  All that is kept is to be a small part
 * of the stream, and to fit in the room that there is when from has come.
 */
static uint64_t find_worth(const struct windows *w, uint64_t arrived,
                           uint64_t from, uint64_t room)
{
    uint64_t most = io_max(ALWAYS_WORTH, arrived / SHARE);

    room -= io_min(room, from - arrived);
    return io_min(io_min(w->cost, most), room / 4);
}

void windows_wait(const struct windows *w, uint64_t arrived, uint64_t room,
                  struct windows_wait *wait)
{
    const struct awaited *a = &w->awaited;
    uint64_t from, worth;
    size_t n;

    *wait = (struct windows_wait){0};
    if (a->count == 0)
        return;
    wait->first_end = a->list[0].file_end;
    from = io_max(wait->first_end, arrived);
    worth = find_worth(w, arrived, from, room);
    n = awaited_before(a, from + worth);
    wait->file_end = a->list[n - 1].file_end;
    wait->kept_end = wait->file_end;
    if (n < a->count && a->list[n].file_end - wait->file_end <= worth)
        wait->kept_end += worth;
}

/* Is a part ready?  One that waits for nothing is, too: a run may have ended
 * inside of it.
 */
enum { WAITS = 1, IS_READY = 2 };

int windows_begin_pass(struct windows *w, uint64_t arrived, struct error *err)
{
    struct extents CLEANUP(extents) ready = {0};
    char *CLEANUP(free_ptr) states = calloc(w->unmapped.count + 1, 1);

    if (states == NULL)
        return error_set(err, errno, "no memory for the mapper");
    for (size_t i = 0; i < w->awaited.count; i++) {
        const struct awaited_table *table = &w->awaited.list[i];
        size_t part = extents_find(&w->unmapped, table->disk_offset);

        states[part] |= table->file_end <= arrived ? IS_READY : WAITS;
    }
    for (size_t i = 0; i < w->unmapped.count; i++) {
        const struct extent *part = &w->unmapped.list[i];

        if (states[i] != WAITS &&
            extents_append(&ready, part->disk_offset, part->length, err) == -1)
            return -1;
    }
    extents_move(&w->ready, &ready);
    w->at = 0;
    w->cost = 0;
    return 0;
}
