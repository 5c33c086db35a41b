/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Whole reads and writes on fds that may be short, slow or non-blocking. */

#ifndef QT_IO_H
#define QT_IO_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* These know neither end nor offset, so they set errno and the caller, who
 * does, fills the error.  A noted signal is EINTR.  Lengths and offsets are
 * in bytes.
 */

/* The largest piece moved by one call anywhere: long enough for full speed,
 * short enough that progress moves and a signal is seen.
 */
#define IO_PIECE (UINT64_C(1) << 20)

#define IO_ALIGN 4096 /* of buffers and lengths with O_DIRECT */
#define IO_SECTOR 512 /* every size of a qcow2 disk is a multiple */

#define IO_ROUND_DOWN(n, unit) ((n) / (unit) * (unit))
#define IO_ROUND_UP(n, unit) IO_ROUND_DOWN((n) + (unit)-1, unit)

static inline bool io_is_power_of_two(uint64_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static inline uint64_t io_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t io_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* poll(2), which a noted signal ends with -1 and EINTR.  count is IO_POLLED at
 * most; timeout_ms may be -1 for none.
 */
enum { IO_POLLED = 8 };

int io_poll(struct pollfd *fds, size_t count, int timeout_ms);

/* Waits until fd has one of events (poll(2)), wake_fd (-1 for none) is
 * readable, timeout_ms (-1 for none) has passed, or a signal is noted.
 * Returns 1 for fd, 0 for wake_fd or the time, -1 and errno otherwise.
 */
int io_wait(int fd, short events, int wake_fd, int timeout_ms);

/* Waits until a write may go on, or is worth a try: a full Unix socket whose
 * reader has shut down its end, and stays, never becomes writable, and only a
 * write tells.  Returns 0, or -1 and errno when a signal is noted.
 */
int io_wait_to_write(int fd);

/* Reads what there is, waiting for the first byte.  Returns 0 at the end. */
ssize_t io_read(int fd, void *buf, size_t length);

/* open(2), to read a file or block device.  Anything else is not opened: a
 * FIFO would wait for its other end, and some devices do things.  errno is
 * ENOTBLK then.  flags: besides O_RDONLY and O_CLOEXEC.
 */
int io_open_disk(const char *path, int flags);

/* Reads length bytes, fewer only at the end; returns how many. */
ssize_t io_read_full(int fd, void *buf, size_t length);

/* Writes length bytes, fewer only if it then fails: so will the next call.
 * Returns how many; -1 instead of 0.
 */
ssize_t io_write_most(int fd, const void *buf, size_t length);

int io_write_full(int fd, const void *buf, size_t length);

/* Reads length bytes from offset on, fewer only at the end of the file. */
ssize_t io_pread_full(int fd, void *buf, size_t length, uint64_t offset);

int io_pwrite_full(int fd, const void *buf, size_t length, uint64_t offset);

/* How often a byte has moved since we began: all of the above count, and who
 * moves bytes otherwise says so.  For stall.h.
 */
unsigned long io_moves(void);
void io_moved(void);

/* What this thread moves from now on does not count: it keeps somebody waiting
 * and is no progress.
 */
void io_ignore_moves(void);

/* Has the kernel notice, within minutes, that the other end of a TCP
 * connection is gone for good.  Of no effect on anything else.
 */
void io_keep_alive(int fd);

/* A buffer of length bytes, aligned for O_DIRECT; free() it.  NULL: errno. */
void *io_alloc_aligned(size_t length);

bool io_is_zero(const void *buf, size_t length);

/* How many bytes both begin with alike; length if they do not differ. */
size_t io_find_difference(const void *a, const void *b, size_t length);

/* Which file, device, pipe or socket something is, whatever its name.  A
 * device may have several nodes.
 */
struct io_file_id {
    dev_t device;
    ino_t inode; /* 0: it is the device */
};

/* 0, or -1 and errno. */
int io_identify(int fd, struct io_file_id *id);
int io_identify_path(const char *path, struct io_file_id *id);

bool io_is_same_id(const struct io_file_id *a, const struct io_file_id *b);

/* Nothing can be read from such an fd.  If it is a pipe, poll(2) waits for
 * that for ever.
 */
bool io_is_write_only(int fd);

/* Are both open on one? */
bool io_is_same(int fd, int other_fd);

/* Are both names of one regular file or block device? */
bool io_is_same_file(const char *path, const char *other);

#endif
