/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Which writes make QEMU lay an image out in the order that we want. */

#ifndef QT_LAYOUT_H
#define QT_LAYOUT_H

#include "base/error.h"
#include "lists/extents.h"
#include "qemu/qemu.h"

#include <stdbool.h>
#include <stdint.h>

enum layout {
    LAYOUT_STREAMABLE, /* all metadata, then the data, ascending, no gap */
    LAYOUT_CONVERT,    /* byte for byte as `qemu-img convert` writes it */
    LAYOUT_ANY,        /* streamable if QEMU does it, else what it does */
};

/* What the image shall be. */
struct layout_plan {
    enum layout layout;
    struct qcow2_options options;
    uint64_t disk_size; /* bytes, a multiple of 512 */

    /* What holds data, at least; and the ranges, around it, that QEMU would
     * read the source in.  The latter count for LAYOUT_CONVERT only, and those
     * that touch are apart.
     */
    const struct extents *data, *status;

    /* What is to be marked as zeroes, in whole granules but for the disk's
     * end, and apart from those of data; NULL: nothing is.
     */
    const struct extents *zeroes;

    /* Each preallocation takes a program of its own: only very large extents
     * are worth it.
     */
    bool is_slow_to_fill;
};

/* plan->zeroes, or an empty list. */
const struct extents *layout_zeroes(const struct layout_plan *plan);

/* Fails if the disk is larger than an image of these options can be: an L1
 * table of more than 32 MiB QEMU does not take.
 */
int layout_check_size(const struct qcow2_options *options, uint64_t disk_size,
                      struct error *err);

/* In which pieces to look for zeroes in a source, for this layout. */
uint64_t layout_scan_granule(enum layout layout,
                             const struct qcow2_options *options);

/* How QEMU is led to a streamable layout (notes in layout.c). */
enum layout_way {
    LAYOUT_BY_RESERVING, /* costs little, however much data there is */
    LAYOUT_BY_GROWING,   /* if a QEMU does not do the first */
};

#define LAYOUT_NO_PLUG UINT64_MAX

/* How large everything is that leads to a layout.  All are bytes but those
 * that are called a count.
 */
struct layout_geometry {
    uint64_t granule, window; /* qemu.h */
    uint64_t data_clusters;   /* count */
    uint64_t
        used_windows; /* count, an upper bound: windows with data or zeroes */
    uint64_t base_size;   /* the disk, rounded up to windows */
    uint64_t create_size; /* what to create it with */
    uint64_t work_size;   /* what it has while it is laid out */
    uint64_t store_size;  /* a little more than the file can need */

    /* Refcount blocks come from a preallocation that fails: of reserve_size
     * bytes, in a file that may have room_size, in which there is no room for
     * them (qemu_img_reserve).
     */
    bool is_reserved;
    uint64_t reserve_size, room_size;
    uint64_t plug;    /* disk offset of tables that are dropped at the end */
    uint64_t n_plugs; /* count of them, each of a window */
    bool is_l1_first; /* no L2 table stands before L1 */
    bool is_filled;   /* large extents are preallocated, not written */
    unsigned most_writes; /* under way at a time */

    bool is_grown;      /* the disk is created larger, then cut */
    bool has_cut_table; /* the cut needs a table that holds no data */
};

/* Fills *geometry from plan.  way only makes a difference to layouts that are
 * streamable.
 */
void layout_measure(const struct layout_plan *plan, enum layout_way way,
                    struct layout_geometry *geometry);

/* Where is_filled: is this one of the large ones? */
bool layout_is_filled_extent(const struct layout_plan *plan,
                             const struct extent *e);

#endif
