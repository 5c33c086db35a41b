/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What signals do to us, to our threads and to our children. */

#include "config.h"

#include "base/clock.h"
#include "base/own-cage.h"
#include "base/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

/* All that a program can have: NSIG is one more than the last one. */
static struct sigaction before[NSIG];

/* Threads read it.  It is lock-free, so the handler may set it. */
static atomic_int caught;
/* When; for the handler alone, which no other signal interrupts. */
static uint64_t caught_ms;
static int wake[2] = {-1, -1};
static pthread_t main_thread;

/* Is it there to end a program that does not handle it? */
static bool is_ending(int sig)
{
    switch (sig) {
    case SIGHUP:
    case SIGINT:
    case SIGQUIT:
    case SIGTERM:
    case SIGUSR2:
    case SIGALRM:
    case SIGVTALRM:
    case SIGPROF:
    case SIGIO:
    case SIGPWR:
    case SIGXCPU:
#ifdef SIGSTKFLT
    case SIGSTKFLT:
#endif
        return true;
    default:
        /* Those below are the C library's. */
        return sig >= SIGRTMIN && sig <= SIGRTMAX;
    }
}

/* In the handler it takes effect when that returns. */
static void die_of(int sig)
{
    struct sigaction act = {.sa_handler = SIG_DFL};

    sigemptyset(&act.sa_mask);
    sigaction(sig, &act, NULL);
    raise(sig);
}

/* What blocks returns EINTR, and looks why. */
static void interrupt(int sig)
{
    (void)sig;
}

/* A signal that comes between a look at signals_caught and a call that blocks
 * is too early to interrupt that call.  So there is a SIGALRM each second,
 * from the first signal on.
 */
static void interrupt_again(int sig)
{
    (void)sig;
    alarm(1);
}

static void set_action(int sig, void (*handler)(int))
{
    struct sigaction act = {.sa_handler = handler};

    /* No other one comes in between. */
    sigfillset(&act.sa_mask);
    sigaction(sig, &act, NULL);
}

static void note(int sig)
{
    int saved = errno, none = 0, given_up = SIGNALS_GIVEN_UP;

    /* Having given up was no signal: one that follows is the first. */
    if (atomic_compare_exchange_strong(&caught, &none, sig) ||
        atomic_compare_exchange_strong(&caught, &given_up, sig)) {
        caught_ms = clock_ms();
        set_action(SIGALRM, interrupt_again);
        interrupt_again(0);
    } else if ((sig == SIGINT || sig == SIGQUIT) &&
               clock_ms() - caught_ms >= SIGNALS_TWICE_MS) {
        die_of(sig);
    }
    /* The pipe is never read: one byte in it is enough, and a full one does
     * no harm.
     */
    if (write(wake[1], "", 1) == -1)
        errno = 0;
    errno = saved;
}

int signals_open(struct error *err)
{
    sigset_t watched;

    if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) == -1)
        return error_set(err, errno, "cannot make a pipe");
    sigemptyset(&watched);
    for (int sig = 1; sig < NSIG; sig++) {
        /* There is none of such a number, or it is not ours. */
        if (sigaction(sig, NULL, &before[sig]) == -1)
            continue;
        if (is_ending(sig) && before[sig].sa_handler != SIG_IGN) {
            set_action(sig, note);
            sigaddset(&watched, sig);
        }
    }
    main_thread = pthread_self();
    set_action(SIGURG, interrupt);
    sigaddset(&watched, SIGURG);  /* signals_give_up needs it */
    sigaddset(&watched, SIGALRM); /* note does, even if it is ignored now */
    set_action(SIGPIPE, SIG_IGN);
    set_action(SIGXFSZ, SIG_IGN);
    set_action(SIGCHLD, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &watched, NULL);
    return 0;
}

static void *answer_usr1(void *opaque)
{
    void (*const *answer)(void) = opaque;
    sigset_t usr1;
    int sig;

    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    while (sigwait(&usr1, &sig) == 0)
        (*answer)();
    return NULL;
}

int signals_answer_usr1(void (*answer)(void), struct error *err)
{
    static void (*kept)(void); /* a function is no void * */
    pthread_t thread;
    sigset_t usr1;

    if (before[SIGUSR1].sa_handler == SIG_IGN)
        return 0;
    kept = answer;
    /* One that is blocked everywhere waits until it is asked for. */
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, NULL);
    if (own_cage_create_thread(&thread, answer_usr1, &kept, err) == -1)
        return -1;
    pthread_detach(thread);
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

void signals_give_up(void)
{
    int none = 0;

    atomic_compare_exchange_strong(&caught, &none, SIGNALS_GIVEN_UP);
    if (write(wake[1], "", 1) == -1)
        errno = 0; /* it is full: it is readable, then */
    pthread_kill(main_thread, SIGURG);
}

void signals_hold(sigset_t *mask)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, mask);
}

void signals_release(const sigset_t *mask)
{
    pthread_sigmask(SIG_SETMASK, mask, NULL);
}

int signals_create_thread(pthread_t *thread, void *(*run)(void *),
                          void *opaque)
{
    sigset_t mask;
    int r;

    signals_hold(&mask); /* the new thread begins as the one that makes it */
    r = pthread_create(thread, NULL, run, opaque);
    signals_release(&mask);
    return r;
}

void signals_reset_in_child(void)
{
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++)
        if (is_ending(sig) || sig == SIGPIPE)
            sigaction(sig, &before[sig], NULL);
    /* QEMU says "File too large" then, rather than die without a word; and a
     * group that is asked for its progress must not lose its QEMU.
     */
    set_action(SIGXFSZ, SIG_IGN);
    set_action(SIGUSR1, SIG_IGN);
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

void signals_raise_again(void)
{
    sigset_t one;

    if (caught == 0 || caught == SIGNALS_GIVEN_UP)
        return;
    sigemptyset(&one);
    sigaddset(&one, caught);
    die_of(caught);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}
