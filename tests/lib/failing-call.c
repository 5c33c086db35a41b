/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Preloaded, makes one call of a program to the C library or kernel fail.
 *
 *     FAULT_FAMILY  which calls are counted: a name of family_names below
 *     FAULT_NTH     the number of the one that fails, from 1 on; 0: none
 *     FAULT_ERRNO   its errno; 0: it moves half of what it could, and with
 *                   O_DIRECT whole blocks of that
 *     FAULT_TIMES   how many calls fail from there on (1); 0: all of them
 *     FAULT_SIGNAL  not a call fails then, but a signal of that number comes
 *     FAULT_TO      "program", or "children": to the one that was started last
 *                   and runs, as soon as there is one
 *     FAULT_IN      "program", or "children": between their fork and exec,
 *                   counted over all of them
 *     FAULT_SPARE   names of libraries whose calls do not fail, which are said
 *                   to be spared then: "libjson-c libseccomp"
 *     FAULT_LOG     file that says what has failed, or was spared, and from
 *                   where it was called; if nothing was, how often each family
 *                   was
 *
 * Counting begins with main.  What the program starts is left alone: the
 * variables are gone by then.  What a library calls within itself, past the
 * dynamic linker, is not seen.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum family {
    MEMORY,
    OPEN,
    STAT,
    SEEK,
    READ,
    WRITE,
    SIZE,
    SYNC,
    CLOSE,
    CHANNEL,
    START,
    WAIT,
    CONTROL,
    CAGE, /* what a cage is made of: src/base/cage-*.c */
    ANY,  /* of those above but MEMORY */
    FAMILIES
};

static const char *const family_names[FAMILIES] = {
    [MEMORY] = "memory",   [OPEN] = "open",   [STAT] = "stat",
    [SEEK] = "seek",       [READ] = "read",   [WRITE] = "write",
    [SIZE] = "size",       [SYNC] = "sync",   [CLOSE] = "close",
    [CHANNEL] = "channel", [START] = "start", [WAIT] = "wait",
    [CONTROL] = "control", [CAGE] = "cage",   [ANY] = "any",
};

enum { LOG_SIZE = 8192, FRAMES = 24, NEAR = 6, BLOCK = 4096 };

static struct {
    bool is_armed, is_in_children, is_child;
    bool is_to_children; /* the signal */
    int signal;          /* 0: none */
    int family, errnum;
    unsigned nth, times;
    const char *spare;
    atomic_int last_child; /* that has not been reaped; 0: none */
    char *text;            /* the log, LOG_SIZE bytes, shared */
    atomic_uint *calls;    /* of each family, shared */
    int (*main)(int, char **, char **);
} fault;

static _Thread_local bool is_busy;

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void *shared_memory(size_t length, int fd)
{
    void *p = mmap(NULL, length, PROT_READ | PROT_WRITE,
                   MAP_SHARED | (fd == -1 ? MAP_ANONYMOUS : 0), fd, 0);

    if (p == MAP_FAILED)
        abort();
    return p;
}

static unsigned number(const char *name, unsigned fallback)
{
    const char *text = getenv(name);

    return text == NULL ? fallback : strtoul(text, NULL, 10);
}

/* ------------------------------------------------------------- to log it */

static void add_text(const char *format, ...)
{
    size_t length = strlen(fault.text);
    va_list ap;

    va_start(ap, format);
    vsnprintf(fault.text + length, LOG_SIZE - length, format, ap);
    va_end(ap);
}

/* Is one of the callers next to us in a library that is spared?  It may have
 * called the C library, which calls us.
 */
static bool is_spared(void *const *frames, int count)
{
    char list[200];

    if (fault.spare == NULL)
        return false;
    for (int i = 0; i < count && i < NEAR; i++) {
        Dl_info info = {0};

        if (dladdr(frames[i], &info) == 0)
            continue;
        snprintf(list, sizeof list, "%s", fault.spare);
        for (char *rest, *name = strtok_r(list, " ", &rest); name != NULL;
             name = strtok_r(NULL, " ", &rest))
            if (strstr(info.dli_fname, name) != NULL)
                return true;
    }
    return false;
}

static void log_frames(void *const *frames, int count)
{
    for (int i = 0; i < count; i++) {
        Dl_info info = {0};

        dladdr(frames[i], &info);
        add_text("    %s+%#lx %s\n",
                 info.dli_fname == NULL ? "?" : info.dli_fname,
                 (unsigned long)((char *)frames[i] - (char *)info.dli_fbase),
                 info.dli_sname == NULL ? "" : info.dli_sname);
    }
}

