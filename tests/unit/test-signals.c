/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what signals do, whatever whoever started us did to them. */

#include "config.h"

#include "base/io.h"
#include "base/signals.h"
#include "test.h"

#include <fcntl.h>
#include <pthread.h>

enum { NO_SIGNAL = 0 };

/* Runs function in a process of its own; returns the signal that ended it. */
static int signal_that_ends(void (*function)(int), int sig)
{
    int status = -1;
    pid_t pid = fork();

    test_require(pid != -1, "fork");
    if (pid == 0) {
        alarm(TEST_TIMEOUT);
        test_failures = 0;
        function(sig);
        _exit(test_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    test_require(waitpid(pid, &status, 0) == pid, "waitpid");
    if (WIFSIGNALED(status))
        return WTERMSIG(status);
    CHECK_INT(WEXITSTATUS(status), EXIT_SUCCESS);
    return NO_SIGNAL;
}

static void open_signals(void)
{
    struct error err;

    CHECK_OK(signals_open(&err), &err);
}

static bool is_noted(void)
{
    struct pollfd poll_fd = {.fd = signals_fd(), .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1;
}

static void note_and_die(int sig)
{
    open_signals();
    CHECK_INT(signals_caught(), 0);
    CHECK(!is_noted());
    raise(sig);
    CHECK_INT(signals_caught(), sig);
    CHECK(is_noted());
    raise(SIGTERM); /* the first one counts */
    CHECK_INT(signals_caught(), sig);
    signals_raise_again();
}

static void test_ending(void)
{
    static const int ending[] = {
        SIGHUP,    SIGINT,  SIGQUIT, SIGTERM, SIGUSR2, SIGALRM,
        SIGVTALRM, SIGPROF, SIGIO,   SIGPWR,  SIGXCPU,
    };

    TEST("a signal that would end us is noted, and we die of it at last");
    for (size_t i = 0; i < N_ELEMENTS(ending); i++)
        CHECK_INT(signal_that_ends(note_and_die, ending[i]), ending[i]);

    TEST("so is each real-time signal");
    /* The last one is valgrind's. */
    for (int sig = SIGRTMIN; sig < SIGRTMAX; sig++)
        CHECK_INT(signal_that_ends(note_and_die, sig), sig);
}

static void be_faulty(int sig)
{
    open_signals();
    raise(sig);
}

static void test_faults(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE,
                                 SIGABRT, SIGSYS, SIGTRAP};

#ifdef __SANITIZE_ADDRESS__
    return; /* it handles most of these itself */
#endif
    TEST("a signal that means a fault ends us at once");
    for (size_t i = 0; i < N_ELEMENTS(faults); i++)
        CHECK_INT(signal_that_ends(be_faulty, faults[i]), faults[i]);
}

static void ignore_it(int sig)
{
    signal(sig, SIG_IGN);
    open_signals();
    raise(sig);
    CHECK_INT(signals_caught(), 0);
    CHECK(!is_noted());
}

static void block_it(int sig)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    open_signals();
    raise(sig);
    CHECK_INT(signals_caught(), sig);
    signals_raise_again();
}

/* What signals_give_up interrupts with. */
static void block_urgent(int sig)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, sig);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    open_signals();
    sigprocmask(SIG_BLOCK, NULL, &mask);
    CHECK_INT(sigismember(&mask, sig), 0);
}

static void give_up_first(int sig)
{
    open_signals();
    signals_give_up();
    CHECK_INT(signals_caught(), SIGNALS_GIVEN_UP);
    raise(sig);
    raise(sig);
    CHECK_INT(signals_caught(), sig);
    signals_give_up();
    CHECK_INT(signals_caught(), sig);
}

static void become_errno(int sig)
{
    open_signals();
    raise(sig);
    CHECK_INT(signals_caught(), 0);
}

static void ignore_children(int sig)
{
    pid_t pid;
    int status = -1;

    signal(sig, SIG_IGN);
    open_signals();
    pid = fork();
    if (pid == 0)
        _exit(7);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(WEXITSTATUS(status), 7);
}

/* The signal comes before the call that it is to interrupt. */
static void block_behind_it(int sig)
{
    int fds[2];
    char byte;

    open_signals();
    CHECK_INT(pipe(fds), 0);
    raise(sig);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(read(fds[0], &byte, 1), -1);
        CHECK_INT(errno, EINTR);
    }
    CHECK_INT(signals_caught(), sig);
}

static void ignore_alarms_and_block(int sig)
{
    signal(SIGALRM, SIG_IGN);
    block_behind_it(sig);
}

static void test_blocking(void)
{
    TEST("what blocks after a signal is interrupted, again and again");
    CHECK_INT(signal_that_ends(block_behind_it, SIGTERM), NO_SIGNAL);
    CHECK_INT(signal_that_ends(block_behind_it, SIGALRM), NO_SIGNAL);
    CHECK_INT(signal_that_ends(ignore_alarms_and_block, SIGHUP), NO_SIGNAL);
}

