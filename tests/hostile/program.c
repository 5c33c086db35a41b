/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Programs that are given a broken image. */

#include "config.h"

#include "program.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TIME_LIMIT_S = 60 }; /* the machine may be busy */

/* By vfork, in effect: a copy of our memory would take longer than most else.
 */
static pid_t spawn(const char **argv)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid;
    int errnum;

    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "image", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "said",
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    errnum = posix_spawnp(&pid, argv[0], &files, &attributes, (char **)argv,
                          environ);
    if (errnum != 0)
        errx(EXIT_FAILURE, "%s: %s", argv[0], strerror(errnum));
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return pid;
}

int program_run(const char **argv, struct rusage *usage)
{
    struct timespec limit = {.tv_sec = TIME_LIMIT_S};
    sigset_t chld;
    int status;
    pid_t pid = spawn(argv);

    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    for (;;) {
        pid_t ended = wait4(pid, &status, WNOHANG, usage);

        if (ended == pid)
            return status;
        if (sigtimedwait(&chld, NULL, &limit) == -1 && errno == EAGAIN) {
            kill(pid, SIGKILL);
            wait4(pid, &status, 0, usage);
            return -1;
        }
    }
}

/* Whoever outlived the program is ours now.  A zombie is no such thing. */
bool program_kill_left(void)
{
    struct timespec moment = {.tv_nsec = 20000000};
    char path[64];
    bool is_left = false;

    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    if (waitpid(-1, NULL, WNOHANG) == -1)
        return false;
    nanosleep(&moment, NULL); /* one may be about to end */
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    if (waitpid(-1, NULL, WNOHANG) == 0) {
        FILE *children;
        int pid;

        is_left = true;
        snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
        children = fopen(path, "re");
        while (children != NULL && fscanf(children, "%d", &pid) == 1)
            kill(pid, SIGKILL);
        if (children != NULL)
            fclose(children);
        while (waitpid(-1, NULL, 0) > 0)
            ;
    }
    return is_left;
}
