/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Moves bytes from a file into a stream, by the fastest way that works. */

#ifndef QT_MOVER_H
#define QT_MOVER_H

#include "base/checksum.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* From file to file copy_file_range(2), where that is not refused; with which
 * a file system that can (XFS, Btrfs) has both share what they hold.  Else
 * sendfile(2), until that is refused; then reads and writes through buf.  The
 * environment's QCOW_TOOL_MOVER=copy means the latter from the start.
 */
struct mover {
    bool is_copying;
    bool is_to_file;           /* a regular one: it may be a copy_file_range */
    uint64_t ranged;           /* bytes that moved so */
    struct checksum *checksum; /* of what is moved: it copies; or NULL */
    char *buf;                 /* allocated when it is first needed */
};

enum mover_side { MOVER_READS, MOVER_WRITES };

void mover_open(struct mover *m, bool is_to_file);
void mover_close(struct mover *m);

/* Moves up to length bytes from in_offset in in_fd, a file or block device,
 * to out_fd, where that stands.  is_direct: in_fd has O_DIRECT.  Returns how
 * many, at least 1 before the end of in_fd and 0 there; or -1, errno, and
 * the side that failed.
 */
ssize_t mover_move(struct mover *m, int in_fd, bool is_direct,
                   uint64_t in_offset, uint64_t length, int out_fd,
                   enum mover_side *side);

#endif
