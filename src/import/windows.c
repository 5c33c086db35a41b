/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Which part of the disk is mapped next. */

/* Notes on the design
 *
 * The disk is mapped in windows.  A run of QEMU that faults is wasted (the map
 * prints a merged range only when the next one differs, so what it printed
 * says nothing about its last range), and the larger its window the larger
 * the waste; but windows that succeed should be few.  So they double, and
 * are halved on a fault, down to a unit.  That is what one L2 table describes.
 * With small clusters it is little (2 MiB with 4 KiB), so a unit has at least
 * SMALLEST_UNIT, and more, up to ENOUGH_UNIT, where a disk would have more than
 * MOST_UNITS of them.  The data of a unit waits for the last of its tables: the
 * larger it is, the more is in the spool.
 *
 * A table that is missing may be a long way off, in an image that a guest
 * has grown, while those of later windows are here.  Then the window is
 * postponed, a unit of it, and tried again when its table has come.  The more
 * has come of the file, the more of the disk is tried ahead in this way.
 *
 * At a fault whose table is near, some bytes behind that may be kept, in which
 * there may be the next one.  Where all tables come first there is, and twice
 * as many are kept each time that was not enough for the window, up to a share
 * of the file so far; half as many, once there was data among them.
 *
 * A run takes as long as it takes to move some MiB.  If there were more of
 * them than is worth it for what has come, runs are saved: windows are no
 * smaller than ENOUGH_UNIT, and what comes before a table that is less than
 * LARGEST_LOOKAHEAD away is kept.  So it is with small images.
 */

#include "config.h"

#include "base/assert.h"
#include "base/io.h"
#include "import/windows.h"

/* Bytes of the disk. */
#define SMALLEST_UNIT (UINT64_C(32) << 20)
#define ENOUGH_UNIT (UINT64_C(256) << 20)
enum { MOST_UNITS = 512 };

/* Bytes of an L2 table that QEMU reads at once (its cache's entry). */
#define LARGEST_SLICE (UINT64_C(64) << 10)

/* Bytes of the file, and a share of it. */
#define LARGEST_LOOKAHEAD (UINT64_C(64) << 20)
enum { LOOKAHEAD_SHARE = 4 };

/* So many windows may be postponed before anything has come, and one more for
 * each so many bytes of the file.
 */
enum { POSTPONED_AT_ANY_TIME = 64, BYTES_PER_POSTPONED = 4 << 20 };

/* A run is worth so many bytes of the file; but some always are. */
enum { BYTES_PER_RUN = 1 << 20, RUNS_AT_ANY_TIME = 16 };

void windows_begin(struct windows *w, uint64_t disk_size, uint64_t table,
                   uint64_t cluster_size)
{
    uint64_t unit = io_max(table, SMALLEST_UNIT);

    while (unit < ENOUGH_UNIT && disk_size / unit > MOST_UNITS)
        unit *= 2;
    ASSERT(cluster_size > 0 && (cluster_size & (cluster_size - 1)) == 0);
    ASSERT(table > 0 && (table & (table - 1)) == 0);
    *w = (struct windows){
        .disk_size = disk_size,
        .unit = unit,
        .length = io_max(unit, ENOUGH_UNIT),
        .slice = table / cluster_size * io_min(cluster_size, LARGEST_SLICE),
        .lookahead = WINDOWS_LOOKAHEAD,
    };
}

bool windows_are_done(const struct windows *w)
{
    return w->front == w->disk_size && w->n_postponed == 0;
}

/* The postponed window whose table comes first; NULL: there is none. */
static struct postponed *nearest_postponed(struct windows *w)
{
    struct postponed *nearest = NULL;

    for (size_t i = 0; i < w->n_postponed; i++)
        if (nearest == NULL || w->postponed[i].table_end < nearest->table_end)
            nearest = &w->postponed[i];
    return nearest;
}

