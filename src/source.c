/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The disk to export: a raw file or block device. */

#include "config.h"

#include "cleanup.h"
#include "io.h"
#include "signals.h"
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

static int open_maybe_direct(const char *path, bool *is_direct)
{
    int fd = -1;

    if (*is_direct)
        fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
    if (*is_direct && fd == -1 && errno != EINVAL)
        return -1;
    *is_direct = fd != -1;
    return fd != -1 ? fd : open(path, O_RDONLY | O_CLOEXEC);
}

int source_open(const char *path, bool is_direct, struct source *s,
                struct error *err)
{
    int CLEANUP(close_fd) fd = -1;
    struct stat st;
    off_t end;

    /* Opening a FIFO would wait for its other end. */
    if (stat(path, &st) == -1)
        return error_set(err, errno, "source: cannot open %s", path);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return error_set(err, 0,
                         "source: %s is neither a file nor a block device",
                         path);
    fd = open_maybe_direct(path, &is_direct);
    if (fd == -1)
        return error_set(err, errno, "source: cannot open %s", path);
    end = lseek(fd, 0, SEEK_END);
    if (end == -1)
        return error_set(err, errno, "source: cannot tell the size of %s",
                         path);
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    *s = (struct source){
        .path = path,
        .fd = steal_fd(&fd),
        .is_direct = is_direct,
        .size = end,
        .disk_size = IO_ROUND_UP((uint64_t)end, IO_SECTOR),
    };
    return 0;
}

/* Next data at or after disk_offset: [*from, *to).  Both are the size when
 * there is none.  Where nobody knows, all is data.
 */
static int next_data(const struct source *s, uint64_t disk_offset,
                     uint64_t *from, uint64_t *to, struct error *err)
{
    off_t data = lseek(s->fd, disk_offset, SEEK_DATA), hole;

    *from = *to = s->size;
    if (data == -1 && errno == ENXIO)
        return 0;
    if (data == -1 && errno == EINVAL) { /* a block device, at times */
        *from = disk_offset;
        return 0;
    }
    hole = data == -1 ? -1 : lseek(s->fd, data, SEEK_HOLE);
    if (hole == -1)
        return error_set(err, errno,
                         "source: cannot find data at disk offset %" PRIu64,
                         disk_offset);
    *from = data;
    *to = io_min(hole, s->size);
    return 0;
}

/* Appends what is not zero of the length bytes in buf, which stand at
 * disk_offset.  Granules are aligned on the disk, not in buf.
 */
static int append_data(const char *buf, uint64_t disk_offset, uint64_t length,
                       uint64_t granule, struct extents *data,
                       struct error *err)
{
    while (length > 0) {
        uint64_t n = io_min(length, granule - disk_offset % granule);

        if (!io_is_zero(buf, n) &&
            extents_append(data, disk_offset, n, err) == -1)
            return -1;
        buf += n;
        disk_offset += n;
        length -= n;
    }
    return 0;
}

static int scan_range(const struct source *s, uint64_t from, uint64_t to,
                      uint64_t granule, char *buf, struct progress *progress,
                      struct extents *data, struct error *err)
{
    for (uint64_t at = from; at < to;) {
        /* Aligned pieces: for O_DIRECT, and no granule is cut in two. */
        uint64_t skip = at % IO_ALIGN;
        uint64_t end = io_min(to, IO_ROUND_DOWN(at + 2 * IO_PIECE, granule));
        uint64_t wanted = IO_ROUND_UP(end - at + skip, IO_ALIGN);
        ssize_t got = io_pread_full(s->fd, buf, wanted, at - skip);

        if (signals_caught() != 0)
            return error_set(err, EINTR, "source");
        if (got == -1)
            return error_set(err, errno,
                             "source: cannot read at disk offset %" PRIu64,
                             at);
        if ((uint64_t)got < end - at + skip)
            return error_set(err, 0,
                             "source: shrank to %" PRIu64
                             " bytes while being read",
                             at - skip + got);
        if (append_data(buf + skip, at, end - at, granule, data, err) == -1)
            return -1;
        at = end;
        progress_set(progress, at);
    }
    return 0;
}

int source_scan(const struct source *s, uint64_t granule,
                struct progress *progress, struct source_map *map,
                struct error *err)
{
    char *CLEANUP(free_ptr) buf =
        io_alloc_aligned(2 * IO_PIECE + 2 * IO_ALIGN);
    uint64_t at = 0;

    if (buf == NULL)
        return error_set(err, errno, "source: buffer");
    while (at < s->size) {
        uint64_t from, to;

        if (next_data(s, at, &from, &to, err) == -1)
            return -1;
        if (from < to &&
            (extents_append(&map->status, from, to - from, err) == -1 ||
             scan_range(s, from, to, granule, buf, progress, &map->data,
                        err) == -1))
            return -1;
        at = to;
        progress_set(progress, at);
    }
    return 0;
}

int source_send(const struct source *s, uint64_t disk_offset, uint64_t length,
                struct sink *sink, struct error *err)
{
    const struct sink_from from = {
        .name = "source",
        .unit = "disk",
        .fd = s->fd,
        .is_direct = s->is_direct,
    };
    uint64_t there = 0, sent = 0;

    if (disk_offset < s->size)
        there = io_min(length, s->size - disk_offset);
    if (sink_send(sink, &from, disk_offset, there, &sent, err) == -1)
        return -1;
    if (sent < there)
        return error_set(err, 0,
                         "source: ended at disk offset %" PRIu64
                         " while being read",
                         disk_offset + sent);
    return sink_send_zeroes(sink, length - there, err);
}

void source_close(struct source *s)
{
    cleanup_close_fd(&s->fd);
    *s = (struct source){.fd = -1};
}

void source_map_clear(struct source_map *map)
{
    extents_clear(&map->status);
    extents_clear(&map->data);
}
