/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The ways in which the kernel makes a range of a disk read as zeroes. */

#include "config.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/io.h"
#include "import/zeroing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

/* Milliseconds.  A call that takes less may have more to do, and one that
 * takes more shall have less.
 */
enum { SHORT_MS = 100, LONG_MS = 500 };

static int punch_hole(int fd, uint64_t disk_offset, uint64_t length)
{
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     (off_t)disk_offset, (off_t)length);
}

static int zero_range(int fd, uint64_t disk_offset, uint64_t length)
{
    return fallocate(fd, FALLOC_FL_ZERO_RANGE, (off_t)disk_offset,
                     (off_t)length);
}

static int blkzeroout(int fd, uint64_t disk_offset, uint64_t length)
{
    uint64_t range[2] = {disk_offset, length};

    return ioctl(fd, BLKZEROOUT, range);
}

const struct zeroing zeroing_begin = {
    .ways =
        {
            [ZEROING_PUNCH_HOLE] = punch_hole,
            [ZEROING_ZERO_RANGE] = zero_range,
            [ZEROING_BLKZEROOUT] = blkzeroout,
        },
};

/* Does the errno value mean that it will not work for another range either?
 * ENOTTY and ENODEV are what a file says that is not of the right kind;
 * ENOSYS what a kernel or FUSE says that has not heard of it.
 */
static bool is_unsupported(int errnum)
{
    return errnum == EOPNOTSUPP || errnum == ENOTTY || errnum == ENODEV ||
           errnum == ENOSYS;
}

uint64_t zeroing_piece(const struct zeroing *z)
{
    return io_max(z->piece, ZEROING_LEAST);
}

static void adapt_piece(struct zeroing *z, uint64_t length, uint64_t took_ms)
{
    uint64_t piece = zeroing_piece(z);

    if (took_ms > LONG_MS)
        z->piece = piece / 2;
    else if (took_ms < SHORT_MS && length == piece)
        z->piece = io_min(piece * 2, ZEROING_MOST);
}

bool zeroing_by_kernel(struct zeroing *z, int fd, uint64_t disk_offset,
                       uint64_t length)
{
    for (unsigned i = 0; i < ZEROING_WAYS; i++) {
        uint64_t began = clock_ms();

        if (z->is_refused[i])
            continue;
        if (z->ways[i](fd, disk_offset, length) == 0) {
            adapt_piece(z, length, clock_ms() - began);
            return true;
        }
        z->is_refused[i] = is_unsupported(errno);
    }
    return false;
}
