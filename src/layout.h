/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which writes make QEMU lay an image out in the order that we want. */

#ifndef QT_LAYOUT_H
#define QT_LAYOUT_H

#include "error.h"
#include "extents.h"
#include "qemu-io.h"
#include "qemu.h"

#include <stdbool.h>
#include <stddef.h>
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
};

/* In which pieces to look for zeroes in a source, for this layout. */
uint64_t layout_scan_granule(enum layout layout,
                             const struct qcow2_options *options);

/* The numbers behind it, in bytes unless they count. */
struct layout_geometry {
    uint64_t granule, window; /* qemu.h */
    uint64_t data_clusters;   /* count */
    uint64_t used_windows; /* count, of those with data or zeroes; at most */
    bool is_grown;         /* the disk is created larger, then cut */
    bool has_cut_table;    /* the cut needs a table that holds no data */
    uint64_t base_size;    /* the disk, rounded up to windows */
    uint64_t create_size;  /* what to create it with */
    uint64_t store_size;   /* a little more than the file can need */
};

void layout_measure(const struct layout_plan *plan,
                    struct layout_geometry *geometry);

/* The commands for qemu-io, made one at a time: there can be millions. */
struct layout_script {
    const struct layout_plan *plan;
    const struct layout_geometry *geometry;
    struct extents writes; /* its own */
    struct extents used;   /* its own: writes and zeroes */
    int step;
    uint64_t at;           /* where the step is, on the disk */
    size_t next;           /* index into what the step goes through */
    size_t next_status;    /* index into the plan's status */
    uint64_t table_length; /* of the write that made the last table */
};

/* plan and geometry must outlive it. */
int layout_script_open(const struct layout_plan *plan,
                       const struct layout_geometry *geometry,
                       struct layout_script *script, struct error *err);

/* As qemu_io_next; opaque is a layout_script. */
bool layout_script_next(void *opaque, char line[QEMU_IO_LINE]);

void layout_script_close(struct layout_script *script);

#define cleanup_layout_script layout_script_close

#endif
