/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Where an exported stream goes: a socket, a pipe or a file. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/signals.h"
#include "base/stall.h"
#include "base/tidy-fds.h"
#include "export/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* How long a reader that does not close its socket is waited for, and how
 * often it is looked at.
 */
enum { CLOSE_TIMEOUT_MS = 2000, CLOSE_STEP_MS = 20 };

void sink_address_clear(struct sink_address *address)
{
    free(address->path);
    free(address->socket_path);
    free(address->host);
    free(address->port);
    *address = (struct sink_address){.fd = STDIN_FILENO};
}

bool sink_address_is_fd(const struct sink_address *address)
{
    return address->path == NULL && address->socket_path == NULL &&
           address->host == NULL;
}

static int open_path(struct sink *s, const char *path)
{
    s->is_opened = true;
    s->fd = newfile_create(path, O_WRONLY, &s->made);
    if (s->fd == -1 && errno == EEXIST)
        s->fd = open(path, O_WRONLY | O_CLOEXEC);
    return s->fd == -1 ? -1 : 0;
}

static int connect_unix(struct sink *s, const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, ENAMETOOLONG, "destination: %s", path);
    strcpy(address.sun_path, path);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd == -1 ||
        connect(s->fd, (struct sockaddr *)&address, sizeof address) == -1)
        return error_set(err, errno, "destination: cannot connect to %s",
                         path);
    return 0;
}

/* Tries each of the host's addresses. */
static int connect_tcp(struct sink *s, const char *host, const char *port,
                       struct error *err)
{
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICSERV,
        .ai_socktype = SOCK_STREAM,
    };
    bool is_ipv6 = strchr(host, ':') != NULL; /* goes into brackets */
    struct addrinfo *found;
    char name[SINK_NAME];
    int r, errnum = 0;

    snprintf(name, sizeof name, is_ipv6 ? "[%s]:%s" : "%s:%s", host, port);
    r = getaddrinfo(host, port, &hints, &found);
    if (r != 0)
        return error_set(err, r == EAI_SYSTEM ? errno : 0,
                         "destination: cannot find %s: %s", name,
                         gai_strerror(r));
    for (struct addrinfo *a = found; a != NULL; a = a->ai_next) {
        s->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC,
                       a->ai_protocol);
        if (s->fd != -1 && connect(s->fd, a->ai_addr, a->ai_addrlen) == 0)
            break;
        errnum = errno;
        cleanup_close_fd(&s->fd);
        s->fd = -1;
        if (signals_caught() != 0)
            break;
    }
    freeaddrinfo(found);
    if (s->fd == -1)
        return error_set(err, errnum, "destination: cannot connect to %s",
                         name);
    return 0;
}

static int open_address(struct sink *s, const struct sink_address *address,
                        struct error *err)
{
    s->is_opened = true;
    if (address->path != NULL && open_path(s, address->path) == -1)
        return error_set(err, errno, "destination: cannot open %s",
                         address->path);
    if (address->path != NULL)
        return 0;
    if (address->socket_path != NULL)
        return connect_unix(s, address->socket_path, err);
    if (address->host != NULL)
        return connect_tcp(s, address->host, address->port, err);
    s->is_opened = false;
    s->fd = address->fd;
    return 0;
}

int sink_open(const struct sink_address *address, struct sink *s,
              struct error *err)
{
    char name[SINK_NAME];
    struct stat st;
    int flags;

    *s = (struct sink){
        .path = address->path,
        .fd = -1,
        .policy = CLAIM_FORCE,
        .held_fd = -1,
        .beginning_fd = -1,
    };
    if (sink_address_is_fd(address) && tidy_fds_was_closed(address->fd))
        return error_set(err, 0, "destination: standard %s is closed",
                         address->fd == STDERR_FILENO ? "error" : "output");
    if (open_address(s, address, err) == -1)
        return -1;
    if (fstat(s->fd, &st) == -1)
        return error_set(err, errno, "destination: fd %d", s->fd);
    s->is_file = S_ISREG(st.st_mode);
    s->is_disk = s->is_file || S_ISBLK(st.st_mode);
    mover_open(&s->mover, s->is_file);
    /* A large pipe takes a fifth less processor time; as it is will do, too.
     */
    if (S_ISFIFO(st.st_mode))
        (void)fcntl(s->fd, F_SETPIPE_SZ, (int)IO_PIECE);
    io_keep_alive(s->fd);
    flags = fcntl(s->fd, F_GETFL);
    if (flags == -1)
        return error_set(err, errno, "destination: fd %d", s->fd);
    if ((flags & O_ACCMODE) == O_RDONLY)
        return error_set(err, 0, "destination: %s is read-only",
                         sink_name(s, name));
    if (isatty(s->fd))
        return error_set(err, 0,
                         "destination: refusing to write an image to a "
                         "terminal");
    return 0;
}

