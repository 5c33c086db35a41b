/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A sparse file without a name, which QEMU sees through the bridge. */

/* Notes on the design
 *
 * The store is as long as the qcow2 file it stands for, and has holes where
 * that is not kept: its offsets are file offsets.
 *
 * On export QEMU writes a skeleton into it, an image with all of its
 * metadata and none of its data.  Data is written as zeroes, which arrive
 * here as requests to zero a range; what was never written is a hole
 * already, so nearly all of them cost nothing.  How far they reach is noted,
 * because a file that QEMU writes by itself ends there.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/compat.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/newfile.h"
#include "base/stall.h"
#include "nbd/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

struct store {
    int fd;
    const char *dir;
    pthread_mutex_t lock; /* of the failure */

    bool has_failed;
    struct error failure; /* the first one */

    uint64_t limit;       /* bytes; 0: none */
    uint64_t unmeasured;  /* export: bytes written since it was compared */
    uint64_t content_end; /* export: behind the last byte not a hole */
    uint64_t written_end; /* export: behind the last byte written */
    uint64_t read_end;    /* export: behind the last byte read */
};

int store_new(const char *dir, struct store **store, struct error *err)
{
    struct store *s = calloc(1, sizeof *s);

    if (s == NULL)
        return error_set(err, errno, "no memory for the store");
    s->dir = dir;
    s->fd = newfile_unnamed(dir);
    if (s->fd == -1) {
        error_set(err, errno, "spool: cannot make a file in %s", dir);
        free(s);
        return -1;
    }
    /* QEMU opens it by itself, which a caller's umask(2) may forbid. */
    if (fchmod(s->fd, 0600) == -1)
        errno = 0;
    pthread_mutex_init(&s->lock, NULL);
    *store = s;
    return 0;
}

uint64_t store_limit(struct store *s, uint64_t limit)
{
    struct statvfs fs;

    s->limit = limit;
    if (limit != STORE_HALF_FREE)
        return limit;
    /* A tmpfs(5) without a bound has no blocks at all. */
    s->limit = 0;
    if (fstatvfs(s->fd, &fs) == 0 && fs.f_blocks > 0)
        s->limit = io_max(IO_ALIGN, fs.f_bavail * fs.f_frsize / 2);
    return s->limit;
}

void store_free(struct store *s)
{
    if (s == NULL)
        return;
    close(s->fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int store_fd(const struct store *s)
{
    return s->fd;
}

/* Remembers the first failure; returns errno.  length bytes were to be moved.
 */
static int fail(struct store *s, const char *verb, uint64_t file_offset,
                uint64_t length)
{
    int errnum = errno;
    LOCK_FOR_SCOPE(&s->lock);

    if (!s->has_failed) {
        error_set(&s->failure, errnum,
                  "spool: cannot %s at file offset %" PRIu64, verb,
                  file_offset);
        store_explain_full(s, store_spooled(s) + length, &s->failure);
    }
    s->has_failed = true;
    return errnum;
}

/* The same, for a store that has reached its limit. */
static int fail_at_limit(struct store *s, uint64_t file_offset)
{
    LOCK_FOR_SCOPE(&s->lock);

    if (!s->has_failed)
        error_set(&s->failure, EDQUOT,
                  "spool: cannot write at file offset %" PRIu64
                  ", as it has reached the limit of %" PRIu64 " bytes",
                  file_offset, s->limit);
    s->has_failed = true;
    return EDQUOT;
}

int store_explain_full(const struct store *s, uint64_t needed,
                       struct error *err)
{
    bool is_quota = err->errnum == EDQUOT;

    /* QEMU, which may have been the writer, has the words only. */
    if (!is_quota && err->errnum != ENOSPC &&
        strstr(err->msg, strerror(ENOSPC)) == NULL)
        return -1;
    error_set(err, 0,
              "spool: no %s left in %s: %" PRIu64 " bytes were needed so far",
              is_quota ? "quota" : "space", s->dir, needed);
    err->errnum = is_quota ? EDQUOT : ENOSPC;
    return -1;
}

int store_check(struct store *s, struct error *err)
{
    LOCK_FOR_SCOPE(&s->lock);

    if (!s->has_failed)
        return 0;
    *err = s->failure;
    return -1;
}

/* As store_settle; errno says what is wrong. */
static int settle(int fd)
{
    struct statfs fs;
    /* sync_file_range(2) does not see the file that is below. */
    bool is_overlay =
        fstatfs(fd, &fs) == 0 && fs.f_type == OVERLAYFS_SUPER_MAGIC;

    if (!is_overlay) {
        if (sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE) == 0)
            return 0;
        /* Any other error is told once only. */
        if (errno != ENOSYS && errno != EINVAL && errno != ESPIPE)
            return -1;
    }
    /* It writes all out, which may be slow; but it tells. */
    return fdatasync(fd);
}

int store_settle(const struct store *s, struct error *err)
{
    STALL_WAIT_FOR(STALL_DISK, "the spool");

    if (settle(s->fd) == 0)
        return 0;
    error_set(err, errno, "spool: cannot keep what was written to it");
    return store_explain_full(s, store_spooled(s), err);
}

int store_clear(struct store *s, struct error *err)
{
    if (ftruncate(s->fd, 0) == -1)
        return error_set(err, errno, "spool: cannot empty it");
    s->content_end = s->written_end = s->read_end = 0;
    return 0;
}

uint64_t store_spooled(const struct store *s)
{
    struct stat st;

    if (fstat(s->fd, &st) == -1)
        return 0;
    return (uint64_t)st.st_blocks * 512;
}

/* Export: what QEMU does to the file. */

static int read_any(void *opaque, void *buf, uint32_t length,
                    uint64_t file_offset)
{
    struct store *s = opaque;
    ssize_t got = io_pread_full(s->fd, buf, length, file_offset);

    if (got == -1)
        return fail(s, "read", file_offset, length);
    memset((char *)buf + got, 0, length - got);
    s->read_end = io_max(s->read_end, file_offset + length);
    return 0;
}

/* Is there room for length bytes?  To ask the file system each time is slow.
 * So the limit may be exceeded by an eighth of it, or by IO_PIECE if that is
 * less.
 */
static bool has_room(struct store *s, uint32_t length)
{
    if (s->limit == 0)
        return true;
    s->unmeasured += length;
    if (s->unmeasured < io_min(IO_PIECE, s->limit / 8))
        return true;
    s->unmeasured = 0;
    return store_spooled(s) + length <= s->limit;
}

static int write_any(void *opaque, const void *buf, uint32_t length,
                     uint64_t file_offset)
{
    struct store *s = opaque;

    if (!has_room(s, length))
        return fail_at_limit(s, file_offset);
    if (io_pwrite_full(s->fd, buf, length, file_offset) == -1)
        return fail(s, "write", file_offset, length);
    s->content_end = io_max(s->content_end, file_offset + length);
    s->written_end = io_max(s->written_end, file_offset + length);
    return 0;
}

static int write_zeroes(struct store *s, uint32_t length, uint64_t file_offset)
{
    static const char zeroes[65536];

    while (length > 0) {
        size_t n = io_min(length, sizeof zeroes);

        if (io_pwrite_full(s->fd, zeroes, n, file_offset) == -1)
            return fail(s, "write", file_offset, length);
        file_offset += n;
        length -= n;
    }
    return 0;
}

static int zero_any(void *opaque, uint32_t length, uint64_t file_offset)
{
    struct store *s = opaque;
    uint64_t end = file_offset + length;

    s->written_end = io_max(s->written_end, end);
    if (file_offset >= s->content_end || length == 0)
        return 0;
    length = io_min(end, s->content_end) - file_offset;
    if (fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  file_offset, length) == 0)
        return 0;
    /* Not every file system can; whatever else is wrong is met again. */
    return write_zeroes(s, length, file_offset);
}

