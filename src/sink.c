/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where an exported stream goes: a socket, a pipe or a file. */

#include "config.h"

#include "cleanup.h"
#include "io.h"
#include "signals.h"
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* With a reader that does not close. */
enum { PATIENCE_MS = 2000, STEP_MS = 20 };

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

int sink_split_tcp(const char *tcp, char **host, const char **port)
{
    const char *colon = strrchr(tcp, ':');
    const char *from = tcp, *end = colon;

    if (colon == NULL || colon == tcp || colon[1] == '\0')
        return -1;
    if (tcp[0] == '[' && colon[-1] == ']') {
        from++;
        end--;
    } else if (memchr(tcp, ':', colon - tcp) != NULL) {
        return -1; /* an IPv6 address would be ambiguous */
    }
    /* getaddrinfo(3) would take 70000 for 4464. */
    if (strlen(colon + 1) > 5 ||
        colon[1 + strspn(colon + 1, "0123456789")] != '\0' ||
        atoi(colon + 1) == 0 || atoi(colon + 1) > UINT16_MAX)
        return -1;
    *port = colon + 1;
    *host = from < end ? strndup(from, end - from) : NULL;
    return *host == NULL ? -1 : 0;
}

/* Tries each of the host's addresses. */
static int connect_tcp(struct sink *s, const char *tcp, struct error *err)
{
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICSERV,
        .ai_socktype = SOCK_STREAM,
    };
    char *CLEANUP(free_ptr) host = NULL;
    const char *port;
    struct addrinfo *found;
    int r, errnum = 0;

    if (sink_split_tcp(tcp, &host, &port) == -1)
        return error_set(err, 0, "destination: '%s' is not HOST:PORT", tcp);
    r = getaddrinfo(host, port, &hints, &found);
    if (r != 0)
        return error_set(err, r == EAI_SYSTEM ? errno : 0,
                         "destination: cannot find %s: %s", tcp,
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
                         tcp);
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
    if (address->tcp != NULL)
        return connect_tcp(s, address->tcp, err);
    s->is_opened = false;
    s->fd = address->fd;
    return 0;
}

int sink_open(const struct sink_address *address, struct sink *s,
              struct error *err)
{
    int flags;

    *s = (struct sink){
        .path = address->path,
        .fd = -1,
        .policy = CLAIM_FORCE,
        .held_fd = -1,
    };
    mover_open(&s->mover);
    if (open_address(s, address, err) == -1)
        return -1;
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

/* The fd may be anything: then only what is open there is known. */
static int claim(struct sink *s, struct error *err)
{
    char name[32];

    snprintf(name, sizeof name, "fd %d", s->fd);
    return claim_take(s->fd, s->path == NULL ? name : s->path, s->is_opened,
                      s->policy, &s->held_fd, err);
}

int sink_claim(struct sink *s, enum claim_policy policy, struct error *err)
{
    s->policy = policy;
    return claim(s, err);
}

/* A file that ends where the stream is to go on is the part that came before.
 */
static int begin_file(struct sink *s, const struct stat *st, struct error *err)
{
    if (s->file_offset == 0 || st->st_size == 0) {
        if (ftruncate(s->fd, 0) == -1)
            return error_set(err, errno, "destination: cannot empty %s",
                             s->path);
        return 0;
    }
    if ((uint64_t)st->st_size != s->file_offset)
        return error_set(err, 0,
                         "destination: %s has %" PRIu64 " bytes, and cannot "
                         "go on at file offset %" PRIu64,
                         s->path, (uint64_t)st->st_size, s->file_offset);
    if (lseek(s->fd, s->file_offset, SEEK_SET) == -1)
        return error_set(err, errno, "destination: cannot go on in %s",
                         s->path);
    return 0;
}

int sink_begin(struct sink *s, uint64_t file_offset, uint64_t length,
               struct error *err)
{
    struct stat st;

    s->file_offset = file_offset;
    s->length = length;
    if (claim(s, err) == -1)
        return -1;
    if (s->path != NULL && fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode))
        return begin_file(s, &st, err);
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

int sink_write(struct sink *s, const void *buf, size_t length,
               struct error *err)
{
    for (size_t done = 0; done < length;) {
        ssize_t n =
            io_write_most(s->fd, (const char *)buf + done, length - done);

        if (n == -1)
            return writing_failed(s, err);
        s->file_offset += n;
        done += n;
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
    for (int left = PATIENCE_MS; left > 0; left -= STEP_MS) {
        int ready = io_wait(s->fd, POLLIN, -1, STEP_MS);
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
    struct stat st;
    int fd = s->fd;

    /* Only then is it known that a disk has taken it all. */
    if (fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) &&
        fdatasync(fd) == -1)
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
    mover_close(&s->mover);
    *s = SINK_NONE;
}
