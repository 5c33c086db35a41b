/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Which part of the disk is mapped next. */

#ifndef QT_WINDOWS_H
#define QT_WINDOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many windows wait for tables that are a long way off, at the most. */
enum { WINDOWS_POSTPONED = 64 };

/* Bytes of the file that may be kept behind a table that is waited for, before
 * anything is known of where the next one is.
 */
#define WINDOWS_LOOKAHEAD (UINT64_C(512) << 10)

/* A window whose table is a long way off. */
struct postponed {
    uint64_t disk_offset, length; /* bytes of the disk */
    uint64_t table_end;           /* a file offset: its table is before that */
    uint64_t part;                /* of length, to be tried next */
};

/* Where the mapper is on the disk.  It has no lock: one thread uses it.
 * Members are bytes of the disk if they do not say otherwise.
 */
struct windows {
    uint64_t disk_size;
    uint64_t unit;      /* what windows are made of, while they succeed */
    uint64_t slice;     /* no window is smaller, except at the disk's end */
    uint64_t front;     /* what is before it is mapped, or postponed */
    uint64_t length;    /* of the window at the front */
    uint64_t lookahead; /* bytes of the file to be kept behind a fault */
    struct postponed postponed[WINDOWS_POSTPONED];
    size_t n_postponed;
    struct postponed *tried; /* the one that is; NULL: the front */
};

/* From the start of a disk of disk_size bytes; table: how much of it one L2
 * table describes, and cluster_size is the image's (powers of two).
 */
void windows_begin(struct windows *windows, uint64_t disk_size, uint64_t table,
                   uint64_t cluster_size);

/* Is all of the disk mapped? */
bool windows_are_done(const struct windows *windows);

/* If there is a window to be mapped when arrived bytes of the file are here,
 * returns true with it, and one of the three calls below must follow.  If not,
 * all that is left waits for the bytes before *table_end.
 */
bool windows_next(struct windows *windows, uint64_t arrived,
                  uint64_t *disk_offset, uint64_t *length,
                  uint64_t *table_end);

/* The window has been mapped.  is_small: what it said was little, so the next
 * may be larger.
 */
void windows_mapped(struct windows *windows, bool is_small);

/* Its table, which ends at the file offset table_end, is not among the arrived
 * bytes that are here.  Returns true if it is near, so that it is worth
 * waiting for it before anything else, and *lookahead bytes behind it may be
 * kept.
 */
bool windows_faulted(struct windows *windows, uint64_t table_end,
                     uint64_t arrived, uint64_t *lookahead);

/* It said more than is wanted at once. */
void windows_too_long(struct windows *windows);

#endif
