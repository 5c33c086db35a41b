/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What a child of ours does until it is another program. */

#include "config.h"

#include "base/become.h"
#include "base/io.h"
#include "base/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LISTEN_FD = 3 }; /* sd_listen_fds(3) */

/* SIGXFSZ is ignored: who writes more is told so. */
static int limit_files(uint64_t bytes)
{
    struct rlimit limit;

    if (bytes == 0)
        return 0;
    if (getrlimit(RLIMIT_FSIZE, &limit) == -1)
        return -1;
    limit.rlim_cur = io_min(bytes, limit.rlim_cur);
    return setrlimit(RLIMIT_FSIZE, &limit);
}

_Noreturn void become(const struct child_spec *spec, const struct cage *cage,
                      struct environment *environment, pid_t parent, int in,
                      int out, int err, int status_fd)
{
    struct cage_complaint failure = {.part = CAGE_NO_PART};
    int moved;

    signals_reset_in_child();
    /* A terminal's ^C is for us to handle, and none is there for it to write
     * or type to.
     */
    if (setsid() == -1)
        goto fail;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    if (in == -1)
        in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (out == -1)
        out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (in == -1 || out == -1 || dup2(in, STDIN_FILENO) == -1 ||
        dup2(out, STDOUT_FILENO) == -1 || dup2(err, STDERR_FILENO) == -1)
        goto fail;
    for (size_t i = 0; i < spec->n_inherit; i++)
        if (fcntl(spec->inherit[i], F_SETFD, 0) == -1)
            goto fail;
    if (spec->listen_fd != 0) {
        /* The status pipe may stand where that is to be. */
        if (status_fd == LISTEN_FD) {
            moved = fcntl(status_fd, F_DUPFD_CLOEXEC, LISTEN_FD + 1);
            if (moved == -1)
                goto fail;
            status_fd = moved;
        }
        if (spec->listen_fd == LISTEN_FD
                ? fcntl(LISTEN_FD, F_SETFD, 0) == -1
                : dup2(spec->listen_fd, LISTEN_FD) == -1)
            goto fail;
    }
    environment_enter(environment);
    if (limit_files(spec->file_limit) == -1 ||
        cage_enter(cage, status_fd) == -1)
        goto fail;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* another user's is cleared */
    if (getppid() != parent)
        _exit(126);
    execvp(spec->argv[0], (char *const *)spec->argv);
fail:
    failure.errnum = errno;
    if (write(status_fd, &failure, sizeof failure) == -1)
        _exit(126);
    _exit(failure.errnum == ENOENT ? 127 : 126);
}