static size_t most_postponed(uint64_t arrived)
{
    return io_min(WINDOWS_POSTPONED,
                  POSTPONED_AT_ANY_TIME + arrived / BYTES_PER_POSTPONED);
}

bool windows_next(struct windows *w, uint64_t arrived, uint64_t *disk_offset,
                  uint64_t *length, uint64_t *table_end)
{
    struct postponed *nearest = nearest_postponed(w);

    ASSERT(!windows_are_done(w));
    w->tried = NULL;
    if (nearest != NULL && nearest->table_end <= arrived) {
        w->tried = nearest;
        nearest->part = io_min(nearest->part, nearest->length);
        *disk_offset = nearest->disk_offset;
        *length = nearest->part;
        w->runs++;
        return true;
    }
    if (w->front < w->disk_size && w->n_postponed < most_postponed(arrived)) {
        w->length = io_min(w->length, w->disk_size - w->front);
        *disk_offset = w->front;
        *length = w->length;
        w->runs++;
        return true;
    }
    /* Else the whole disk would be mapped. */
    ASSERT(nearest != NULL);
    *table_end = nearest->table_end;
    return false;
}

void windows_mapped(struct windows *w, bool is_small, bool is_late)
{
    struct postponed *p = w->tried;

    if (p != NULL) {
        p->disk_offset += p->part;
        p->length -= p->part;
        if (p->length == 0)
            *p = w->postponed[--w->n_postponed];
        return;
    }
    w->front += w->length;
    if (is_small)
        w->length = io_min(w->length, w->disk_size / 2 + 1) * 2;
    if (is_late)
        w->lookahead = io_max(WINDOWS_LOOKAHEAD, w->lookahead / 2);
}

/* There were more runs than is worth it. */
static bool is_saving(const struct windows *w, uint64_t arrived)
{
    return w->runs > RUNS_AT_ANY_TIME + arrived / BYTES_PER_RUN;
}

/* A postponed window waits for its next table.  A large one becomes two, each
 * of which is to find out whether it is that one's.
 */
static void postpone_again(struct windows *w, uint64_t table_end,
                           uint64_t arrived)
{
    struct postponed *p = w->tried;
    uint64_t half = IO_ROUND_UP(p->length / 2, w->unit);

    p->table_end = table_end;
    if (half >= p->length || w->n_postponed == WINDOWS_POSTPONED ||
        is_saving(w, arrived))
        return;
    w->postponed[w->n_postponed++] =
        (struct postponed){p->disk_offset + half, p->length - half, 0,
                           p->length - half};
    p->length = p->part = half;
    p->table_end = 0;
}

bool windows_faulted(struct windows *w, uint64_t table_end, uint64_t arrived,
                     uint64_t *lookahead)
{
    uint64_t unit = w->unit, near = w->lookahead;

    if (w->tried != NULL) {
        postpone_again(w, table_end, arrived);
        return false;
    }
    if (is_saving(w, arrived)) {
        unit = io_max(unit, ENOUGH_UNIT);
        near = LARGEST_LOOKAHEAD;
    }
    if (table_end <= arrived + near) {
        uint64_t most = io_max(WINDOWS_LOOKAHEAD, arrived / LOOKAHEAD_SHARE);

        w->length = IO_ROUND_UP(w->length / 2, unit);
        *lookahead = w->lookahead;
        w->lookahead =
            io_min(w->lookahead * 2, io_min(most, LARGEST_LOOKAHEAD));
        return true;
    }
    if (w->length <= unit) {
        ASSERT(w->n_postponed < WINDOWS_POSTPONED);
        w->postponed[w->n_postponed++] =
            (struct postponed){w->front, w->length, table_end, w->length};
        w->front += w->length;
    }
    w->length = unit;
    return false;
}

void windows_too_long(struct windows *w)
{
    uint64_t *length = w->tried != NULL ? &w->tried->part : &w->length;

    *length = IO_ROUND_UP(*length / 2, w->slice);
}
