/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The disk that an imported stream lands on: a raw file or block device. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/stall.h"
#include "import/foreign.h"
#include "import/target-file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static struct target_file *file_of(struct target *t)
{
    return (struct target_file *)t;
}

/* Is the directory of path there?  *err says so if not.  Where a symbolic link
 * leads to is seen when the file is made.
 */
static int check_directory(const char *path, struct error *err)
{
    char *CLEANUP(free_ptr) dir = newfile_directory(path);
    struct stat st;

    if (dir == NULL)
        return error_set(err, errno, "destination: name");
    if (stat(dir, &st) == -1)
        return error_set(err, errno, "destination: cannot create %s", path);
    return 0;
}

/* What O_DIRECT wants of a file, where the kernel tells (statx(2)). */
static uint64_t direct_block(int fd)
{
#ifdef STATX_DIOALIGN
    struct statx stx;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
        (stx.stx_mask & STATX_DIOALIGN) && stx.stx_dio_offset_align > 0)
        return io_max(stx.stx_dio_offset_align, stx.stx_dio_mem_align);
#else
    (void)fd;
#endif
    return IO_ALIGN;
}

static int measure(struct target_file *t, struct error *err)
{
    struct stat st;
    off_t end;
    int block, is_read_only;

    if (fstat(t->target.fd, &st) == -1)
        return error_set(err, errno, "destination: %s", t->path);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return error_set(err, 0,
                         "destination: %s is neither a file nor a block "
                         "device",
                         t->path);
    t->is_device = S_ISBLK(st.st_mode);
    if (t->is_device && ioctl(t->target.fd, BLKROGET, &is_read_only) == 0 &&
        is_read_only)
        return error_set(err, EROFS, "destination: %s", t->path);
    end = lseek(t->target.fd, 0, SEEK_END);
    if (end == -1)
        return error_set(err, errno, "destination: cannot tell the size of %s",
                         t->path);
    t->target.size = end;
    t->block = direct_block(t->target.fd);
    if (t->is_device && ioctl(t->target.fd, BLKSSZGET, &block) == 0 &&
        block > 0)
        t->block = block;
    return 0;
}

/* Where there is no O_DIRECT it is done without. */
static void open_direct(struct target_file *t)
{
    if (t->is_direct)
        t->direct_fd = open(t->path, O_RDWR | O_CLOEXEC | O_DIRECT);
    /* The name may stand for another file by now. */
    if (t->direct_fd != -1 && !io_is_same(t->target.fd, t->direct_fd))
        close(steal_fd(&t->direct_fd));
}

