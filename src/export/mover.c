/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Moves bytes from a file into a stream, by the fastest way that works. */

#include "config.h"

#include "base/compat.h"
#include "base/io.h"
#include "base/signals.h"
#include "export/mover.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* Large enough for file systems that only have to note what is shared. */
#define RANGE (8 * IO_PIECE)

void mover_open(struct mover *m, bool is_to_file)
{
    const char *wanted = getenv("QCOW_TOOL_MOVER");

    *m = (struct mover){.is_to_file = is_to_file};
    m->is_copying = wanted != NULL && strcmp(wanted, "copy") == 0;
}

void mover_close(struct mover *m)
{
    free(m->buf);
    *m = (struct mover){0};
}

static ssize_t copy(struct mover *m, int in_fd, uint64_t in_offset,
                    uint64_t length, int out_fd, enum mover_side *side)
{
    /* Whole aligned blocks are read, as O_DIRECT wants it. */
    uint64_t skip = in_offset % IO_ALIGN;
    uint64_t wanted = io_min(length, IO_PIECE - skip);
    struct error ignored;
    ssize_t got;

    *side = MOVER_READS;
    if (m->buf == NULL)
        m->buf = io_alloc_aligned(IO_PIECE);
    if (m->buf == NULL)
        return -1;
    got = io_pread_full(in_fd, m->buf, IO_ROUND_UP(skip + wanted, IO_ALIGN),
                        in_offset - skip);
    if (got == -1)
        return -1;
    if ((uint64_t)got <= skip)
        return 0;
    wanted = io_min(wanted, got - skip);
    *side = MOVER_WRITES;
    got = io_write_most(out_fd, m->buf + skip, wanted);
    if (got > 0 && m->checksum != NULL &&
        checksum_add(m->checksum, m->buf + skip, got, &ignored) == -1) {
        errno = ENOMEM;
        return -1;
    }
    return got;
}

/* Does the errno value mean that sendfile(2) does not know such files? */
static bool is_refusal(int errnum)
{
    return errnum == EINVAL || errnum == ENOSYS || errnum == EOPNOTSUPP ||
           errnum == EPERM || errnum == EBADF;
}

/* sendfile has failed with errno: did it read or write?  What failed to be
 * written is not tried again.
 */
static ssize_t blame(struct mover *m, int in_fd, uint64_t in_offset,
                     uint64_t length, enum mover_side *side)
{
    int errnum = errno;

    if (m->buf == NULL)
        m->buf = io_alloc_aligned(IO_PIECE);
    if (m->buf == NULL ||
        io_pread_full(in_fd, m->buf, io_min(length, IO_PIECE), in_offset) ==
            -1) {
        *side = MOVER_READS;
        return -1;
    }
    *side = MOVER_WRITES;
    errno = errnum;
    return -1;
}

/* Returns 0 where sendfile(2) has to tell: where such files or file systems,
 * or an fd that appends, are refused, and at the end.
 */
static ssize_t copy_range(struct mover *m, int in_fd, uint64_t in_offset,
                          uint64_t length, int out_fd)
{
    loff_t offset = in_offset;
    ssize_t n;

    if (!m->is_to_file)
        return 0;
    n = compat_copy_file_range(in_fd, &offset, out_fd, io_min(length, RANGE));
    if (n == -1)
        return is_refusal(errno) || errno == EXDEV ? 0 : -1;
    m->ranged += n;
    return n;
}

static ssize_t send_some(struct mover *m, int in_fd, uint64_t in_offset,
                         uint64_t length, int out_fd)
{
    off_t offset = in_offset;
    ssize_t n;

    /* One that a signal cut short must not be gone on with. */
    errno = EINTR;
    if (signals_caught() != 0)
        return -1;
    n = copy_range(m, in_fd, in_offset, length, out_fd);
    if (n == 0)
        n = sendfile(out_fd, in_fd, &offset, io_min(length, IO_PIECE));
    if (n > 0)
        io_moved();
    return n;
}

ssize_t mover_move(struct mover *m, int in_fd, bool is_direct,
                   uint64_t in_offset, uint64_t length, int out_fd,
                   enum mover_side *side)
{
    /* Reading through the page cache is what sendfile would do. */
    while (!m->is_copying && !is_direct && m->checksum == NULL) {
        ssize_t n = send_some(m, in_fd, in_offset, length, out_fd);

        *side = MOVER_WRITES;
        if (n >= 0)
            return n;
        if (errno == EINTR && signals_caught() == 0)
            continue;
        if (errno == EAGAIN && io_wait_to_write(out_fd) == 0)
            continue;
        if (errno == EINTR || errno == EPIPE || errno == ECONNRESET)
            return -1;
        if (!is_refusal(errno))
            return blame(m, in_fd, in_offset, length, side);
        m->is_copying = true;
    }
    return copy(m, in_fd, in_offset, length, out_fd, side);
}
