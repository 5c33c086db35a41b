/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The fds that we were started with, made safe. */

#include "config.h"

#include "base/tidy-fds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* CLOSE_RANGE_CLOEXEC of linux/close_range.h, which is young. */
enum { TIDY_CLOSE_RANGE_CLOEXEC = 1 << 2 };

/* All fds from first on become close on exec.  Kernels before 5.11, and
 * system call filters, do not know how to do that at once.
 */
static int close_on_exec_from(int first)
{
    struct dirent *entry;
    DIR *dir;

#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, ~0U, TIDY_CLOSE_RANGE_CLOEXEC) == 0)
        return 0;
#endif
    dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return -1;
    while ((entry = readdir(dir)) != NULL) {
        int fd = atoi(entry->d_name);

        if (fd >= first && fd != dirfd(dir))
            fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    closedir(dir);
    return 0;
}

static bool was_closed[STDERR_FILENO + 1];

bool tidy_fds_was_closed(int fd)
{
    return fd >= 0 && fd <= STDERR_FILENO && was_closed[fd];
}

int tidy_fds_stdout_failed(struct error *err)
{
    if (tidy_fds_was_closed(STDOUT_FILENO))
        return error_set(err, 0, "standard output is closed");
    return error_set(err, errno, "cannot write to standard output");
}

int tidy_fds(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        /* The lowest free number is the closed one, as all below are open.
         * Open for the wrong direction, it still fails those that use it.
         */
        int flags = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

        was_closed[fd] = fcntl(fd, F_GETFD) == -1;
        if (was_closed[fd] && open("/dev/null", flags) == -1)
            return -1;
    }
    return close_on_exec_from(STDERR_FILENO + 1);
}
