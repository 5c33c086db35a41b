/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The commands for qemu-io that lay an image out. */

#ifndef QT_LAYOUT_SCRIPT_H
#define QT_LAYOUT_SCRIPT_H

#include "base/error.h"
#include "export/layout.h"
#include "lists/extents.h"
#include "qemu/qemu-io.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One run: how the image is to be shown to QEMU. */
struct layout_run {
    uint64_t store_size; /* bytes of the file */
    bool has_no_disk;    /* its header says that the disk has 0 bytes */
    bool is_reserving;   /* its one command is for qemu_img_reserve() */
};

/* The commands are made one at a time: there can be millions. */
struct layout_script {
    const struct layout_plan *plan;
    const struct layout_geometry *geometry;
    struct extents writes; /* its own */
    struct extents used;   /* its own: writes and zeroes */
    int step;
    bool is_at_run;     /* the step's commands are for another run */
    uint64_t at;        /* where the step is, on the disk */
    size_t next;        /* index into what the step goes through */
    size_t next_status; /* index into the plan's status */
    uint64_t reached;   /* the disk's size while it is filled */
    uint64_t plugged;   /* count of plugs that are there */
    uint64_t in_flight; /* writes since the last aio_flush */
    uint64_t table_at, table_length; /* the write that made the last table */

    /* The last command, if it is `truncate -m': its mode and its size. */
    const char *preallocation;
    uint64_t preallocated_size;
};

/* plan and geometry must outlive it. */
int layout_script_open(const struct layout_plan *plan,
                       const struct layout_geometry *geometry,
                       struct layout_script *script, struct error *err);

/* Goes to the next run; false: there is no more. */
bool layout_script_begin_run(struct layout_script *script,
                             struct layout_run *run);

/* The next command of the run, as qemu_io_next; opaque is a layout_script. */
bool layout_script_next(void *opaque, char line[QEMU_IO_LINE]);

void layout_script_close(struct layout_script *script);

#define cleanup_layout_script layout_script_close

#endif
