/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Whole reads and writes on fds that may be short, slow or non-blocking. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* After this long a write is tried that poll(2) does not promise to go on. */
enum { WRITE_AGAIN_MS = 1000 };

static atomic_ulong moves;
static _Thread_local bool is_ignored;

unsigned long io_moves(void)
{
    return atomic_load_explicit(&moves, memory_order_relaxed);
}

void io_moved(void)
{
    if (!is_ignored)
        atomic_fetch_add_explicit(&moves, 1, memory_order_relaxed);
}

void io_ignore_moves(void)
{
    is_ignored = true;
}

int io_poll(struct pollfd *fds, size_t count, int timeout_ms)
{
    struct pollfd all[IO_POLLED + 1] = {
        {.fd = signals_fd(), .events = POLLIN},
    };
    int n;

    memcpy(all + 1, fds, count * sizeof *fds);
    do
        n = poll(all, count + 1, timeout_ms);
    while (n == -1 && errno == EINTR && signals_caught() == 0);
    if (n == -1)
        return -1;
    if (all[0].revents != 0) {
        errno = EINTR;
        return -1;
    }
    memcpy(fds, all + 1, count * sizeof *fds);
    return n;
}

int io_wait(int fd, short events, int wake_fd, int timeout_ms)
{
    struct pollfd fds[] = {
        {.fd = fd, .events = events},
        {.fd = wake_fd, .events = POLLIN},
    };

    if (io_poll(fds, 2, timeout_ms) == -1)
        return -1;
    /* Anything on fd counts, errors too: the call that follows tells. */
    return fds[0].revents != 0 ? 1 : 0;
}

int io_wait_to_write(int fd)
{
    return io_wait(fd, POLLOUT, -1, WRITE_AGAIN_MS) == -1 ? -1 : 0;
}

/* After a call on fd failed with errno: is it worth trying again? */
static bool may_retry(int fd, short events)
{
    if (errno == EINTR)
        return signals_caught() == 0;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return (events == POLLOUT ? io_wait_to_write(fd)
                                  : io_wait(fd, events, -1, -1)) != -1;
    return false;
}

ssize_t io_read(int fd, void *buf, size_t length)
{
    ssize_t n;

    do
        n = read(fd, buf, length);
    while (n == -1 && may_retry(fd, POLLIN));
    if (n >= 0)
        io_moved();
    return n;
}

ssize_t io_read_full(int fd, void *buf, size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t n = io_read(fd, (char *)buf + done, length - done);

        if (n == -1)
            return -1;
        if (n == 0)
            break;
        done += n;
    }
    return done;
}

ssize_t io_write_most(int fd, const void *buf, size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t n = -1;

        /* A write that a signal cut short must not be gone on with. */
        errno = EINTR;
        if (signals_caught() == 0)
            n = write(fd, (const char *)buf + done, length - done);
        if (n == 0)
            errno = EIO; /* it would be tried for ever */
        if (n > 0) {
            io_moved();
            done += n;
        } else if (n == 0 || !may_retry(fd, POLLOUT)) {
            return done > 0 ? (ssize_t)done : -1;
        }
    }
    return done;
}

int io_write_full(int fd, const void *buf, size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t n = io_write_most(fd, (const char *)buf + done, length - done);

        if (n == -1)
            return -1;
        done += n;
    }
    return 0;
}

ssize_t io_pread_full(int fd, void *buf, size_t length, uint64_t offset)
{
    size_t done = 0;

    while (done < length) {
        ssize_t n =
            pread(fd, (char *)buf + done, length - done, offset + done);

        /* O_DIRECT refuses to go on inside a block, of whatever size it is:
         * the file ended there.
         */
        if (n == -1 && errno == EINVAL && done > 0 &&
            (offset + done) % IO_ALIGN != 0)
            break;
        if (n == -1) {
            if (may_retry(fd, POLLIN))
                continue;
            return -1;
        }
        if (n == 0)
            break;
        io_moved();
        done += n;
    }
    return done;
}

int io_pwrite_full(int fd, const void *buf, size_t length, uint64_t offset)
{
    const char *next = buf;

    while (length > 0) {
        ssize_t n = pwrite(fd, next, length, offset);

        if (n == -1) {
            if (may_retry(fd, POLLOUT))
                continue;
            return -1;
        }
        if (n == 0) {
            errno = EIO; /* it would be tried for ever */
            return -1;
        }
        io_moved();
        next += n;
        offset += n;
        length -= n;
    }
    return 0;
}

void io_keep_alive(int fd)
{
    const int on = 1, idle_s = 60, pause_s = 10, times = 6;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &pause_s, sizeof pause_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
}

void *io_alloc_aligned(size_t length)
{
    void *p;
    int r = posix_memalign(&p, IO_ALIGN, length);

    if (r != 0) {
        errno = r;
        return NULL;
    }
    return p;
}

bool io_is_zero(const void *buf, size_t length)
{
    const char *p = buf;

    /* All bytes are equal to the one before them, and the first is zero:
     * memcmp is as fast as anything the C library knows for this machine.
     */
    return length == 0 || (p[0] == 0 && memcmp(p, p + 1, length - 1) == 0);
}

int io_open_disk(const char *path, int flags)
{
    int CLEANUP(close_fd) at = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    char name[40];

    if (at == -1 || fstat(at, &st) == -1)
        return -1;
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        errno = ENOTBLK;
        return -1;
    }
    snprintf(name, sizeof name, "/proc/self/fd/%d", at);
    return open(name, O_RDONLY | O_CLOEXEC | flags);
}

size_t io_find_difference(const void *a, const void *b, size_t length)
{
    const unsigned char *p = a, *q = b;
    size_t i = 0;

    if (memcmp(p, q, length) == 0)
        return length;
    while (p[i] == q[i])
        i++;
    return i;
}

static void identify(const struct stat *st, struct io_file_id *id)
{
    *id = (struct io_file_id){st->st_dev, st->st_ino};
    if (S_ISBLK(st->st_mode))
        *id = (struct io_file_id){st->st_rdev, 0};
}

int io_identify(int fd, struct io_file_id *id)
{
    struct stat st;

    if (fstat(fd, &st) == -1)
        return -1;
    identify(&st, id);
    return 0;
}

int io_identify_path(const char *path, struct io_file_id *id)
{
    struct stat st;

    if (stat(path, &st) == -1)
        return -1;
    identify(&st, id);
    return 0;
}

bool io_is_write_only(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags != -1 && (flags & O_ACCMODE) == O_WRONLY;
}

bool io_is_same_id(const struct io_file_id *a, const struct io_file_id *b)
{
    return a->device == b->device && a->inode == b->inode;
}

bool io_is_same(int fd, int other_fd)
{
    struct io_file_id a, b;

    return io_identify(fd, &a) == 0 && io_identify(other_fd, &b) == 0 &&
           io_is_same_id(&a, &b);
}

bool io_is_same_file(const char *path, const char *other)
{
    struct stat st, other_st;
    struct io_file_id a, b;

    if (stat(path, &st) == -1 || stat(other, &other_st) == -1)
        return false;
    identify(&st, &a);
    identify(&other_st, &b);
    return (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) &&
           io_is_same_id(&a, &b);
}