void sink_set_checksum(struct sink *s, struct checksum *checksum)
{
    s->mover.checksum = checksum;
}

const char *sink_name(const struct sink *s, char name[SINK_NAME])
{
    if (s->path != NULL)
        snprintf(name, SINK_NAME, "%s", s->path);
    else if (s->fd == STDOUT_FILENO)
        snprintf(name, SINK_NAME, "standard output");
    else
        snprintf(name, SINK_NAME, "fd %d", s->fd);
    return name;
}

/* The fd may be anything: then only what is open there is known. */
static int claim(struct sink *s, struct error *err)
{
    char name[SINK_NAME];

    return claim_take(s->fd, sink_name(s, name), s->is_opened, s->policy,
                      &s->held_fd, err);
}

int sink_claim(struct sink *s, enum claim_policy policy, struct error *err)
{
    s->policy = policy;
    return claim(s, err);
}

static bool is_appending(const struct sink *s)
{
    return fcntl(s->fd, F_GETFL) & O_APPEND;
}

/* The same file, to be read.  Only an fd of its caller's without a right to
 * read takes /proc.
 */
static int open_beginning(struct sink *s, struct error *err)
{
    char name[SINK_NAME], link[64];
    int flags = fcntl(s->fd, F_GETFL);

    snprintf(link, sizeof link, "/proc/self/fd/%d", s->fd);
    if (flags != -1 && (flags & O_ACCMODE) == O_RDWR)
        s->beginning_fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
    else
        s->beginning_fd =
            open(s->path != NULL ? s->path : link, O_RDONLY | O_CLOEXEC);
    if (s->beginning_fd == -1)
        return error_set(err, errno,
                         "destination: cannot read what %s holds already",
                         sink_name(s, name));
    if (!io_is_same(s->beginning_fd, s->fd))
        return error_set(err, 0, "destination: %s is another file by now",
                         sink_name(s, name));
    return 0;
}

/* at is where its fd stands. */
static int aim_at_file(struct sink *s, uint64_t size, uint64_t at,
                       struct error *err)
{
    uint64_t to = s->file_offset;
    bool is_end = size == to && (at == 0 || at == to || is_appending(s));
    char name[SINK_NAME];

    if (to == 0 || size == 0)
        return 0;
    if (is_end || (size > to && at == to && !is_appending(s)))
        return open_beginning(s, err);
    if (at == 0)
        return error_set(err, 0,
                         "destination: %s has %" PRIu64 " bytes, and cannot "
                         "go on at file offset %" PRIu64,
                         sink_name(s, name), size, to);
    return error_set(err, 0,
                     "destination: %s has %" PRIu64
                     " bytes, stands at %" PRIu64
                     ", and cannot go on at file offset %" PRIu64,
                     sink_name(s, name), size, at, to);
}

static int aim_at_device(struct sink *s, uint64_t at, struct error *err)
{
    char name[SINK_NAME];
    uint64_t size;

    sink_name(s, name);
    if (is_appending(s))
        return error_set(err, 0, "destination: nothing can be appended to %s",
                         name);
    if (s->file_offset > 0 && at != 0 && at != s->file_offset)
        return error_set(err, 0,
                         "destination: %s stands at %" PRIu64
                         ", and cannot go on at file offset %" PRIu64,
                         name, at, s->file_offset);
    if (s->file_offset > 0)
        at = 0;
    if (ioctl(s->fd, BLKGETSIZE64, &size) == -1)
        return error_set(err, errno, "destination: cannot tell the size of %s",
                         name);
    if (at > size || s->length > size - at)
        return error_set(err, 0,
                         "destination: %s has %" PRIu64
                         " bytes, too few for an image of %" PRIu64,
                         name, size, s->length);
    return s->file_offset == 0 ? 0 : open_beginning(s, err);
}

int sink_aim(struct sink *s, uint64_t file_offset, uint64_t length,
             struct error *err)
{
    struct stat st;
    off_t at;

    s->file_offset = file_offset;
    s->length = length;
    if (!s->is_disk)
        return 0;
    at = lseek(s->fd, 0, SEEK_CUR);
    if (at == -1)
        return error_set(err, errno, "destination: cannot seek");
    if (!s->is_file)
        return aim_at_device(s, at, err);
    if (fstat(s->fd, &st) == -1)
        return error_set(err, errno, "destination: cannot tell its size");
    return aim_at_file(s, st.st_size, at, err);
}

int sink_begin(struct sink *s, struct error *err)
{
    char name[SINK_NAME];

    if (claim(s, err) == -1)
        return -1;
    if (s->beginning_fd != -1) {
        cleanup_close_fd(&s->beginning_fd);
        s->beginning_fd = -1;
        /* Appending needs none, but then it does no harm. */
        if (lseek(s->fd, s->file_offset, SEEK_SET) == -1)
            return error_set(err, errno, "destination: cannot go on in %s",
                             sink_name(s, name));
        return 0;
    }
    if (s->path != NULL && s->is_file && ftruncate(s->fd, 0) == -1)
        return error_set(err, errno, "destination: cannot empty %s", s->path);
    return 0;
}

