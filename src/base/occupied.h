/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What the kernel uses a disk for: mounts, swap, what is stacked on it. */

#ifndef QT_OCCUPIED_H
#define QT_OCCUPIED_H

#include "base/error.h"

#include <stddef.h>
#include <sys/stat.h>

enum { OCCUPIED_WORDS = 400 };

/* Is the block device or regular file st in use?  Then words say how, to
 * follow its name: " is mounted on /mnt", ": its partition sda1 is used as
 * swap".  What cannot be looked at is taken as not in use.  Returns 1, 0, or
 * -1 and errno if there was no memory or fd to look.
 *
 * Looked at are, behind root ("" but for tests), /proc/self/mountinfo and
 * /proc/swaps (proc(5)); /sys/dev/block/MAJOR:MINOR/holders, of the device and
 * its partitions, where device mapper, md and bcache are found; and
 * /sys/block/loopN/loop, with LOOP_GET_STATUS64 (loop(4)).
 */
int occupied_find(const char *root, const struct stat *st,
                  char words[OCCUPIED_WORDS]);

/* Are both open on one disk?  That is one regular file or block device, or a
 * disk and its partition, or a loop device and the file below it.  All else
 * (/dev/null, a pipe, no fd at all: -1) is no disk.  Returns 1, 0, or -1 and
 * errno if it cannot be told.
 */
int occupied_is_same(int fd, int other_fd);

/* Fails if they are, or if it cannot be told: the destination is, for the
 * message, the other one.
 */
int occupied_check_same(int destination_fd, int other_fd, const char *other,
                        struct error *err);

#endif
