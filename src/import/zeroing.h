/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The ways in which the kernel makes a range of a disk read as zeroes. */

#ifndef QT_ZEROING_H
#define QT_ZEROING_H

#include <stdbool.h>
#include <stdint.h>

/* The cheapest comes first.  A file system or device may know any of them, or
 * none.
 *
 * ZEROING_PUNCH_HOLE  fallocate(2).  Of a device it is a discard, but only
 *                     where that reads back as zeroes (blkdev_fallocate in
 *                     Linux, block/fops.c): the cheapest on thin storage.
 * ZEROING_ZERO_RANGE  fallocate(2).  It keeps the space.
 * ZEROING_BLKZEROOUT  an ioctl for block devices (linux/fs.h).
 */
enum {
    ZEROING_PUNCH_HOLE,
    ZEROING_ZERO_RANGE,
    ZEROING_BLKZEROOUT,
    ZEROING_WAYS
};

/* length bytes of fd at disk_offset; as a system call returns, 0 or -1 with
 * errno.
 */
typedef int zeroing_way(int fd, uint64_t disk_offset, uint64_t length);

/* Which ways are still worth asking for.  One thread uses it at a time. */
struct zeroing {
    zeroing_way *ways[ZEROING_WAYS];
    bool is_refused[ZEROING_WAYS]; /* the kernel does not know this way here */
    uint64_t piece;                /* see zeroing_piece; 0: ZEROING_LEAST */
};

/* As many bytes are zeroed by one call.  It cannot be interrupted, and a disk
 * that has to write zeroes takes its time.
 */
#define ZEROING_LEAST (UINT64_C(32) << 20)
#define ZEROING_MOST (UINT64_C(1) << 30)

/* All ways, none of them refused yet. */
extern const struct zeroing zeroing_begin;

/* Zeroes length bytes of fd at disk_offset, both multiples of the device's
 * block, by the first way that works.  A way that is not supported is not
 * asked for again; one that has failed otherwise is, for the next range.
 * Returns false if no way works: then they have to be written, and that will
 * tell what is wrong.
 */
bool zeroing_by_kernel(struct zeroing *zeroing, int fd, uint64_t disk_offset,
                       uint64_t length);

/* For how many bytes it should be asked next: more, the faster it was.  From
 * ZEROING_LEAST to ZEROING_MOST.
 */
uint64_t zeroing_piece(const struct zeroing *zeroing);

#endif
