/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A disk to read that is a raw file or a block device. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/stall.h"
#include "export/read-ahead.h"
#include "export/source-file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

struct source_file {
    struct source source;      /* first */
    bool is_direct;            /* it has O_DIRECT */
    struct read_ahead *reader; /* NULL: the kernel reads ahead, or no read was
                                  large yet */
};

/* What is smaller is read at once. */
#define LARGE_READ (UINT64_C(256) << 10)

static struct source_file *file_of(struct source *s)
{
    return (struct source_file *)s;
}

static int ended_early(const struct source *s, uint64_t disk_offset,
                       struct error *err)
{
    return error_set(err, 0,
                     "%s: ended at disk offset %" PRIu64 " while being read",
                     s->role, disk_offset);
}

/* What a read has brought; errnum counts if that is -1. */
static int check_read(const struct source *s, uint64_t disk_offset,
                      int64_t got, int errnum, struct error *err)
{
    if (got == -1)
        return error_set(err, errnum,
                         "%s: cannot read at disk offset %" PRIu64, s->role,
                         disk_offset);
    return ended_early(s, disk_offset + got, err);
}

/* Without the page cache somebody has to read the next piece meanwhile.  It
 * may write to the whole blocks alone: what is behind them is the caller's.
 */
static bool is_for_reader(const struct source_file *f, uint64_t length)
{
    return f->is_direct && length >= LARGE_READ && length % IO_ALIGN == 0;
}

static int file_read(struct source *s, char *buf, uint64_t disk_offset,
                     uint64_t length, struct error *err)
{
    struct source_file *f = file_of(s);
    STALL_WAIT_FOR(STALL_DISK, "the source");
    ssize_t got;

    if (is_for_reader(f, length)) {
        if (f->reader == NULL &&
            read_ahead_start(s->fd, &f->reader, err) == -1)
            return -1;
        read_ahead_ask(f->reader, buf, disk_offset, length);
        return 0;
    }
    /* The last sector may be in part behind the end. */
    got =
        io_pread_full(s->fd, buf, IO_ROUND_UP(length, IO_ALIGN), disk_offset);
    if (got == -1 || (uint64_t)got < length)
        return check_read(s, disk_offset, got, errno, err);
    return 0;
}

static uint64_t file_count(struct source *s)
{
    return file_of(s)->reader == NULL ? 0
                                      : read_ahead_count(file_of(s)->reader);
}

static int file_wait(struct source *s, uint64_t count, struct error *err)
{
    struct read_ahead_failure failure;
    STALL_WAIT_FOR(STALL_DISK, "the source");

    if (file_of(s)->reader == NULL ||
        read_ahead_wait(file_of(s)->reader, count, &failure) == 0)
        return 0;
    return check_read(s, failure.offset, failure.got, failure.errnum, err);
}

static int file_send(struct source *s, uint64_t disk_offset, uint64_t length,
                     struct sink *sink, struct error *err)
{
    const struct sink_from from = {
        .name = s->role,
        .unit = "disk",
        .fd = s->fd,
        .is_direct = file_of(s)->is_direct,
    };
    uint64_t sent;

    if (sink_send(sink, &from, disk_offset, length, &sent, err) == -1)
        return -1;
    return sent == length ? 0 : ended_early(s, disk_offset + sent, err);
}

/* Next data at or after disk_offset: [*from, *to).  Both are the size when
 * there is none.  Where nobody knows, all is data.
 */
static void next_data(const struct source *s, uint64_t disk_offset,
                      uint64_t *from, uint64_t *to)
{
    off_t data = lseek(s->fd, disk_offset, SEEK_DATA), hole;

    *from = *to = s->size;
    if (data == -1 && errno == ENXIO)
        return;
    /* Block devices and some file systems cannot tell, and say so in many
     * ways.  What else is wrong is met again when the disk is read.
     */
    hole = data == -1 ? -1 : lseek(s->fd, data, SEEK_HOLE);
    *from = data == -1 ? disk_offset : io_min(data, s->size);
    if (hole != -1)
        *to = io_min(hole, s->size);
}

/* A file's holes (SEEK_DATA, lseek(2)) are zeroes for certain; what is no
 * hole may be zeroes, too.
 */
static int file_find_data(struct source *s, struct extents *data, bool *is_map,
                          struct error *err)
{
    uint64_t at = 0;

    *is_map = false;
    while (at < s->size) {
        uint64_t from, to;

        next_data(s, at, &from, &to);
        if (from < to && extents_append(data, from, to - from, err) == -1)
            return -1;
        at = to;
    }
    return 0;
}

static void file_abandon(struct source *s)
{
    struct error ignored;

    file_wait(s, file_count(s), &ignored);
}

static void file_free(struct source *s)
{
    read_ahead_stop(file_of(s)->reader);
    cleanup_close_fd(&s->fd);
    free(s);
}

/* Not every file system has O_DIRECT; any other reason is met again. */
static int open_maybe_direct(const char *path, bool *is_direct)
{
    int fd = -1;

    if (*is_direct)
        fd = io_open_disk(path, O_DIRECT);
    *is_direct = fd != -1;
    return fd != -1 ? fd : io_open_disk(path, 0);
}

bool source_file_can_direct(const char *path)
{
    bool is_direct = true;
    int CLEANUP(close_fd) fd = open_maybe_direct(path, &is_direct);

    return fd != -1 && is_direct;
}

int source_file_open(const char *role, const char *path, bool is_direct,
                     struct source **source, struct error *err)
{
    static const struct source_ops ops = {
        .read = file_read,
        .count = file_count,
        .wait = file_wait,
        .abandon = file_abandon,
        .send = file_send,
        .find_data = file_find_data,
        .free = file_free,
    };
    int CLEANUP(close_fd) fd = -1;
    struct source_file *f;
    off_t end;

    fd = open_maybe_direct(path, &is_direct);
    if (fd == -1 && errno == ENOTBLK)
        return error_set(err, 0, "%s: %s is neither a file nor a block device",
                         role, path);
    if (fd == -1)
        return error_set(err, errno, "%s: cannot open %s", role, path);
    end = lseek(fd, 0, SEEK_END);
    if (end == -1)
        return error_set(err, errno, "%s: cannot tell the size of %s", role,
                         path);
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    f = malloc(sizeof *f);
    if (f == NULL)
        return error_set(err, errno, "%s: no memory", role);
    *f = (struct source_file){
        .source =
            {
                .ops = &ops,
                .role = role,
                .fd = steal_fd(&fd),
                .is_buffered = is_direct,
                .size = end,
                .disk_size = IO_ROUND_UP((uint64_t)end, IO_SECTOR),
            },
        .is_direct = is_direct,
    };
    *source = &f->source;
    return 0;
}