static enum stall_kind kind_of(const struct sink *s)
{
    return s->is_disk ? STALL_DISK : STALL_PEER;
}

static int writing_failed(const struct sink *s, struct error *err)
{
    const char *what = errno == EPIPE || errno == ECONNRESET
                           ? "the reader left"
                           : "cannot write";

    if (s->length == 0) /* it is not planned yet: drip.h */
        return error_set(err, errno, "destination: %s at file offset %" PRIu64,
                         what, s->file_offset);
    return error_set(err, errno,
                     "destination: %s at file offset %" PRIu64 " of %" PRIu64,
                     what, s->file_offset, s->length);
}

static int reading_failed(const struct sink_from *from, uint64_t offset,
                          struct error *err)
{
    return error_set(err, errno, "%s: %s%scannot read at %s offset %" PRIu64,
                     from->name, from->path == NULL ? "" : from->path,
                     from->path == NULL ? "" : ": ", from->unit, offset);
}

static void note_sent(struct sink *s, uint64_t length)
{
    s->file_offset += length;
    if (s->progress != NULL)
        progress_set(s->progress, s->file_offset - s->progress_from);
    rate_spend(&s->rate, length);
}

int sink_send(struct sink *s, const struct sink_from *from, uint64_t offset,
              uint64_t length, uint64_t *sent, struct error *err)
{
    STALL_WAIT_FOR(kind_of(s), "the destination");

    *sent = 0;
    while (*sent < length) {
        enum mover_side side;
        ssize_t n =
            mover_move(&s->mover, from->fd, from->is_direct, offset + *sent,
                       rate_most(&s->rate, length - *sent), s->fd, &side);

        if (n == -1 && side == MOVER_WRITES)
            return writing_failed(s, err);
        if (n == -1)
            return reading_failed(from, offset + *sent, err);
        if (n == 0)
            break;
        *sent += n;
        note_sent(s, n);
    }
    return 0;
}

int sink_write(struct sink *s, const void *buf, size_t length,
               struct error *err)
{
    STALL_WAIT_FOR(kind_of(s), "the destination");

    for (size_t done = 0; done < length;) {
        ssize_t n = io_write_most(s->fd, (const char *)buf + done,
                                  rate_most(&s->rate, length - done));

        if (n == -1)
            return writing_failed(s, err);
        if (s->mover.checksum != NULL &&
            checksum_add(s->mover.checksum, (const char *)buf + done, n,
                         err) == -1)
            return -1;
        done += n;
        note_sent(s, n);
    }
    return 0;
}

int sink_send_zeroes(struct sink *s, uint64_t length, struct error *err)
{
    static const char zeroes[65536];

    while (length > 0) {
        uint64_t n = io_min(length, sizeof zeroes);

        if (sink_write(s, zeroes, n, err) == -1)
            return -1;
        length -= n;
    }
    return 0;
}

/* A socket that we close while there is something to read for us would be
 * reset, and what the reader has not got yet be lost.  So it has a moment to
 * close it first.
 */
static int finish_socket(struct sink *s, struct error *err)
{
    char buf[4096];

    if (shutdown(s->fd, SHUT_WR) == -1 && errno != ENOTCONN)
        return writing_failed(s, err);
    for (int left = CLOSE_TIMEOUT_MS; left > 0; left -= CLOSE_STEP_MS) {
        int ready = io_wait(s->fd, POLLIN, -1, CLOSE_STEP_MS);
        ssize_t n = ready == 1 ? io_read(s->fd, buf, sizeof buf) : ready;

        if (n == -1)
            return writing_failed(s, err);
        if (ready == 1 && n == 0)
            break;
    }
    return 0;
}

int sink_finish(struct sink *s, struct error *err)
{
    int fd = s->fd;
    STALL_WAIT_FOR(kind_of(s), "the destination");

    /* Only then is it known that a disk has taken it all. */
    if (s->is_disk && fdatasync(fd) == -1)
        return error_set(err, errno, "destination: cannot flush it");
    if (!s->is_opened)
        return 0;
    if (s->path == NULL && finish_socket(s, err) == -1)
        return -1;
    s->fd = -1;
    if (close(fd) == -1)
        return error_set(err, errno, "destination: cannot close it");
    if (newfile_keep(&s->made) == -1)
        return error_set(err, errno,
                         "destination: cannot flush the directory of %s",
                         s->path);
    return 0;
}

void sink_close(struct sink *s)
{
    newfile_remove(&s->made);
    if (s->is_opened)
        cleanup_close_fd(&s->fd);
    cleanup_close_fd(&s->held_fd);
    cleanup_close_fd(&s->beginning_fd);
    mover_close(&s->mover);
    *s = SINK_NONE;
}
