/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where an exported stream goes: a socket, a pipe or a file. */

#include "config.h"

#include "cleanup.h"
#include "io.h"
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_path(struct sink *s, const char *path)
{
    s->is_opened = true;
    s->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (s->fd != -1) {
        s->is_created = true;
        return 0;
    }
    if (errno == EEXIST)
        s->fd = open(path, O_WRONLY | O_CLOEXEC);
    return s->fd == -1 ? -1 : 0;
}

int sink_open(const char *path, int fd, struct sink *s, struct error *err)
{
    int flags;

    *s = (struct sink){.name = path, .fd = fd};
    mover_open(&s->mover);
    if (path != NULL && open_path(s, path) == -1)
        return error_set(err, errno, "destination: cannot open %s", path);
    flags = fcntl(s->fd, F_GETFL);
    if (flags == -1)
        return error_set(err, errno, "destination: fd %d", s->fd);
    if ((flags & O_ACCMODE) == O_RDONLY)
        return error_set(err, 0, "destination: fd %d is read-only", s->fd);
    if (isatty(s->fd))
        return error_set(err, 0,
                         "destination: refusing to write an image to a "
                         "terminal");
    return 0;
}

int sink_begin(struct sink *s, uint64_t length, struct error *err)
{
    struct stat st;

    s->length = length;
    if (s->is_opened && fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode) &&
        ftruncate(s->fd, 0) == -1)
        return error_set(err, errno, "destination: cannot empty %s", s->name);
    return 0;
}

static int writing_failed(const struct sink *s, struct error *err)
{
    if (errno == EPIPE || errno == ECONNRESET)
        return error_set(err, errno,
                         "destination: the reader left at file offset %" PRIu64
                         " of %" PRIu64,
                         s->file_offset, s->length);
    return error_set(err, errno,
                     "destination: cannot write at file offset %" PRIu64
                     " of %" PRIu64,
                     s->file_offset, s->length);
}

int sink_send(struct sink *s, const struct sink_from *from, uint64_t offset,
              uint64_t length, uint64_t *sent, struct error *err)
{
    *sent = 0;
    while (*sent < length) {
        enum mover_side side;
        ssize_t n = mover_move(&s->mover, from->fd, from->is_direct,
                               offset + *sent, length - *sent, s->fd, &side);

        if (n == -1 && side == MOVER_WRITES)
            return writing_failed(s, err);
        if (n == -1)
            return error_set(err, errno,
                             "%s: cannot read at %s offset %" PRIu64,
                             from->name, from->unit, offset + *sent);
        if (n == 0)
            break;
        *sent += n;
        s->file_offset += n;
    }
    return 0;
}

int sink_send_zeroes(struct sink *s, uint64_t length, struct error *err)
{
    static const char zeroes[65536];

    while (length > 0) {
        ssize_t n =
            io_write_most(s->fd, zeroes, io_min(length, sizeof zeroes));

        if (n == -1)
            return writing_failed(s, err);
        s->file_offset += n;
        length -= n;
    }
    return 0;
}

int sink_finish(struct sink *s, struct error *err)
{
    struct stat st;
    int fd = s->fd;

    /* Only then is it known that a disk has taken it all. */
    if (fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) &&
        fdatasync(fd) == -1)
        return error_set(err, errno, "destination: cannot flush it");
    if (!s->is_opened)
        return 0;
    s->fd = -1;
    if (close(fd) == -1)
        return error_set(err, errno, "destination: cannot close %s", s->name);
    s->is_created = false;
    return 0;
}

void sink_close(struct sink *s)
{
    if (s->is_created)
        unlink(s->name);
    if (s->is_opened)
        cleanup_close_fd(&s->fd);
    mover_close(&s->mover);
    *s = (struct sink){.fd = -1};
}
