/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which writes make QEMU lay an image out in the order that we want. */

/* Notes on the design
 *
 * LAYOUT_CONVERT does the writes that `qemu-img convert` does: it reads each
 * range that block status calls data in buffers of 2 MiB, and writes what is
 * left of a buffer without aligned pieces of 4 KiB that are zero.  The cuts
 * matter, since they decide where refcount blocks fall.
 *
 * LAYOUT_STREAMABLE leads QEMU to put all metadata first.  A window is the
 * part of the disk that one L2 table describes, cs the cluster size.
 *
 *   - `write -z` of one granule in each window with data makes the L2 tables
 *     in order, before any data.  Version 2 of the format has no zero flag:
 *     there it is a write and a discard, whose cluster the next one takes.
 *   - The refcount blocks come first of all.  One is there from the start;
 *     if it does not cover the whole file, the disk is created larger, by a
 *     range of its own windows with as many clusters as will be needed, and
 *     that range is preallocated: this makes refcount blocks for all of them.
 *     Then it is discarded, and its clusters are free again behind tables
 *     that are in front.  (The refcount table moves as it grows, and the
 *     cluster it leaves is taken by an L2 table of that range.)  At last the
 *     disk is cut to its size.  The cut discards what is left of the disk's
 *     last window, which makes an L2 table if there is none: so one is made
 *     there too, with the others.
 *
 * Ranges to be marked as zeroes take no room but in tables.  In both layouts
 * they come before the data; convert has none of its own.
 */

#include "config.h"

#include "io.h"
#include "layout.h"

#include <inttypes.h>
#include <stdio.h>

#define WRITE_PIECE (UINT64_C(2) << 20)   /* convert's buffer */
#define DISCARD_PIECE (UINT64_C(1) << 30) /* qemu-io refuses over 2 GiB */
#define ZEROES_PIECE DISCARD_PIECE        /* likewise */
#define CONVERT_GRANULE 4096              /* convert's -S */

/* How much convert takes in of a range at once: BDRV_REQUEST_MAX_BYTES. */
#define STATUS_PIECE ((UINT64_C(1) << 31) - IO_SECTOR)

static uint64_t count_units(uint64_t bytes, uint64_t unit)
{
    return bytes / unit + (bytes % unit != 0 ? 1 : 0);
}

/* How many units, aligned on the disk, hold a part of some extent? */
static uint64_t count_touched(const struct extents *extents, uint64_t unit)
{
    uint64_t count = 0, next = 0; /* the first unit not counted yet */

    for (size_t i = 0; i < extents->count; i++) {
        const struct extent *e = &extents->list[i];
        uint64_t first = io_max(next, e->disk_offset / unit);
        uint64_t end = count_units(extent_end(e), unit);

        if (end > first)
            count += end - first;
        next = io_max(next, end);
    }
    return count;
}

uint64_t layout_scan_granule(enum layout layout,
                             const struct qcow2_options *options)
{
    return layout == LAYOUT_CONVERT ? CONVERT_GRANULE : qcow2_granule(options);
}

static const struct extents *zeroes_of(const struct layout_plan *plan)
{
    static const struct extents none;

    return plan->zeroes == NULL ? &none : plan->zeroes;
}

void layout_measure(const struct layout_plan *plan, struct layout_geometry *g)
{
    uint64_t cs = plan->options.cluster_size;
    uint64_t l1_entry = 8, grown, l1, l2, tables;
    uint64_t per_block = cs * 8 / plan->options.refcount_bits;

    g->granule = qcow2_granule(&plan->options);
    g->window = qcow2_window(&plan->options);
    g->data_clusters = count_touched(plan->data, cs);
    g->used_windows = count_touched(plan->data, g->window) +
                      count_touched(zeroes_of(plan), g->window);
    g->base_size = IO_ROUND_UP(plan->disk_size, g->window);
    g->has_cut_table = IO_ROUND_UP(plan->disk_size, cs) < g->base_size;
    grown = g->base_size + (g->data_clusters + g->used_windows + 3) * cs;

    l1 = count_units(count_units(grown, g->window) * l1_entry, cs);
    g->is_grown = plan->layout != LAYOUT_CONVERT && g->data_clusters > 0 &&
                  4 + l1 + g->used_windows + g->data_clusters > per_block;
    g->create_size = g->is_grown ? grown : plan->disk_size;

    /* QEMU walks back from the end of the file at each truncate, so this
     * must be just above the need: tables, refcount blocks twice, their
     * table with the smaller ones it grew out of.
     */
    l2 = count_units(grown - g->base_size, g->window) + g->used_windows;
    tables = g->data_clusters + l2 + l1;
    g->store_size = (tables + tables / per_block * 2 +
                     count_units(tables / per_block * 8, cs) * 4 + 64) *
                    cs;
}

