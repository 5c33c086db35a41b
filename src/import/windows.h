/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Which part of the disk is mapped next, and when. */

#ifndef QT_WINDOWS_H
#define QT_WINDOWS_H

#include "base/error.h"
#include "import/awaited.h"
#include "import/missing.h"
#include "lists/extents.h"

#include <stdbool.h>
#include <stdint.h>

/* Where the mapper is on the disk.  It has no lock: one thread uses it.
 * Members are bytes of the disk if they do not say otherwise.
 */
struct windows {
    uint64_t disk_size;
    uint64_t slice;          /* what QEMU finds in one read of a table */
    struct extents unmapped; /* what no run has told yet */
    struct awaited awaited;  /* for each part of it at least one table */
    uint64_t entries;        /* of the map, in what has been told ... */
    uint64_t mapped;         /* ... and so many bytes that is */

    /* Of the pass that is under way: */
    struct extents ready; /* what it is for */
    uint64_t at;          /* what is before it has been asked for */
    uint64_t cost;        /* bytes of the stream, see windows.c */
};

/* From the start of a disk of disk_size bytes.  slice is a power of two. */
int windows_begin(struct windows *windows, uint64_t disk_size, uint64_t slice,
                  struct error *err);

void windows_end(struct windows *windows);

/* Is all of the disk mapped? */
bool windows_are_done(const struct windows *windows);

/* If there is something to be mapped in this pass, returns true with it.  One
 * of the two calls below may follow, or it is asked for again.  If not, the
 * pass is over.  is_apart: nothing that is mapped already may be in it.
 */
bool windows_next(struct windows *windows, bool is_apart,
                  uint64_t *disk_offset, uint64_t *length);

/* What came of a run of QEMU. */
struct windows_run {
    uint64_t disk_offset, length; /* what it was asked for */
    uint64_t disk_end; /* it got as far as that: to the end, or a slice's */
    const struct extents *told;    /* there it found something */
    uint64_t entries;              /* of the map, all and ... */
    uint64_t new_entries;          /* ... those of the unmapped */
    uint64_t milliseconds;         /* it took */
    const struct missing *missing; /* these tables it read as empty */
    uint64_t filled;               /* slices, not empty, that it read */
    bool is_last;                  /* of the pass: too much was missing */
};

/* A run has told something.  Where tables were missing it found nothing, so
 * there only a slice in which it found something else is known.  Adds the
 * holes that are known now to holes, which is empty.  *mapped: bytes of the
 * disk that are known now, and were not before.
 */
int windows_mapped(struct windows *windows, const struct windows_run *run,
                   struct extents *holes, uint64_t *mapped, struct error *err);

/* Has all that the run read been told of?  Then none of it is needed again. */
bool windows_used_all(const struct windows *windows,
                      const struct windows_run *run);

/* A run came to nothing, as something was missing. */
int windows_failed(struct windows *windows, const struct windows_run *run,
                   struct error *err);

/* When the next pass is worth it. */
struct windows_wait {
    uint64_t first_end; /* a file offset: what is before it must come ... */
    uint64_t file_end;  /* ... and what is before this is waited for, too */
    uint64_t kept_end;  /* bytes before this may be kept meanwhile */
};

/* After a pass that did not map all, when arrived bytes of the stream are
 * here, and there is room for so many bytes more.
 */
void windows_wait(const struct windows *windows, uint64_t arrived,
                  uint64_t room, struct windows_wait *wait);

/* Begins the next pass, for what waited for tables that have come. */
int windows_begin_pass(struct windows *windows, uint64_t arrived,
                       struct error *err);

#endif
