/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Preloaded, makes files as those of a file system that knows little. */

/* POOR_TMPFILE and POOR_SEEK are the errno values that O_TMPFILE and SEEK_DATA
 * give then.  A file whose path ends with POOR_DIRECT cannot be opened with
 * O_DIRECT.  POOR_KEEPING is the errno value of what was written and then
 * lost: sync_file_range(2) tells.  With POOR_SIGNAL that signal comes when a
 * temporary file has just got its name.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int value(const char *name)
{
    const char *text = getenv(name);

    return text == NULL ? 0 : atoi(text);
}

static bool has_no_direct(const char *path)
{
    const char *end = getenv("POOR_DIRECT");
    char real[PATH_MAX];
    size_t length;

    if (realpath(path, real) != NULL) /* of /proc/self/fd/N, too */
        path = real;
    length = strlen(path);
    return end != NULL && length >= strlen(end) &&
           strcmp(path + length - strlen(end), end) == 0;
}

static int open_poorly(const char *real, const char *path, int flags, int mode)
{
    int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, real);

    if ((flags & O_TMPFILE) == O_TMPFILE && value("POOR_TMPFILE") != 0) {
        errno = value("POOR_TMPFILE");
        return -1;
    }
    if ((flags & O_DIRECT) != 0 && has_no_direct(path)) {
        errno = EINVAL;
        return -1;
    }
    return next(path, flags, mode);
}

#define OPEN(name)                                                            \
    int name(const char *path, int flags, ...)                                \
    {                                                                         \
        va_list ap;                                                           \
        int mode;                                                             \
                                                                              \
        va_start(ap, flags);                                                  \
        mode = va_arg(ap, int);                                               \
        va_end(ap);                                                           \
        return open_poorly(#name, path, flags, mode);                         \
    }

OPEN(open)
OPEN(open64)

#define LSEEK(name)                                                           \
    off_t name(int fd, off_t offset, int whence)                              \
    {                                                                         \
        off_t (*next)(int, off_t, int) = dlsym(RTLD_NEXT, #name);             \
                                                                              \
        if ((whence == SEEK_DATA || whence == SEEK_HOLE) &&                   \
            value("POOR_SEEK") != 0) {                                        \
            errno = value("POOR_SEEK");                                       \
            return -1;                                                        \
        }                                                                     \
        return next(fd, offset, whence);                                      \
    }

LSEEK(lseek)
LSEEK(lseek64)

int sync_file_range(int fd, off64_t offset, off64_t count, unsigned flags)
{
    int (*next)(int, off64_t, off64_t, unsigned) =
        dlsym(RTLD_NEXT, "sync_file_range");

    if (value("POOR_KEEPING") == 0)
        return next(fd, offset, count, flags);
    errno = value("POOR_KEEPING");
    return -1;
}

/* Where it is asked instead. */
int fdatasync(int fd)
{
    int (*next)(int) = dlsym(RTLD_NEXT, "fdatasync");

    if (value("POOR_KEEPING") == 0)
        return next(fd);
    errno = value("POOR_KEEPING");
    return -1;
}

#define MKOSTEMP(name)                                                        \
    int name(char *path, int flags)                                           \
    {                                                                         \
        int (*next)(char *, int) = dlsym(RTLD_NEXT, #name);                   \
        int fd = next(path, flags);                                           \
                                                                              \
        if (value("POOR_SIGNAL") != 0)                                        \
            kill(getpid(), value("POOR_SIGNAL"));                             \
        return fd;                                                            \
    }

MKOSTEMP(mkostemp)
MKOSTEMP(mkostemp64)