enum step {
    GROW,
    PREALLOCATE,
    DISCARD,
    MAKE_TABLES,
    DISCARD_TABLE_DATA,
    WRITE_ZEROES,
    WRITE_DATA, /* and at its end, cut the disk to its size */
    END,
};

/* Moves to at, the next of list that reaches beyond from; false: none. */
static bool seek(struct layout_script *s, const struct extents *list,
                 uint64_t from)
{
    while (s->next < list->count && extent_end(&list->list[s->next]) <= from)
        s->next++;
    if (s->next == list->count)
        return false;
    s->at = io_max(from, list->list[s->next].disk_offset);
    return true;
}

/* Where the write that begins at s->at ends: a whole number of buffers
 * behind the beginning of the range that the source was read in.
 */
static uint64_t end_of_write(struct layout_script *s)
{
    uint64_t end = extent_end(&s->writes.list[s->next]);
    uint64_t origin = s->writes.list[s->next].disk_offset;

    if (s->plan->layout == LAYOUT_CONVERT) {
        const struct extent *status = s->plan->status->list;

        while (IO_ROUND_UP(extent_end(&status[s->next_status]), IO_SECTOR) <=
               s->at)
            s->next_status++;
        status += s->next_status;
        origin = IO_ROUND_DOWN(status->disk_offset, IO_SECTOR);
        origin += IO_ROUND_DOWN(s->at - origin, STATUS_PIECE);
        end = io_min(end, IO_ROUND_UP(extent_end(status), IO_SECTOR));
        end = io_min(end, origin + STATUS_PIECE);
    }
    return io_min(end, s->at + WRITE_PIECE - (s->at - origin) % WRITE_PIECE);
}

/* Makes the L2 table of the window that disk_offset, a multiple of the
 * cluster size or of the granule, lies in.
 */
static void make_table(struct layout_script *s, uint64_t disk_offset,
                       char line[QEMU_IO_LINE])
{
    const struct layout_geometry *g = s->geometry;
    bool is_v2 = s->plan->options.is_v2;
    uint64_t unit = is_v2 ? s->plan->options.cluster_size : g->granule;
    uint64_t disk_size = g->is_grown ? g->base_size : s->plan->disk_size;

    s->at = disk_offset;
    s->table_length = io_min(unit, disk_size - disk_offset);
    snprintf(line, QEMU_IO_LINE, "write -q %s %" PRIu64 " %" PRIu64,
             is_v2 ? "-P 0" : "-z", s->at, s->table_length);
    if (is_v2)
        s->step = DISCARD_TABLE_DATA;
    else
        s->at = IO_ROUND_DOWN(s->at, g->window) + g->window;
}

/* The first granule in use in each window, and behind the end of the disk
 * if the cut is going to need a table there.
 */
static bool next_table(struct layout_script *s, char line[QEMU_IO_LINE])
{
    const struct layout_geometry *g = s->geometry;
    uint64_t cs = s->plan->options.cluster_size;

    if (seek(s, &s->used, s->at))
        make_table(s, IO_ROUND_DOWN(s->at, g->granule), line);
    else if (g->is_grown && g->has_cut_table && s->at < g->base_size)
        make_table(s, IO_ROUND_UP(s->plan->disk_size, cs), line);
    else
        return false;
    return true;
}