void store_show_writable(struct store *s, uint64_t size,
                         struct nbd_export *export)
{
    struct stat st;

    /* What qemu-img create wrote came here directly. */
    if (s->written_end == 0 && fstat(s->fd, &st) == 0)
        s->content_end = s->written_end = st.st_size;
    s->read_end = 0;
    *export = (struct nbd_export){
        .size = size,
        .is_writable = true,
        .read = read_any,
        .write = write_any,
        .zero = zero_any,
        .opaque = s,
    };
}

uint64_t store_written_end(const struct store *s)
{
    return s->written_end;
}

uint64_t store_read_end(const struct store *s)
{
    return s->read_end;
}

/* The end of the last content in a range of the file; from if there is none.
 */
static int find_content_end(const struct store *s, uint64_t from, uint64_t to,
                            uint64_t *end, struct error *err)
{
    char buf[4096];

    *end = from;
    for (uint64_t at = from; at < to;) {
        size_t n = io_min(to - at, sizeof buf);

        if (io_pread_full(s->fd, buf, n, at) == -1)
            return error_set(err, errno,
                             "spool: cannot read at file offset %" PRIu64, at);
        for (size_t i = n; i > 0; i--) {
            if (buf[i - 1] != 0) {
                *end = at + i;
                break;
            }
        }
        at += n;
    }
    return 0;
}

/* The next data of the file from at on, and its end; where no file system
 * tells, all up to the end may be.  False: there is no more.
 */
static bool next_data(const struct store *s, uint64_t at, uint64_t *from,
                      uint64_t *to)
{
    off_t data = lseek(s->fd, at, SEEK_DATA), hole = -1;
    struct stat st;

    if (data == -1 && errno == ENXIO)
        return false;
    if (data != -1)
        hole = lseek(s->fd, data, SEEK_HOLE);
    if (hole == -1 && fstat(s->fd, &st) == 0)
        hole = st.st_size;
    *from = data == -1 ? at : (uint64_t)data;
    *to = hole;
    return hole != -1 && *from < *to;
}

int store_find_content_end(const struct store *s, uint64_t from, uint64_t *end,
                           struct error *err)
{
    uint64_t data, hole = from;

    *end = from;
    while (next_data(s, hole, &data, &hole)) {
        uint64_t found;

        if (find_content_end(s, data, hole, &found, err) == -1)
            return -1;
        if (found > data)
            *end = found;
    }
    return 0;
}

bool store_punch(struct store *s, uint64_t file_offset, uint64_t length)
{
    /* Where this is not known the spool just stays as large. */
    return fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     file_offset, length) == 0;
}
