/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
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
 *   - The refcount blocks come first of all.  One is there from the start; if
 *     it does not cover the whole file, the others come from a preallocation
 *     that fails (`resize --preallocation=falloc`, of a disk of 0 bytes).
 *     QEMU makes refcount blocks for all of its clusters, then has the file
 *     grow for these, which a limit on its size forbids; so it frees them, and
 *     leaves the blocks.
 *
 *         | header | hole | block | L1 | more blocks | refcount table |
 *
 *     The hole is where the refcount table was.  Then the disk gets its size.
 *     If L1 has to grow for it and is still one cluster, it moves into the
 *     hole.  Else the first L2 tables would take the hole and where L1 was,
 *     and stand before L1.  So plugs are made first: tables of the disk's last
 *     windows, if these are empty, or of windows behind it.  At the end the
 *     disk is cut to be without them.
 *   - A large extent is preallocated instead of written (`truncate` to where
 *     it begins, `truncate -m metadata` to where it ends): that costs the
 *     same for each length.  For this the disk begins at 0 bytes once more,
 *     with all of its tables.  With extended L2 entries that leaves
 *     subclusters unallocated, so there all is written.
 *
 *   - Many extents are written several at a time.  Their tables are there, so
 *     QEMU allocates in the order in which the writes begin.
 *
 * If a QEMU does not do that, there is an older way.  The disk is created
 * larger, by a range of its own windows with as many clusters as will be
 * needed, and that range is preallocated: this makes refcount blocks for all
 * of them.  Then it is discarded, and its clusters are free again behind
 * tables that are in front.  (The refcount table moves as it grows, and the
 * cluster it leaves is taken by an L2 table of that range.)  At last the disk
 * is cut to its size.  The cut discards what is left of the disk's last
 * window, which makes an L2 table if there is none: so one is made there too,
 * with the others.  No disk can be of the largest size this way, since the
 * range needs a place in L1; and it takes 19 s where the other takes 2 (128
 * GiB of data in 64 extents).
 *
 * Ranges to be marked as zeroes take no room but in tables.  In both layouts
 * they come before the data; convert has none of its own.
 */

#include "config.h"

#include "base/assert.h"
#include "base/io.h"
#include "export/layout.h"

#include <inttypes.h>

#define CONVERT_GRANULE 4096 /* convert's -S */
#define ENTRY 8              /* bytes, of L1 and of the refcount table */

/* Header, refcount table and refcount block: what each image begins with. */
#define FIRST_CLUSTERS 3

/* To preallocate an extent costs half a millisecond; to write it a tenth of
 * that, and 80 ms for each GiB.
 */
#define FILL_LEAST (UINT64_C(8) << 20)

/* The same where it takes two programs, some 30 milliseconds. */
#define SLOW_FILL_LEAST (UINT64_C(512) << 20)

/* So many writes are under way at a time, as QEMU has over NBD, if there are
 * more than a few extents.
 */
enum { MOST_WRITES = 16, FEW_EXTENTS = 64 };

/* Clusters of the range that a disk is created larger by, besides those that
 * are counted: one is for the L2 table that the cut makes.
 */
#define GROWN_SLACK 3

/* The store must be just above what will be needed: QEMU walks back from the
 * end of the file at each truncate.  Counted are tables; each refcount block
 * twice; the refcount table with the smaller ones that it grew out of; and a
 * few clusters, for the first ones of the file and what is rounded down.
 */
#define STORE_BLOCK_COPIES 2
#define STORE_TABLE_COPIES 4
#define STORE_SLACK 64

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

int layout_check_size(const struct qcow2_options *options, uint64_t disk_size,
                      struct error *err)
{
    uint64_t largest = QCOW2_MAX_L1 / ENTRY * qcow2_window(options);

    if (disk_size <= largest)
        return 0;
    return error_set(err, 0,
                     "source: its disk has %" PRIu64
                     " bytes, and in clusters of %" PRIu64
                     " bytes a qcow2 image can have no more than %" PRIu64,
                     disk_size, options->cluster_size, largest);
}

uint64_t layout_scan_granule(enum layout layout,
                             const struct qcow2_options *options)
{
    return layout == LAYOUT_CONVERT ? CONVERT_GRANULE : qcow2_granule(options);
}

const struct extents *layout_zeroes(const struct layout_plan *plan)
{
    static const struct extents none;

    return plan->zeroes == NULL ? &none : plan->zeroes;
}

/* Does it have anything from disk_offset on? */
static bool reaches(const struct extents *extents, uint64_t disk_offset)
{
    return extents->count > 0 &&
           extent_end(&extents->list[extents->count - 1]) > disk_offset;
}

static bool has_large_extent(const struct layout_plan *plan)
{
    for (size_t i = 0; i < plan->data->count; i++)
        if (layout_is_filled_extent(plan, &plan->data->list[i]))
            return true;
    return false;
}

bool layout_is_filled_extent(const struct layout_plan *plan,
                             const struct extent *e)
{
    return e->length >= (plan->is_slow_to_fill ? SLOW_FILL_LEAST : FILL_LEAST);
}

/* Clusters of the L1 table of a disk. */
static uint64_t l1_clusters(const struct layout_geometry *g,
                            uint64_t disk_size, uint64_t cs)
{
    return count_units(count_units(disk_size, g->window) * ENTRY, cs);
}

/* What to preallocate so that refcount blocks count all needed clusters:
 * QEMU adds L2 tables for it, one for each window and two.
 */
