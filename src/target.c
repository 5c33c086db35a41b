/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The disk that an imported stream lands on. */

#include "config.h"

#include "cleanup.h"
#include "io.h"
#include "signals.h"
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* One call at most zeroes this much, so that a signal is seen in time. */
#define ZERO_PIECE (UINT64_C(1) << 30)

/* Is the directory of path there?  *err says so if not. */
static int check_directory(const char *path, struct error *err)
{
    char *CLEANUP(free_ptr) dir = strdup(path);
    char *slash = dir == NULL ? NULL : strrchr(dir, '/');
    struct stat st;

    if (dir == NULL)
        return error_set(err, errno, "destination: name");
    if (slash != NULL)
        slash[slash == dir ? 1 : 0] = '\0';
    if (stat(slash == NULL ? "." : dir, &st) == -1)
        return error_set(err, errno, "destination: cannot create %s", path);
    return 0;
}

static int measure(struct target *t, struct error *err)
{
    struct stat st;
    off_t end;
    int block, is_read_only;

    if (fstat(t->fd, &st) == -1)
        return error_set(err, errno, "destination: %s", t->path);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return error_set(err, 0,
                         "destination: %s is neither a file nor a block "
                         "device",
                         t->path);
    t->is_device = S_ISBLK(st.st_mode);
    if (t->is_device && ioctl(t->fd, BLKROGET, &is_read_only) == 0 &&
        is_read_only)
        return error_set(err, EROFS, "destination: %s", t->path);
    end = lseek(t->fd, 0, SEEK_END);
    if (end == -1)
        return error_set(err, errno, "destination: cannot tell the size of %s",
                         t->path);
    t->size = end;
    if (t->is_device && ioctl(t->fd, BLKSSZGET, &block) == 0 && block > 0)
        t->block = block;
    return 0;
}

int target_open(const char *path, bool is_direct, struct target *t,
                struct error *err)
{
    *t = (struct target){
        .path = path,
        .fd = -1,
        .direct_fd = -1,
        .block = IO_ALIGN,
        .size = UINT64_MAX,
        .can_zero = true,
    };
    t->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (t->fd == -1 && errno == ENOENT)
        return check_directory(path, err);
    if (t->fd == -1)
        return error_set(err, errno, "destination: cannot open %s", path);
    if (measure(t, err) == -1)
        return -1;
    if (is_direct) /* where there is none, it is done without */
        t->direct_fd = open(path, O_RDWR | O_CLOEXEC | O_DIRECT);
    return 0;
}

int target_create(struct target *t, uint64_t disk_size, struct error *err)
{
    if (t->fd != -1)
        return 0;
    t->fd = open(t->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (t->fd == -1)
        return error_set(err, errno, "destination: cannot create %s", t->path);
    t->is_created = true;
    t->size = disk_size;
    if (ftruncate(t->fd, disk_size) == -1)
        return error_set(err, errno,
                         "destination: cannot make %s %" PRIu64 " bytes long",
                         t->path, disk_size);
    return 0;
}

static bool is_aligned(const struct target *t, const void *buf, size_t length,
                       uint64_t disk_offset)
{
    return (uintptr_t)buf % IO_ALIGN == 0 && length % t->block == 0 &&
           disk_offset % t->block == 0;
}

int target_write(struct target *t, const void *buf, size_t length,
                 uint64_t disk_offset, struct error *err)
{
    int fd = t->fd;

    if (t->direct_fd != -1 && is_aligned(t, buf, length, disk_offset))
        fd = t->direct_fd;
    if (io_pwrite_full(fd, buf, length, disk_offset) == -1)
        return error_set(err, errno,
                         "destination: cannot write at disk offset %" PRIu64,
                         disk_offset);
    return 0;
}

/* Lets the kernel zero a range; false: it does not know how. */
static bool zero_by_kernel(struct target *t, uint64_t disk_offset,
                           uint64_t length)
{
    uint64_t range[2] = {disk_offset, length};

    if (t->is_device)
        return ioctl(t->fd, BLKZEROOUT, range) == 0;
    return fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     disk_offset, length) == 0 ||
           fallocate(t->fd, FALLOC_FL_ZERO_RANGE, disk_offset, length) == 0;
}

static int zero_by_writing(struct target *t, uint64_t disk_offset,
                           uint64_t length, struct error *err)
{
    static const char zeroes[1 << 18] __attribute__((aligned(IO_ALIGN)));

    while (length > 0) {
        size_t n = io_min(length, sizeof zeroes);

        if (target_write(t, zeroes, n, disk_offset, err) == -1)
            return -1;
        disk_offset += n;
        length -= n;
    }
    return 0;
}

int target_zero(struct target *t, uint64_t disk_offset, uint64_t length,
                struct error *err)
{
    while (length > 0) {
        uint64_t in_block = disk_offset % t->block;
        uint64_t n = io_min(length, ZERO_PIECE);

        if (signals_caught() != 0)
            return error_set(err, EINTR, "destination");
        if (in_block != 0 || n < t->block) {
            /* Less than the kernel zeroes on a device: write it. */
            n = io_min(n, t->block - in_block);
            if (zero_by_writing(t, disk_offset, n, err) == -1)
                return -1;
        } else {
            n = IO_ROUND_DOWN(n, t->block);
            t->can_zero = t->can_zero && zero_by_kernel(t, disk_offset, n);
            if (!t->can_zero && zero_by_writing(t, disk_offset, n, err) == -1)
                return -1;
        }
        disk_offset += n;
        length -= n;
    }
    return 0;
}

int target_finish(struct target *t, struct error *err)
{
    int fd;

    if (fsync(t->fd) == -1)
        return error_set(err, errno, "destination: cannot flush %s", t->path);
    fd = steal_fd(&t->fd);
    if (close(fd) == -1)
        return error_set(err, errno, "destination: cannot close %s", t->path);
    t->is_created = false;
    return 0;
}

void target_close(struct target *t)
{
    if (t->is_created)
        unlink(t->path);
    cleanup_close_fd(&t->fd);
    cleanup_close_fd(&t->direct_fd);
    *t = (struct target){.fd = -1, .direct_fd = -1};
}