/* What failed first, on what, and who called it.  False: this one must not. */
static bool log_failure(const char *call, int fd)
{
    void *frames[FRAMES];
    char link[64], target[256] = "-";
    int count = backtrace(frames, FRAMES);
    bool is_to_fail = !is_spared(frames, count);
    ssize_t n = -1;

    if (fd != -1) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, target, sizeof target - 1);
    }
    if (n > 0)
        target[n] = '\0';
    if (fault.text[0] == '\0') {
        add_text("%s%s %s\n", is_to_fail ? "" : "spared ", call, target);
        log_frames(frames, count);
    }
    return is_to_fail;
}

__attribute__((destructor)) static void log_counts(void)
{
    if (!fault.is_armed || fault.text[0] != '\0')
        return;
    for (int i = 0; i < FAMILIES; i++)
        add_text("%s %u\n", family_names[i], fault.calls[i]);
}

/* Is it among those that are to fail?  A signal that found nobody yet still
 * comes.
 */
static bool is_counted_out(enum family family)
{
    unsigned n = atomic_fetch_add(&fault.calls[family], 1) + 1;

    if ((int)family != fault.family || fault.nth == 0 || n < fault.nth)
        return false;
    return fault.signal != 0 || fault.times == 0 ||
           n - fault.nth < fault.times;
}

/* Instead of a failure, and once. */
static void send_signal(const char *call, int fd)
{
    int to = fault.is_to_children ? atomic_load(&fault.last_child) : getpid();

    if (to == 0 || fault.text[0] != '\0')
        return;
    log_failure(call, fd);
    kill(to, fault.signal);
}

/* Half of it; with O_DIRECT no kernel stops within a block. */
static size_t part_of(size_t length, int fd)
{
    int flags = NEXT(fcntl)(fd, F_GETFL);

    if (flags == -1 || !(flags & O_DIRECT))
        return (length + 1) / 2;
    return length / 2 / BLOCK * BLOCK;
}

/* Does this call fail?  errno is set then.  *length is what it moves, and may
 * become less.
 */
static bool fails(enum family family, const char *call, int fd, size_t *length)
{
    bool is_to_fail = true, is_it;

    if (!fault.is_armed || is_busy || fault.is_child != fault.is_in_children)
        return false;
    is_it = is_counted_out(family);
    is_it = (family != MEMORY && is_counted_out(ANY)) || is_it;
    if (!is_it)
        return false;
    is_busy = true;
    if (fault.signal != 0)
        send_signal(call, fd);
    else if (fault.errnum == 0 &&
             (length == NULL || *length < 2 || part_of(*length, fd) == 0))
        is_to_fail = false;
    else
        is_to_fail = log_failure(call, fd);
    is_busy = false;
    if (fault.signal != 0 || !is_to_fail)
        return false;
    errno = fault.errnum;
    if (fault.errnum != 0)
        return true;
    *length = part_of(*length, fd);
    return false;
}

/* ------------------------------------------------------------ to begin it */

static int counted_main(int argc, char **argv, char **envp)
{
    static const char *const variables[] = {
        "LD_PRELOAD",  "FAULT_FAMILY", "FAULT_NTH",   "FAULT_ERRNO",
        "FAULT_TIMES", "FAULT_IN",     "FAULT_SPARE", "FAULT_SIGNAL",
        "FAULT_TO",    "FAULT_LOG",
    };
    const char *family = getenv("FAULT_FAMILY"), *in = getenv("FAULT_IN");
    const char *to = getenv("FAULT_TO");
    void *frames[FRAMES];
    int fd = open(getenv("FAULT_LOG"), O_RDWR | O_CREAT | O_TRUNC, 0600);

    if (fd == -1 || ftruncate(fd, LOG_SIZE) == -1)
        abort();
    fault.text = shared_memory(LOG_SIZE, fd);
    close(fd);
    fault.calls = shared_memory(FAMILIES * sizeof *fault.calls, -1);
    fault.family = FAMILIES;
    for (int i = 0; i < FAMILIES; i++)
        if (family != NULL && strcmp(family, family_names[i]) == 0)
            fault.family = i;
    fault.nth = number("FAULT_NTH", 0);
    fault.times = number("FAULT_TIMES", 1);
    fault.errnum = number("FAULT_ERRNO", EIO);
    fault.signal = number("FAULT_SIGNAL", 0);
    fault.is_to_children = to != NULL && strcmp(to, "children") == 0;
    fault.is_in_children = in != NULL && strcmp(in, "children") == 0;
    fault.spare = getenv("FAULT_SPARE");
    if (fault.spare != NULL)
        fault.spare = strdup(fault.spare);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    backtrace(frames, FRAMES); /* loads what it needs now */
    fault.is_armed = true;
    return fault.main(argc, argv, envp);
}

int __libc_start_main(int (*main)(int, char **, char **), int argc,
                      char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end);