static bool next_zeroes(struct layout_script *s, char line[QEMU_IO_LINE])
{
    const struct layout_geometry *g = s->geometry;
    const struct extents *zeroes = zeroes_of(s->plan);
    uint64_t end;

    if (!seek(s, zeroes, s->at))
        return false;
    end = io_min(extent_end(&zeroes->list[s->next]), s->at + ZEROES_PIECE);
    /* Less than a granule can only be marked where the disk ends. */
    if (g->is_grown)
        end = IO_ROUND_UP(end, g->granule);
    snprintf(line, QEMU_IO_LINE, "write -q -z %" PRIu64 " %" PRIu64, s->at,
             end - s->at);
    s->at = end;
    return true;
}

static bool next_write(struct layout_script *s, char line[QEMU_IO_LINE])
{
    uint64_t end;

    if (!seek(s, &s->writes, s->at))
        return false;
    end = end_of_write(s);
    snprintf(line, QEMU_IO_LINE, "write -q -P 0 %" PRIu64 " %" PRIu64, s->at,
             end - s->at);
    s->at = end;
    return true;
}

static void rewind_script(struct layout_script *s, enum step step)
{
    s->step = step;
    s->at = 0;
    s->next = 0;
}

/* Each step falls to the next when it has no more. */
bool layout_script_next(void *opaque, char line[QEMU_IO_LINE])
{
    struct layout_script *s = opaque;
    const struct layout_geometry *g = s->geometry;

    switch (s->step) {
    case GROW:
        snprintf(line, QEMU_IO_LINE, "truncate %" PRIu64, g->base_size);
        s->step = PREALLOCATE;
        return true;
    case PREALLOCATE:
        snprintf(line, QEMU_IO_LINE, "truncate -m falloc %" PRIu64,
                 g->create_size);
        s->step = DISCARD;
        s->at = g->base_size;
        return true;
    case DISCARD:
        if (s->at < g->create_size) {
            uint64_t length = io_min(DISCARD_PIECE, g->create_size - s->at);

            snprintf(line, QEMU_IO_LINE, "discard -q %" PRIu64 " %" PRIu64,
                     s->at, length);
            s->at += length;
            return true;
        }
        rewind_script(s, MAKE_TABLES);
        /* fall through */
    case MAKE_TABLES:
        if (next_table(s, line))
            return true;
        rewind_script(s, WRITE_ZEROES);
        /* fall through */
    case WRITE_ZEROES:
        if (next_zeroes(s, line))
            return true;
        rewind_script(s, WRITE_DATA);
        /* fall through */
    case WRITE_DATA:
        if (next_write(s, line))
            return true;
        s->step = END;
        if (!g->is_grown)
            return false;
        snprintf(line, QEMU_IO_LINE, "truncate %" PRIu64, s->plan->disk_size);
        return true;
    case DISCARD_TABLE_DATA:
        snprintf(line, QEMU_IO_LINE, "discard -q %" PRIu64 " %" PRIu64, s->at,
                 s->table_length);
        s->at = IO_ROUND_DOWN(s->at, g->window) + g->window;
        s->step = MAKE_TABLES;
        return true;
    default:
        return false;
    }
}

int layout_script_open(const struct layout_plan *plan,
                       const struct layout_geometry *geometry,
                       struct layout_script *s, struct error *err)
{
    bool is_convert = plan->layout == LAYOUT_CONVERT;
    uint64_t unit = is_convert ? IO_SECTOR : geometry->granule;

    *s = (struct layout_script){
        .plan = plan,
        .geometry = geometry,
        .step = geometry->is_grown ? GROW
                : is_convert       ? WRITE_ZEROES
                                   : MAKE_TABLES,
    };
    if (extents_widen(plan->data, unit, plan->disk_size, &s->writes, err) ==
            -1 ||
        extents_combine(&s->writes, EXTENTS_EITHER, zeroes_of(plan),
                        plan->disk_size, &s->used, err) == -1) {
        layout_script_close(s);
        return -1;
    }
    return 0;
}

void layout_script_close(struct layout_script *s)
{
    extents_clear(&s->writes);
    extents_clear(&s->used);
}