static int open_file(struct target_file *t, struct error *err)
{
    t->target.fd = open(t->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (t->target.fd == -1 && errno == ENOENT)
        return check_directory(t->path, err);
    if (t->target.fd == -1)
        return error_set(err, errno, "destination: cannot open %s", t->path);
    if (measure(t, err) == -1)
        return -1;
    open_direct(t);
    return 0;
}

static int claim(struct target_file *t, struct error *err)
{
    if (t->target.fd == -1)
        return 0;
    return claim_take(t->target.fd, t->path, true, t->policy, &t->held_fd,
                      err);
}

/* A raw disk in a file may begin as an image does, because a guest wrote that
 * onto it.  It is rare enough to ask for --force.  On a device it is not: it
 * is used again and again, for whatever disk.
 */
static int spare_image(const struct target_file *t, struct error *err)
{
    unsigned char bytes[FOREIGN_IMAGE_BYTES];
    const char *image = NULL;
    ssize_t n = 0;

    if (t->target.fd != -1 && !t->is_device && t->policy != CLAIM_FORCE)
        n = io_pread_full(t->target.fd, bytes, sizeof bytes, 0);
    if (n > 0)
        image = foreign_find_image(bytes, n);
    if (image == NULL)
        return 0;
    if (t->policy == CLAIM_REFUSE)
        return error_set(err, 0,
                         "destination: %s holds %s, which would be "
                         "overwritten as a raw disk (--force does so)",
                         t->path, image);
    log_notice("warning: %s holds %s, which is overwritten as a raw disk",
               t->path, image);
    return 0;
}

static int file_claim(struct target *target, enum claim_policy policy,
                      struct error *err)
{
    struct target_file *t = file_of(target);

    t->policy = policy;
    return claim(t, err) == -1 || spare_image(t, err) == -1 ? -1 : 0;
}

static int file_create(struct target *target, uint64_t disk_size,
                       struct error *err)
{
    struct target_file *t = file_of(target);
    bool is_here = t->target.fd != -1;

    if (is_here && !t->is_growing)
        return 0;
    if (!is_here)
        t->target.fd = newfile_create(t->path, O_RDWR, &t->made);
    if (t->target.fd == -1)
        return error_set(err, errno, "destination: cannot create %s", t->path);
    /* Somebody else was faster, and may have written to it. */
    if (!is_here && t->made.path == NULL)
        return error_set(err, EEXIST, "destination: cannot create %s",
                         t->path);
    t->target.is_created = true;
    t->target.made_path = t->made.path;
    if (claim(t, err) == -1)
        return -1;
    t->target.size = disk_size;
    t->block = direct_block(t->target.fd);
    if (!is_here)
        open_direct(t);
    if (ftruncate(t->target.fd, disk_size) == -1)
        return error_set(err, errno,
                         "destination: cannot make %s %" PRIu64 " bytes long",
                         t->path, disk_size);
    return 0;
}

static int write_failed(uint64_t disk_offset, struct error *err)
{
    return error_set(err, errno,
                     "destination: cannot write at disk offset %" PRIu64,
                     disk_offset);
}

/* Through the page cache, beside O_DIRECT: less than a block, at an end. */
static int write_edge(struct target_file *t, const char *buf, size_t length,
                      uint64_t disk_offset, struct error *err)
{
    if (length == 0)
        return 0;

    WRITE_LOCK_FOR_SCOPE(&t->edges);
    if (io_pwrite_full(t->target.fd, buf, length, disk_offset) == -1 ||
        sync_file_range(t->target.fd, disk_offset, length,
                        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                            SYNC_FILE_RANGE_WAIT_AFTER) == -1)
        return write_failed(disk_offset, err);
    return 0;
}

static int write_blocks(struct target_file *t, const char *buf, size_t length,
                        uint64_t disk_offset, struct error *err)
{
    if (length == 0)
        return 0;

    READ_LOCK_FOR_SCOPE(&t->edges);
    if (io_pwrite_full(t->direct_fd, buf, length, disk_offset) == -1)
        return write_failed(disk_offset, err);
    return 0;
}

static int file_write(struct target *target, const void *buf, size_t length,
                      uint64_t disk_offset, struct error *err)
{
    struct target_file *t = file_of(target);
    const char *p = buf;
    uint64_t in_block = disk_offset % t->block;
    uint64_t head = 0, blocks;
    STALL_WAIT_FOR(STALL_DISK, "the destination");

    if (t->direct_fd == -1) {
        if (io_pwrite_full(t->target.fd, buf, length, disk_offset) == -1)
            return write_failed(disk_offset, err);
        return 0;
    }
    if (in_block != 0)
        head = io_min(length, t->block - in_block);
    blocks = IO_ROUND_DOWN(length - head, t->block);
    if ((uintptr_t)buf % t->block != in_block)
        return write_edge(t, p, length, disk_offset, err);
    if (write_edge(t, p, head, disk_offset, err) == -1 ||
        write_blocks(t, p + head, blocks, disk_offset + head, err) == -1)
        return -1;
    return write_edge(t, p + head + blocks, length - head - blocks,
                      disk_offset + head + blocks, err);
}

/* Does nobody want it any more? */
static int check_wanted(const struct target_file *t, struct error *err)
{
    if (signals_caught() != 0)
        return error_set(err, EINTR, "destination");
    if (t->is_cancelled)
        return error_set(err, ECANCELED, "destination");
    return 0;
}

/* A piece may take a slow disk minutes: so it ends between two writes. */
static int zero_by_writing(struct target_file *t, uint64_t disk_offset,
                           uint64_t length, struct error *err)
{
    static const char zeroes[1 << 18] __attribute__((aligned(IO_ALIGN)));

    while (length > 0) {
        size_t n = io_min(length, sizeof zeroes);

        if (check_wanted(t, err) == -1 ||
            file_write(&t->target, zeroes, n, disk_offset, err) == -1)
            return -1;
        disk_offset += n;
        length -= n;
    }
    return 0;
}

static int file_zero(struct target *target, uint64_t disk_offset,
                     uint64_t length, struct error *err)
{
    struct target_file *t = file_of(target);
    STALL_WAIT_FOR(STALL_DISK, "the destination");

    while (length > 0) {
        uint64_t in_block = disk_offset % t->block;
        uint64_t n = io_min(length, zeroing_piece(&t->zeroing));

        if (check_wanted(t, err) == -1)
            return -1;
        if (in_block != 0 || n < t->block) {
            /* Less than the kernel zeroes on a device: write it. */
            n = io_min(n, t->block - in_block);
            if (zero_by_writing(t, disk_offset, n, err) == -1)
                return -1;
        } else {
            n = IO_ROUND_DOWN(n, t->block);
            if (!zeroing_by_kernel(&t->zeroing, t->target.fd, disk_offset,
                                   n) &&
                zero_by_writing(t, disk_offset, n, err) == -1)
                return -1;
            io_moved();
        }
        disk_offset += n;
        length -= n;
    }
    return 0;
}

static void file_cancel(struct target *target)
{
    file_of(target)->is_cancelled = true;
}

/* Where the disk is elsewhere, closing may be what tells of a failure. */
static int close_written(int *fd)
{
    return *fd == -1 ? 0 : close(steal_fd(fd));
}

static int file_finish(struct target *target, struct error *err)
{
    struct target_file *t = file_of(target);
    STALL_WAIT_FOR(STALL_DISK, "the destination");

    if (fsync(t->target.fd) == -1)
        return error_set(err, errno, "destination: cannot flush %s", t->path);
    if (close_written(&t->direct_fd) == -1 ||
        close_written(&t->target.fd) == -1)
        return error_set(err, errno, "destination: cannot close %s", t->path);
    if (newfile_keep(&t->made) == -1)
        return error_set(err, errno,
                         "destination: cannot flush the directory of %s",
                         t->path);
    return 0;
}

static void file_close(struct target *target)
{
    struct target_file *t = file_of(target);

    newfile_remove(&t->made);
    cleanup_close_fd(&t->target.fd);
    cleanup_close_fd(&t->direct_fd);
    cleanup_close_fd(&t->held_fd);
    pthread_rwlock_destroy(&t->edges);
    free(t);
}

int target_file_open(const char *path, const struct target_file_how *how,
                     struct target **target, struct error *err)
{
    static const struct target_ops ops = {
        .claim = file_claim,
        .create = file_create,
        .write = file_write,
        .zero = file_zero,
        .cancel = file_cancel,
        .finish = file_finish,
        .close = file_close,
    };
    struct target_file *t = calloc(1, sizeof *t);

    if (t == NULL)
        return error_set(err, errno, "destination: no memory");
    *t = (struct target_file){
        .target = {.ops = &ops,
                   .fd = -1,
                   .size = UINT64_MAX,
                   .piece = IO_PIECE},
        .path = path,
        .direct_fd = -1,
        .block = IO_ALIGN,
        .zeroing = zeroing_begin,
        .policy = CLAIM_FORCE,
        .held_fd = -1,
        .is_direct = how->is_direct,
    };
    t->zeroing.is_refused[ZEROING_PUNCH_HOLE] = how->keeps_space;
    pthread_rwlock_init(&t->edges, NULL);
    if (open_file(t, err) == -1) {
        file_close(&t->target);
        return -1;
    }
    if (how->may_grow && t->target.size == 0) {
        t->is_growing = true;
        t->target.size = UINT64_MAX;
    }
    *target = &t->target;
    return 0;
}