int __libc_start_main(int (*main)(int, char **, char **), int argc,
                      char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end)
{
    fault.main = main;
    return NEXT(__libc_start_main)(counted_main, argc, argv, init, fini,
                                   rtld_fini, stack_end);
}

/* ----------------------------------------------------------------- memory */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    return fails(MEMORY, "malloc", -1, NULL) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(MEMORY, "calloc", -1, NULL) ? NULL
                                             : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails(MEMORY, "realloc", -1, NULL) ? NULL
                                              : __libc_realloc(old, size);
}

int posix_memalign(void **p, size_t alignment, size_t size)
{
    if (fails(MEMORY, "posix_memalign", -1, NULL))
        return errno;
    *p = __libc_memalign(alignment, size);
    return *p == NULL ? ENOMEM : 0;
}

/* ------------------------------------------------- with an fd, or without */

/* Defines a call that returns -1, or whatever FAILURE is. */
#define CALL_OR(failure, family, result, name, fd, parameters, arguments)     \
    result name parameters                                                    \
    {                                                                         \
        if (fails(family, #name, fd, NULL))                                   \
            return failure;                                                   \
        return NEXT(name) arguments;                                          \
    }
#define CALL(family, result, name, fd, parameters, arguments)                 \
    CALL_OR(-1, family, result, name, fd, parameters, arguments)

/* One that moves n bytes, or fewer. */
#define MOVE(family, name, fd, parameters, arguments)                         \
    ssize_t name parameters                                                   \
    {                                                                         \
        if (fails(family, #name, fd, &n))                                     \
            return -1;                                                        \
        return NEXT(name) arguments;                                          \
    }

/* One with an argument that need not be there. */
#define OPEN_CALL(name)                                                       \
    int name(const char *path, int flags, ...)                                \
    {                                                                         \
        va_list ap;                                                           \
        int mode;                                                             \
                                                                              \
        va_start(ap, flags);                                                  \
        mode = va_arg(ap, int);                                               \
        va_end(ap);                                                           \
        if (fails(OPEN, #name, -1, NULL))                                     \
            return -1;                                                        \
        return NEXT(name)(path, flags, mode);                                 \
    }

#define CONTROL_CALL(name, request_type)                                      \
    int name(int fd, request_type request, ...)                               \
    {                                                                         \
        va_list ap;                                                           \
        void *argument;                                                       \
                                                                              \
        va_start(ap, request);                                                \
        argument = va_arg(ap, void *);                                        \
        va_end(ap);                                                           \
        if ((int)request != F_GETFD && fails(CONTROL, #name, fd, NULL))       \
            return -1;                                                        \
        return NEXT(name)(fd, request, argument);                             \
    }

OPEN_CALL(open)
OPEN_CALL(open64)

DIR *opendir(const char *path)
{
    return fails(OPEN, "opendir", -1, NULL) ? NULL : NEXT(opendir)(path);
}

char *mkdtemp(char *path)
{
    return fails(OPEN, "mkdtemp", -1, NULL) ? NULL : NEXT(mkdtemp)(path);
}

CALL_OR(NULL, OPEN, FILE *, fopen, -1, (const char *path, const char *mode),
        (path, mode))
CALL(OPEN, int, mkostemp, -1, (char *path, int flags), (path, flags))
CALL_OR(NULL, OPEN, char *, realpath, -1, (const char *path, char *to),
        (path, to))
CALL(CONTROL, int, unlink, -1, (const char *path), (path))
CALL(CONTROL, int, unlinkat, dir, (int dir, const char *path, int flags),
     (dir, path, flags))
CALL(CONTROL, int, link, -1, (const char *from, const char *to), (from, to))
CALL(CONTROL, int, symlinkat, dir, (const char *to, int dir, const char *path),
     (to, dir, path))
CALL(CONTROL, int, rename, -1, (const char *from, const char *to), (from, to))
CALL(CONTROL, int, fchmod, fd, (int fd, mode_t mode), (fd, mode))
CALL(CONTROL, int, fchown, fd, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))

CALL(STAT, int, stat, -1, (const char *path, struct stat *st), (path, st))
CALL(STAT, int, lstat, -1, (const char *path, struct stat *st), (path, st))
CALL(STAT, int, fstat, fd, (int fd, struct stat *st), (fd, st))
CALL(STAT, int, statx, fd,
     (int fd, const char *path, int flags, unsigned mask, struct statx *st),
     (fd, path, flags, mask, st))
CALL(STAT, int, fstatfs, fd, (int fd, struct statfs *st), (fd, st))
CALL(STAT, int, fstatvfs, fd, (int fd, struct statvfs *st), (fd, st))
CALL(STAT, int, access, -1, (const char *path, int mode), (path, mode))

CALL(SEEK, off_t, lseek, fd, (int fd, off_t offset, int whence),
     (fd, offset, whence))

MOVE(READ, read, fd, (int fd, void *buf, size_t n), (fd, buf, n))
MOVE(READ, pread, fd, (int fd, void *buf, size_t n, off_t offset),
     (fd, buf, n, offset))
MOVE(READ, recv, fd, (int fd, void *buf, size_t n, int flags),
     (fd, buf, n, flags))

MOVE(WRITE, write, fd, (int fd, const void *buf, size_t n), (fd, buf, n))
MOVE(WRITE, pwrite, fd, (int fd, const void *buf, size_t n, off_t offset),
     (fd, buf, n, offset))
MOVE(WRITE, send, fd, (int fd, const void *buf, size_t n, int flags),
     (fd, buf, n, flags))
MOVE(WRITE, sendfile, out, (int out, int in, off_t *offset, size_t n),
     (out, in, offset, n))

CALL(SIZE, int, ftruncate, fd, (int fd, off_t length), (fd, length))
CALL(SIZE, int, fallocate, fd, (int fd, int mode, off_t from, off_t length),
     (fd, mode, from, length))

CALL(SYNC, int, fsync, fd, (int fd), (fd))
CALL(SYNC, int, fdatasync, fd, (int fd), (fd))
CALL(SYNC, int, sync_file_range, fd,
     (int fd, off_t from, off_t length, unsigned flags),
     (fd, from, length, flags))
int close(int fd)
{
    bool is_lost = fails(CLOSE, "close", fd, NULL);
    int errnum = errno;
    int r = NEXT(close)(fd);

    /* Linux has closed it whatever it says. */
    if (is_lost)
        errno = errnum;
    return is_lost ? -1 : r;
}

CALL(CHANNEL, int, pipe2, -1, (int fds[2], int flags), (fds, flags))
CALL(CHANNEL, int, socket, -1, (int domain, int type, int protocol),
     (domain, type, protocol))
CALL(CHANNEL, int, socketpair, -1,
     (int domain, int type, int protocol, int fds[2]),
     (domain, type, protocol, fds))
CALL(CONTROL, int, bind, fd,
     (int fd, const struct sockaddr *address, socklen_t length),
     (fd, address, length))
CALL(CONTROL, int, connect, fd,
     (int fd, const struct sockaddr *address, socklen_t length),
     (fd, address, length))
CALL(CONTROL, int, listen, fd, (int fd, int backlog), (fd, backlog))
CALL_OR(EAI_SYSTEM, CONTROL, int, getaddrinfo, -1,
        (const char *host, const char *port, const struct addrinfo *hints,
         struct addrinfo **found),
        (host, port, hints, found))
CALL(CONTROL, int, getsockname, fd,
     (int fd, struct sockaddr *address, socklen_t *length),
     (fd, address, length))
CALL(CHANNEL, int, eventfd, -1, (unsigned count, int flags), (count, flags))
CALL(CHANNEL, int, memfd_create, -1, (const char *name, unsigned flags),
     (name, flags))
CALL(CHANNEL, int, dup2, from, (int from, int to), (from, to))
CALL(CONTROL, int, setsockopt, fd,
     (int fd, int level, int name, const void *value, socklen_t length),
     (fd, level, name, value, length))
CALL(CONTROL, int, shutdown, fd, (int fd, int how), (fd, how))

CALL_OR(errno, START, int, pthread_create, -1,
        (pthread_t * thread, const pthread_attr_t *attributes,
         void *(*run)(void *), void *opaque),
        (thread, attributes, run, opaque))

pid_t fork(void)
{
    pid_t pid;

    if (fails(START, "fork", -1, NULL))
        return -1;
    pid = NEXT(fork)();
    if (pid == 0)
        fault.is_child = true;
    else
        atomic_store(&fault.last_child, pid == -1 ? 0 : pid);
    return pid;
}

CALL(WAIT, int, poll, -1, (struct pollfd * fds, nfds_t n, int timeout),
     (fds, n, timeout))
pid_t waitpid(pid_t pid, int *status, int options)
{
    pid_t reaped;
    int last;

    if (fails(WAIT, "waitpid", -1, NULL))
        return -1;
    reaped = NEXT(waitpid)(pid, status, options);
    last = reaped;
    if (reaped > 0)
        atomic_compare_exchange_strong(&fault.last_child, &last, 0);
    return reaped;
}

CONTROL_CALL(fcntl, int)
CONTROL_CALL(fcntl64, int)
CONTROL_CALL(ioctl, unsigned long)
CALL(CONTROL, int, setpgid, -1, (pid_t pid, pid_t group), (pid, group))

#include "failing-cage.h"
