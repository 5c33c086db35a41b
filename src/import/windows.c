/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Which part of the disk is mapped next. */

/* Notes on the design
 *
 * The disk is mapped in windows.  A run of QEMU that faults is wasted (the map
 * prints a merged range only when the next one differs, so what it printed
 * says nothing about its last range), and the larger its window the larger
 * the waste; but windows that succeed should be few.  So they double, and
 * are halved on a fault.  A unit is what one L2 table describes, but at least
 * SMALLEST_UNIT: with 4 KiB clusters a table covers 2 MiB only.
 *
 * A table that is missing may be a long way off, in an image that a guest
 * has grown, while those of later windows are here.  Then the window is
 * postponed, a unit of it, and tried again when its table has come.
 *
 * At a fault whose table is near, some bytes behind that may be kept, in which
 * there may be the next one; twice as many each time that was not enough for
 * the window.
 */

#include "config.h"

#include "base/assert.h"
#include "base/io.h"
#include "import/windows.h"

/* Bytes of the disk. */
#define SMALLEST_UNIT (UINT64_C(256) << 20)

/* Bytes of an L2 table that QEMU reads at once (its cache's entry). */
#define LARGEST_SLICE (UINT64_C(64) << 10)

/* Bytes of the file. */
#define LARGEST_LOOKAHEAD (UINT64_C(64) << 20)

void windows_begin(struct windows *w, uint64_t disk_size, uint64_t table,
                   uint64_t cluster_size)
{
    uint64_t unit = io_max(table, SMALLEST_UNIT);

    ASSERT(cluster_size > 0 && (cluster_size & (cluster_size - 1)) == 0);
    ASSERT(table > 0 && (table & (table - 1)) == 0);
    *w = (struct windows){
        .disk_size = disk_size,
        .unit = unit,
        .length = unit,
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
        return true;
    }
    if (w->front < w->disk_size && w->n_postponed < WINDOWS_POSTPONED) {
        w->length = io_min(w->length, w->disk_size - w->front);
        *disk_offset = w->front;
        *length = w->length;
        return true;
    }
    /* Else the whole disk would be mapped. */
    ASSERT(nearest != NULL);
    *table_end = nearest->table_end;
    return false;
}

void windows_mapped(struct windows *w, bool is_small)
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
    w->lookahead = io_max(WINDOWS_LOOKAHEAD, w->lookahead / 2);
}

bool windows_faulted(struct windows *w, uint64_t table_end, uint64_t arrived,
                     uint64_t *lookahead)
{
    if (w->tried != NULL) {
        w->tried->table_end = table_end;
        return false;
    }
    if (table_end <= arrived + LARGEST_LOOKAHEAD) {
        w->length = IO_ROUND_UP(w->length / 2, w->unit);
        w->lookahead = io_min(w->lookahead * 2, LARGEST_LOOKAHEAD);
        *lookahead = w->lookahead / 2;
        return true;
    }
    if (w->length <= w->unit) {
        ASSERT(w->n_postponed < WINDOWS_POSTPONED);
        w->postponed[w->n_postponed++] =
            (struct postponed){w->front, w->length, table_end, w->length};
        w->front += w->length;
    }
    w->length = w->unit;
    return false;
}

void windows_too_long(struct windows *w)
{
    uint64_t *length = w->tried != NULL ? &w->tried->part : &w->length;

    *length = IO_ROUND_UP(*length / 2, w->slice);
}
