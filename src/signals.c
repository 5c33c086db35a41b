/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SIGINT, SIGTERM and SIGHUP as a flag and a readable fd. */

#include "config.h"

#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static const int watched[] = {SIGHUP, SIGINT, SIGTERM};

enum { N_WATCHED = sizeof watched / sizeof watched[0] };

static struct sigaction before[N_WATCHED];
static struct sigaction pipe_before;
static sigset_t mask_before;
static atomic_int caught; /* threads read it; lock-free, so the handler may */
static int wake[2] = {-1, -1};

static void note(int sig)
{
    int saved = errno;

    if (caught == 0)
        caught = sig;
    /* The pipe is never read: one byte in it is enough, and a full one does
     * no harm.
     */
    if (write(wake[1], "", 1) == -1)
        errno = 0;
    errno = saved;
}

int signals_open(struct error *err)
{
    struct sigaction act = {.sa_handler = note};

    if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) == -1)
        return error_set(err, errno, "cannot make a pipe");
    sigemptyset(&act.sa_mask);
    sigprocmask(SIG_SETMASK, NULL, &mask_before);
    for (size_t i = 0; i < N_WATCHED; i++) {
        sigaction(watched[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN)
            sigaction(watched[i], &act, NULL);
    }
    act.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &act, &pipe_before);
    return 0;
}

int signals_fd(void)
{
    return wake[0];
}

int signals_caught(void)
{
    return caught;
}

void signals_block(void)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
}

void signals_reset_in_child(void)
{
    for (size_t i = 0; i < N_WATCHED; i++)
        sigaction(watched[i], &before[i], NULL);
    sigaction(SIGPIPE, &pipe_before, NULL);
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

void signals_raise_again(void)
{
    struct sigaction act = {.sa_handler = SIG_DFL};

    if (caught == 0)
        return;
    sigemptyset(&act.sa_mask);
    sigaction(caught, &act, NULL);
    raise(caught);
}
