/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A file that we make, and remove again unless all goes well. */

#include "config.h"

#include "base/cleanup.h"
#include "base/compat.h"
#include "base/error.h"
#include "base/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { TRIES = 1000 }; /* of names */

/* Does the name still stand for that file? */
static bool is_still(const char *path, dev_t dev, ino_t ino)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_dev == dev &&
           st.st_ino == ino;
}

/* A symbolic link that leads to nothing? */
static bool is_dangling(const char *path)
{
    struct stat st;

    return stat(path, &st) == -1 && errno == ENOENT && lstat(path, &st) == 0 &&
           S_ISLNK(st.st_mode);
}

/* With O_EXCL a link is not followed.  Without, the file may have been made by
 * somebody else just now: then it is theirs, if there is anything in it.
 */
static int create_named_by(const char *link, int flags, bool *is_made)
{
    int fd = open(link, flags | O_CREAT | O_CLOEXEC, 0666);
    struct stat st;

    *is_made = fd != -1 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
               st.st_size == 0;
    return fd;
}

/* It could not be removed later, so it is now.  Returns -1; errno stays. */
static int give_up(int fd, const char *path)
{
    int errnum = errno;

    if (path != NULL)
        unlink(path);
    close(fd);
    errno = errnum;
    return -1;
}

/* Notes in *made what fd is, and that *name is its name; that is taken over.
 * Returns fd, or -1 and errno: then fd is closed, and path, if any, removed.
 */
static int keep_in_mind(int fd, char **name, const char *path,
                        struct newfile *made)
{
    struct stat st;

    if (*name == NULL || fstat(fd, &st) == -1)
        return give_up(fd, path);
    *made = (struct newfile){STEAL_PTR(*name), st.st_dev, st.st_ino};
    return fd;
}

int newfile_create(const char *path, int flags, struct newfile *made)
{
    int fd = open(path, flags | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool is_made = fd != -1, is_link = false;
    char *CLEANUP(free_ptr) name = NULL;

    *made = (struct newfile){0};
    if (fd == -1 && errno == EEXIST) {
        is_link = is_dangling(path);
        if (!is_link) {
            errno = EEXIST;
            return -1;
        }
        fd = create_named_by(path, flags, &is_made);
    }
    if (!is_made)
        return fd;
    name = is_link ? realpath(path, NULL) : strdup(path);
    return keep_in_mind(fd, &name, is_link ? NULL : path, made);
}

char *newfile_directory(const char *path)
{
    char *dir = strdup(path);
    char *slash = dir == NULL ? NULL : strrchr(dir, '/');

    if (slash != NULL)
        slash[slash == dir ? 1 : 0] = '\0';
    else if (dir != NULL)
        strcpy(dir, ".");
    return dir;
}

/* Most other errors say that there is no such thing as flushing it. */
static bool is_failure(int errnum)
{
    return errnum == EIO || errnum == ENOSPC || errnum == EDQUOT ||
           error_is_shortage(errnum);
}

int newfile_keep(struct newfile *made)
{
    char *CLEANUP(free_ptr) dir = NULL;
    int CLEANUP(close_fd) fd = -1;

    if (made->path == NULL)
        return 0;
    dir = newfile_directory(made->path);
    if (dir != NULL)
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if ((fd == -1 || fsync(fd) == -1) && is_failure(errno))
        return -1;
    free(STEAL_PTR(made->path));
    return 0;
}

/* Who may write to dir can make files there before us, but not of a billion
 * names: the last part is of the moment.
 */
static char *name_within(const char *dir)
{
    struct timespec now;
    char *name;

    clock_gettime(CLOCK_REALTIME, &now);
    return asprintf(&name, "%s/.qcow-tool.%d.%ld", dir, (int)getpid(),
                    now.tv_nsec) == -1
               ? NULL
               : name;
}

int newfile_begin(const char *path, int flags, struct newfile *made)
{
    char *CLEANUP(free_ptr) dir = newfile_directory(path);

    *made = (struct newfile){0};
    for (unsigned i = 0; dir != NULL && i < TRIES; i++) {
        char *CLEANUP(free_ptr) name = name_within(dir);
        int fd = -1;

        /* A link there would be that of somebody else: none is followed. */
        if (name != NULL)
            fd = open(name, flags | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd != -1)
            return keep_in_mind(fd, &name, name, made);
        if (name == NULL || errno != EEXIST)
            break;
    }
    return -1;
}

/* rename(2), which does not replace anything. */
static int give_name(const char *from, const char *to)
{
    if (compat_rename(from, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    /* Not every file system can do that. */
    return link(from, to) == -1 ? -1 : unlink(from);
}

int newfile_publish(struct newfile *made, const char *path, bool may_replace)
{
    char *name = strdup(path);

    if (name == NULL)
        return -1;
    if (may_replace ? rename(made->path, path) == -1
                    : give_name(made->path, path) == -1) {
        free(name);
        return -1;
    }
    free(made->path);
    made->path = name;
    return newfile_keep(made);
}

void newfile_remove(struct newfile *made)
{
    char *CLEANUP(free_ptr) path = STEAL_PTR(made->path);

    if (path != NULL && is_still(path, made->dev, made->ino))
        unlink(path);
}

static int create_and_unlink(char *name)
{
    int CLEANUP(close_fd) fd = mkostemp(name, O_CLOEXEC);
    struct stat st;

    if (fd == -1 || fstat(fd, &st) == -1)
        return -1;
    if (is_still(name, st.st_dev, st.st_ino) && unlink(name) == -1)
        return -1;
    return steal_fd(&fd);
}

int newfile_unnamed(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char *CLEANUP(free_ptr) name = NULL;
    sigset_t all, before;
    int errnum;

    /* Kernels and file systems have many ways to say that they do not know
     * O_TMPFILE; any other reason is met again.
     */
    if (fd != -1 || asprintf(&name, "%s/qcow-tool.XXXXXX", dir) == -1)
        return fd;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    fd = create_and_unlink(name);
    errnum = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = errnum;
    return fd;
}