static uint64_t reserved_clusters(uint64_t needed, uint64_t per_table)
{
    uint64_t n = needed / (per_table + 1) * per_table;

    while (n + count_units(n, per_table) + 2 < needed)
        n++;
    return n;
}

/* Plugs for as many holes: tables of windows without content at the end of the
 * disk, or behind it.  A largest disk that is in use to its end has no place
 * for any.
 */
static void choose_plugs(const struct layout_plan *plan, uint64_t holes,
                         struct layout_geometry *g)
{
    uint64_t windows = g->base_size / g->window;
    uint64_t at = (windows - io_min(windows, holes)) * g->window;

    if (at > 0 && !reaches(plan->data, at) &&
        !reaches(layout_zeroes(plan), at)) {
        g->plug = at;
    } else if (windows + holes <= QCOW2_MAX_L1 / ENTRY) {
        g->plug = g->base_size;
        g->work_size = g->base_size + (holes - 1) * g->window + g->granule;
    } else {
        g->is_l1_first = false;
        return;
    }
    g->n_plugs = holes;
}

static void measure_reserve(const struct layout_plan *plan,
                            struct layout_geometry *g, uint64_t per_block)
{
    uint64_t cs = plan->options.cluster_size, per_table = g->window / cs;
    uint64_t windows = g->base_size / g->window;
    uint64_t l1 = l1_clusters(g, g->base_size, cs), blocks = 1, table = 1;
    uint64_t needed = g->data_clusters + g->used_windows + 1; /* the cut's */
    uint64_t n = reserved_clusters(needed + 1, per_table), total;

    g->create_size = 0;
    if (count_units(n, per_table) >= windows) {
        /* L1 stays where the reservation puts it. */
        choose_plugs(plan, 1, g);
        if (g->work_size > g->base_size)
            n = io_max(n, windows * per_table + 1);
    } else if (l1 > 1) {
        /* It moves, but does not fit where the refcount table was. */
        uint64_t holes;

        n = reserved_clusters(needed + l1, per_table);
        holes = 2 + l1_clusters(g, n * cs, cs); /* one may come to it */
        choose_plugs(plan, holes, g);
        l1 = l1_clusters(g, g->work_size, cs);
        n = reserved_clusters(needed + holes + l1, per_table);
    }
    g->reserve_size = n * cs;
    /* Blocks count themselves, and their table. */
    l1 = l1_clusters(g, g->reserve_size, cs);
    total = FIRST_CLUSTERS + l1 + n + count_units(n, per_table) + 2;
    for (int i = 0; i < 4; i++) {
        blocks = count_units(total + blocks + table, per_block);
        table = count_units(blocks * ENTRY, cs);
    }
    g->room_size = (FIRST_CLUSTERS + l1 + blocks + table) * cs;
}

void layout_measure(const struct layout_plan *plan, enum layout_way way,
                    struct layout_geometry *g)
{
    uint64_t cs = plan->options.cluster_size;
    uint64_t grown, l1, tables, blocks;
    uint64_t per_block = cs * 8 / plan->options.refcount_bits;
    bool is_leading = plan->layout != LAYOUT_CONVERT;

    ASSERT(io_is_power_of_two(cs) && cs >= 512);
    ASSERT(io_is_power_of_two(plan->options.refcount_bits) &&
           plan->options.refcount_bits <= 64);
    ASSERT(plan->disk_size % IO_SECTOR == 0);
    *g = (struct layout_geometry){
        .granule = qcow2_granule(&plan->options),
        .window = qcow2_window(&plan->options),
        .data_clusters = count_touched(plan->data, cs),
        .create_size = plan->disk_size,
        .work_size = plan->disk_size,
        .plug = LAYOUT_NO_PLUG,
        .is_l1_first = way == LAYOUT_BY_RESERVING,
        .most_writes = is_leading && way == LAYOUT_BY_RESERVING &&
                               plan->data->count > FEW_EXTENTS
                           ? MOST_WRITES
                           : 1,
    };
    g->used_windows = count_touched(plan->data, g->window) +
                      count_touched(layout_zeroes(plan), g->window);
    g->base_size = IO_ROUND_UP(plan->disk_size, g->window);
    g->has_cut_table = IO_ROUND_UP(plan->disk_size, cs) < g->base_size;
    grown =
        g->base_size + (g->data_clusters + g->used_windows + GROWN_SLACK) * cs;
    l1 = l1_clusters(g, way == LAYOUT_BY_GROWING ? grown : g->base_size, cs);

    /* One block is there, and may have room for all of them. */
    if (is_leading && g->data_clusters > 0 &&
        FIRST_CLUSTERS + 1 + l1 + g->used_windows + g->data_clusters >
            per_block) {
        g->is_grown = way == LAYOUT_BY_GROWING;
        g->is_reserved = !g->is_grown;
    }
    g->is_filled = is_leading && way == LAYOUT_BY_RESERVING &&
                   !plan->options.is_extended_l2 && has_large_extent(plan);
    if (g->is_grown) {
        g->create_size = grown;
        g->work_size = g->base_size;
    }
    if (g->is_reserved)
        measure_reserve(plan, g, per_block);

    tables = g->data_clusters + g->used_windows + l1;
    if (way == LAYOUT_BY_GROWING)
        tables += count_units(grown - g->base_size, g->window);
    blocks = tables / per_block;
    g->store_size =
        (tables + blocks * STORE_BLOCK_COPIES +
         count_units(blocks * ENTRY, cs) * STORE_TABLE_COPIES + STORE_SLACK) *
        cs;
}