static void test_caller(void)
{
    TEST("what the caller ignored stays ignored");
    CHECK_INT(signal_that_ends(ignore_it, SIGTERM), NO_SIGNAL);
    CHECK_INT(signal_that_ends(ignore_it, SIGALRM), NO_SIGNAL);

    TEST("what the caller blocked ends us all the same");
    CHECK_INT(signal_that_ends(block_it, SIGTERM), SIGTERM);
    CHECK_INT(signal_that_ends(block_it, SIGRTMIN), SIGRTMIN);

    TEST("a blocked SIGURG interrupts all the same");
    CHECK_INT(signal_that_ends(block_urgent, SIGURG), NO_SIGNAL);

    TEST("a signal that follows a giving up is the first one");
    CHECK_INT(signal_that_ends(give_up_first, SIGINT), NO_SIGNAL);
    CHECK_INT(signal_that_ends(give_up_first, SIGTERM), NO_SIGNAL);

    TEST("what is an errno is not a signal");
    CHECK_INT(signal_that_ends(become_errno, SIGPIPE), NO_SIGNAL);
    CHECK_INT(signal_that_ends(become_errno, SIGXFSZ), NO_SIGNAL);

    TEST("children are ours to reap, though the caller ignored them");
    CHECK_INT(signal_that_ends(ignore_children, SIGCHLD), NO_SIGNAL);
}

/* A clean-up that hangs: what ends it is the second one, once enough time has
 * passed.
 */
static void hang(int sig)
{
    double end = test_seconds() + TEST_PATIENCE;

    open_signals();
    raise(SIGTERM);
    while (test_seconds() < end) {
        raise(sig);
        poll(NULL, 0, 1);
    }
}

static void repeat(int sig)
{
    open_signals();
    raise(sig);
    raise(sig);
    CHECK_INT(signals_caught(), sig);
}

static void repeat_much_later(int sig)
{
    double begun = test_seconds();

    open_signals();
    raise(sig);
    while (test_seconds() < begun + SIGNALS_TWICE_MS / 1e3 + 0.1)
        poll(NULL, 0, 10);
    raise(sig);
    CHECK_INT(signals_caught(), sig);
}

static void test_twice(void)
{
    TEST("who presses ^C again ends us at once");
    CHECK_INT(signal_that_ends(hang, SIGINT), SIGINT);
    CHECK_INT(signal_that_ends(hang, SIGQUIT), SIGQUIT);

    TEST("a signal that is sent twice, as timeout(1) does, does not");
    CHECK_INT(signal_that_ends(repeat, SIGINT), NO_SIGNAL);
    CHECK_INT(signal_that_ends(repeat, SIGTERM), NO_SIGNAL);

    TEST("nor do others that come again");
    CHECK_INT(signal_that_ends(repeat_much_later, SIGTERM), NO_SIGNAL);
}

static int asked[2];

static void answer(void)
{
    CHECK_INT(write(asked[1], "", 1), 1);
}

static void be_asked(int sig)
{
    struct error err;
    char byte;

    open_signals();
    CHECK_OK(signals_answer_usr1(answer, &err), &err);
    for (int i = 0; i < 3; i++) {
        kill(getpid(), sig);
        CHECK_INT(read(asked[0], &byte, 1), 1);
    }
    CHECK_INT(signals_caught(), 0);
}

static void be_asked_in_vain(int sig)
{
    struct error err;

    signal(sig, SIG_IGN);
    open_signals();
    CHECK_OK(signals_answer_usr1(answer, &err), &err);
    kill(getpid(), sig);
    CHECK_INT(fcntl(asked[0], F_SETFL, O_NONBLOCK), 0);
    CHECK_INT(read(asked[0], &(char){0}, 1), -1);
    CHECK_INT(errno, EAGAIN);
}

static void test_usr1(void)
{
    test_require(pipe2(asked, O_CLOEXEC) == 0, "pipe2");

    TEST("each SIGUSR1 is answered, and does nothing else");
    CHECK_INT(signal_that_ends(be_asked, SIGUSR1), NO_SIGNAL);

    TEST("a SIGUSR1 that the caller ignored is not answered");
    CHECK_INT(signal_that_ends(be_asked_in_vain, SIGUSR1), NO_SIGNAL);
    close(asked[0]);
    close(asked[1]);
}

static void *look_at_mask(void *opaque)
{
    pthread_sigmask(SIG_BLOCK, NULL, opaque);
    return NULL;
}

static void test_threads(void)
{
    pthread_t thread;
    sigset_t before, theirs, after;

    TEST("a thread begins with each signal blocked, and ours are as before");
    sigemptyset(&theirs);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    CHECK_INT(signals_create_thread(&thread, look_at_mask, &theirs), 0);
    pthread_join(thread, NULL);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (int sig = 1; sig < SIGRTMAX; sig++) {
        bool is_ours = sig < SIGRTMIN && sig >= SIGSYS + 1;

        if (sig == SIGKILL || sig == SIGSTOP || is_ours)
            continue;
        CHECK_INT(sigismember(&theirs, sig), 1);
        CHECK_INT(sigismember(&after, sig), sigismember(&before, sig));
    }
}

int main(void)
{
    test_begin();
    test_ending();
    test_faults();
    test_blocking();
    test_caller();
    test_twice();
    test_usr1();
    test_threads();
    return test_end();
}
