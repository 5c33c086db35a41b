/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests that no program is left behind, whatever ends it or us. */

#include "config.h"

#include "base/child.h"
#include "child-script.h"
#include "test.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

/* A child that never ends by itself writes into a pipe, which ends it.  As
 * nobody else has that end of the pipe, its other end tells when all are gone.
 */
static void test_killed(void)
{
    static const struct {
        const char *name, *script;
    } cases[] = {
        {"it is killed when the work is off",
         "echo >&%d; exec sleep " FOREVER},
        {"a script is killed with what it runs",
         "sleep " FOREVER " & echo >&%d; wait"},
        {"one that ignores signals is killed",
         "trap '' TERM INT HUP; echo >&%d; sleep " FOREVER},
        {"one that is stopped is killed", "echo >&%d; kill -STOP $$"},
        {"one that talks all the time is killed", "echo >&%d; exec yes"},
    };

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct traffic t = {0};
        struct error err = {0};
        int fds[2];

        TEST(cases[i].name);
        make_pipe(fds);
        CHECK_FAILS(run_script(with_fd(cases[i].script, fds[1]), &t, fds[1],
                               fds[0], &err),
                    &err, "sh: Operation canceled");
        close(fds[1]);
        CHECK(is_left_alone(fds[0]));
        close(fds[0]);
    }
}

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    test_require(dir != NULL, "opendir");
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

/* Calls the work off once the child's pipes are closed here as well. */
struct canceller {
    int begun_fd, cancel_fd, open_fds;
};

static void *cancel_late(void *opaque)
{
    const struct canceller *c = opaque;
    char byte;

    CHECK_INT(read(c->begun_fd, &byte, 1), 1);
    CHECK(TEST_WAIT(count_fds() == c->open_fds));
    CHECK_INT(write(c->cancel_fd, "", 1), 1);
    return NULL;
}

static void test_killed_silent(void)
{
    struct traffic t = {0};
    struct error err = {0};
    int alive[2], cancel[2];
    struct canceller canceller;
    pthread_t thread;

    TEST("one that closed its output is killed when the work is off");
    make_pipe(alive);
    make_pipe(cancel);
    canceller = (struct canceller){alive[0], cancel[1], count_fds()};
    pthread_create(&thread, NULL, cancel_late, &canceller);
    CHECK_FAILS(
        run_script(with_fd("exec >&- 2>&-; echo >&%d; exec sleep " FOREVER,
                           alive[1]),
                   &t, alive[1], cancel[0], &err),
        &err, "sh: Operation canceled");
    pthread_join(thread, NULL);
    close(alive[1]);
    CHECK(is_left_alone(alive[0]));
    close(alive[0]);
    close(cancel[0]);
    close(cancel[1]);
}

static void test_consume_fails(void)
{
    struct traffic t = {.fail_at = 100000};
    struct error err = {0};
    int alive[2];

    TEST("an error of who consumes kills the child, and is the error");
    make_pipe(alive);
    CHECK_FAILS(run_script("yes", &t, alive[1], -1, &err), &err,
                "consumed enough");
    close(alive[1]);
    CHECK(is_left_alone(alive[0]));
    close(alive[0]);
}

/* The child is dead, and cat has its pipes until we close another one. */
static void test_grandchild(void)
{
    static const struct {
        const char *name, *script, *message;
    } cases[] = {
        {"a child that is dead has ended, whoever has its pipes",
         "cat <&%d & echo begun", NULL},
        {"what it ended with is told, whoever has its pipes",
         "cat <&%d & echo begun; echo cause >&2; exit 1", "QEMU: cause"},
    };

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct traffic t = {0};
        struct error err = {0};
        int fds[2], r;

        TEST(cases[i].name);
        make_pipe(fds);
        r = run_script(with_fd(cases[i].script, fds[0]), &t, fds[0], -1, &err);
        if (cases[i].message == NULL)
            CHECK_OK(r, &err);
        else
            CHECK_FAILS(r, &err, cases[i].message);
        CHECK_STR(t.text, "begun\n");
        close(fds[0]);
        close(fds[1]);
    }
}

static int alive_fds[2];

static void be_signalled(void)
{
    struct traffic t = {.signal = SIGINT};
    struct error err = {0};

    CHECK_FAILS(run_script("echo begun; exec sleep " FOREVER, &t, alive_fds[1],
                           -1, &err),
                &err, "sh: Interrupted system call");
}

static void test_signal(void)
{
    TEST("a noted signal kills it");
    make_pipe(alive_fds);
    test_in_child(be_signalled);
    close(alive_fds[1]);
    CHECK(is_left_alone(alive_fds[0]));
    close(alive_fds[0]);
}

static void test_parent_death(void)
{
    int status;
    pid_t pid;
    char c;

    TEST("if we are killed, it dies, too");
    make_pipe(alive_fds);
    pid = fork();
    test_require(pid != -1, "fork");
    if (pid == 0) {
        struct traffic t = {0};
        struct error err;

        run_script(with_fd("echo >&%d; exec sleep " FOREVER, alive_fds[1]), &t,
                   alive_fds[1], -1, &err);
        _exit(EXIT_FAILURE);
    }
    CHECK_INT(read(alive_fds[0], &c, 1), 1);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    close(alive_fds[1]);
    CHECK(is_left_alone(alive_fds[0]));
    close(alive_fds[0]);
}

/* No program can be run with so few fds, and none is open after that. */
static void have_few_fds(void)
{
    struct error err = {0};
    struct rlimit enough;
    int before = count_fds();

    test_require(getrlimit(RLIMIT_NOFILE, &enough) == 0, "getrlimit");
    for (int most = 4; most < 12; most++) {
        test_require(setrlimit(RLIMIT_NOFILE,
                               &(struct rlimit){most, enough.rlim_max}) == 0,
                     "setrlimit");
        if (run_program("true", &err) == -1)
            CHECK_INT(err.errnum, EMFILE);
        test_require(setrlimit(RLIMIT_NOFILE, &enough) == 0, "setrlimit");
        CHECK_INT(count_fds(), before);
    }
}

static void have_no_process(void)
{
    struct error err = {0};

    test_require(getuid() != 0 || setuid(65534) == 0, "setuid");
    test_require(setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 0}) == 0,
                 "setrlimit");
    CHECK_FAILS(run_program("true", &err), &err,
                "QEMU: cannot fork for true: Resource temporarily "
                "unavailable");
}

/* Reaped by the kernel, as soon as it ends. */
static void have_no_children(void)
{
    struct error err = {0};

    signal(SIGCHLD, SIG_IGN);
    CHECK_FAILS(run_program("true", &err), &err,
                "QEMU: true has ended, but how is not known");
}

static void block_signals(void)
{
    sigset_t all;
    struct traffic t = {0};
    struct error err = {0};

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    CHECK_OK(run_script("grep ^SigBlk /proc/self/status", &t, -1, -1, &err),
             &err);
    CHECK_STR(t.text, "SigBlk:\t0000000000000000\n");
}

static void test_hardship(void)
{
    TEST("without fds a program cannot be run");
    test_in_child(have_few_fds);

    TEST("without another process it cannot be run");
    test_in_child(have_no_process);

    TEST("one that somebody else has reaped is not waited for");
    test_in_child(have_no_children);

    TEST("whatever we block, a child does not");
    test_in_child(block_signals);
}

int main(void)
{
    child_tests_begin();
    test_killed();
    test_killed_silent();
    test_consume_fails();
    test_grandchild();
    test_signal();
    test_parent_death();
    test_hardship();
    return test_end();
}
