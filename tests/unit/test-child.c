/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests how programs are run, and that none is left behind. */

#include "config.h"

#include "base/child.h"
#include "base/io.h"
#include "base/signals.h"
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Far longer than a test may take: whatever sleeps so long is killed. */
#define FOREVER "10000"

/* What goes into a child and what comes out.  Both are a pattern, so that
 * megabytes can be checked as they pass.
 */
struct traffic {
    uint64_t to_feed, fed, consumed;
    bool is_pattern; /* what is consumed must be what was fed */
    char text[512];  /* its beginning, as a string */

    uint64_t fail_at; /* consume fails from here on; 0: it does not */
    int signal;       /* raised once there is some; 0: none */
};

static char pattern(uint64_t at)
{
    return (char)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

static size_t feed(void *opaque, char *buf, size_t space)
{
    struct traffic *t = opaque;
    size_t n = io_min(space, t->to_feed - t->fed);

    if (n > 1)
        n -= test_random(n / 2 + 1);
    for (size_t i = 0; i < n; i++)
        buf[i] = pattern(t->fed + i);
    t->fed += n;
    return n;
}

static int consume(void *opaque, const char *text, size_t length,
                   struct error *err)
{
    struct traffic *t = opaque;
    bool is_right = true;

    CHECK(length > 0);
    for (size_t i = 0; i < length; i++) {
        uint64_t at = t->consumed + i;

        if (at < sizeof t->text - 1)
            t->text[at] = text[i];
        is_right = is_right && (!t->is_pattern || text[i] == pattern(at));
    }
    CHECK(is_right);
    t->consumed += length;
    if (t->fail_at != 0 && t->consumed >= t->fail_at)
        return error_set(err, 0, "consumed enough");
    if (t->signal != 0)
        raise(t->signal);
    return 0;
}

/* Runs a shell's script, which may have one fd besides its streams. */
static int run_script(const char *script, struct traffic *t, int inherit,
                      int cancel_fd, struct error *err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct child_spec spec = {
        .argv = argv,
        .inherit = &inherit,
        .n_inherit = inherit == -1 ? 0 : 1,
        .cancel_fd = cancel_fd,
        .feed = t->to_feed > 0 ? feed : NULL,
        .consume = consume,
        .opaque = t,
    };

    return child_run(&spec, err);
}

/* A script with the number of an fd in it, where it says %d. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static const char *with_fd(const char *script, int fd)
{
    static char text[256];

    snprintf(text, sizeof text, script, fd);
    return text;
}
#pragma GCC diagnostic pop

static void make_pipe(int fds[2])
{
    test_require(pipe2(fds, O_CLOEXEC) == 0, "pipe2");
}

/* fd is the end of a pipe whose other end only children have: are they all
 * gone within the time?
 */
static bool is_left_alone(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = 0};

    return poll(&poll_fd, 1, TEST_PATIENCE * 1000) == 1;
}

static const struct {
    const char *name, *script;
    const char *message; /* NULL: it succeeds */
} endings[] = {
    {"exit status 0 is success", "exit 0", NULL},
    {"what a success wrote to standard error is dropped", "echo a warning >&2",
     NULL},
    {"another exit status is told", "exit 3",
     "QEMU: sh ended with exit status 3"},
    {"a line on standard error is why", "echo the cause >&2; exit 1",
     "QEMU: the cause"},
    {"a line need not be ended", "printf 'the cause' >&2; exit 1",
     "QEMU: the cause"},
    {"empty lines at the end say nothing",
     "printf 'the cause\\n\\n\\n' >&2; exit 1", "QEMU: the cause"},
    {"an empty line before it says nothing",
     "printf '\\nthe cause\\n' >&2; exit 1", "QEMU: the cause"},
    {"the line before the last one may be why",
     "printf 'one\\ntwo\\nthree\\n' >&2; exit 1", "QEMU: two three"},
    {"nothing but empty lines say nothing", "printf '\\n\\n' >&2; exit 2",
     "QEMU: sh ended with exit status 2"},
    {"what it printed is not why", "echo all is well; exit 4",
     "QEMU: sh ended with exit status 4"},
    {"a signal is told", "kill -KILL $$",
     "QEMU: sh was killed by signal 9 (Killed)"},
    {"a signal is told with what was written", "echo words >&2; kill -TERM $$",
     "QEMU: sh was killed by signal 15 (Terminated); words"},
    {"signals that we ignore are not ignored there", "kill -PIPE $$",
     "QEMU: sh was killed by signal 13 (Broken pipe)"},
    {"standard input is empty without a feed", "read line && exit 9; exit 0",
     NULL},
    {"closed output is not the end", "exec >&- 2>&-; exit 5",
     "QEMU: sh ended with exit status 5"},
};

static void test_endings(void)
{
    for (size_t i = 0; i < N_ELEMENTS(endings); i++) {
        struct traffic t = {0};
        struct error err = {0};
        int r;

        TEST(endings[i].name);
        r = run_script(endings[i].script, &t, -1, -1, &err);
        if (endings[i].message == NULL)
            CHECK_OK(r, &err);
        else
            CHECK_FAILS(r, &err, endings[i].message);
    }
}

static void test_long_complaints(void)
{
    struct traffic t = {0};
    struct error err = {0};

    TEST("of megabytes on standard error the end is told");
    CHECK_INT(run_script("head -c 3000000 /dev/zero | tr '\\0' 'x' >&2; "
                         "printf '\\nbefore\\nthe end\\n' >&2; exit 1",
                         &t, -1, -1, &err),
              -1);
    CHECK_STR(err.msg, "QEMU: before the end");

    TEST("of thousands of bytes written at once the end is told");
    CHECK_INT(run_script("x=$(head -c 5000 /dev/zero | tr '\\0' 'x'); "
                         "printf '%s\\nbefore\\nthe end\\n' $x >&2; exit 1",
                         &t, -1, -1, &err),
              -1);
    CHECK_STR(err.msg, "QEMU: before the end");

    TEST("a line longer than any message is told in part");
    CHECK_INT(run_script("head -c 5000 /dev/zero | tr '\\0' 'x' >&2; exit 1",
                         &t, -1, -1, &err),
              -1);
    CHECK_INT(strncmp(err.msg, "QEMU: xxx", 9), 0);
    CHECK_UINT(strlen(err.msg), sizeof err.msg - 1);
}

/* Without a feed and without who consumes. */
static int run_program(const char *program, struct error *err)
{
    const char *const argv[] = {program, NULL};
    const struct child_spec spec = {.argv = argv, .cancel_fd = -1};

    return child_run(&spec, err);
}

static void test_missing(void)
{
    struct error err = {0};
    char path[300], message[400];
    int fd;

    /* A directory of the PATH that is closed to us would be another error. */
    setenv("PATH", "/usr/bin:/bin", 1);
    TEST("a program that does not exist is named");
    CHECK_INT(run_program("qcow-tool-has-no-such-program", &err), -1);
    CHECK_STR(err.msg, "QEMU: cannot run qcow-tool-has-no-such-program: No "
                       "such file or directory");
    CHECK_INT(err.errnum, ENOENT);

    TEST("a file that is no program is named");
    snprintf(path, sizeof path, "%s/file", test_dir());
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    snprintf(message, sizeof message, "QEMU: cannot run %s: Permission denied",
             path);
    CHECK_FAILS(run_program(path, &err), &err, message);
    close(fd);
    unlink(path);

    TEST("a program is found in PATH");
    CHECK_OK(run_program("true", &err), &err);
}

static void test_traffic(void)
{
    enum { MEGABYTES = 6 << 20 };
    struct traffic t = {.to_feed = MEGABYTES, .is_pattern = true};
    struct error err = {0};

    TEST("megabytes go in and come out in full, at once");
    CHECK_OK(run_script("cat", &t, -1, -1, &err), &err);
    CHECK_UINT(t.fed, MEGABYTES);
    CHECK_UINT(t.consumed, MEGABYTES);

    TEST("one byte goes in and comes out");
    t = (struct traffic){.to_feed = 1, .is_pattern = true};
    CHECK_OK(run_script("cat", &t, -1, -1, &err), &err);
    CHECK_UINT(t.consumed, 1);

    TEST("megabytes on standard error do not stop the others");
    t = (struct traffic){.to_feed = MEGABYTES, .is_pattern = true};
    CHECK_OK(run_script("tee /dev/stderr", &t, -1, -1, &err), &err);
    CHECK_UINT(t.consumed, MEGABYTES);

    TEST("a child that does not listen may succeed");
    t = (struct traffic){.to_feed = MEGABYTES};
    CHECK_OK(run_script("exec <&-; echo done", &t, -1, -1, &err), &err);
    CHECK_STR(t.text, "done\n");

    TEST("a child that stops listening may succeed");
    t = (struct traffic){.to_feed = MEGABYTES, .is_pattern = true};
    CHECK_OK(run_script("head -c 1000", &t, -1, -1, &err), &err);
    CHECK_UINT(t.consumed, 1000);

    TEST("a child that closed its output is still fed, to the end");
    t = (struct traffic){.to_feed = MEGABYTES};
    CHECK_OK(run_script("exec >&- 2>&-; test \"$(wc -c)\" -eq 6291456", &t, -1,
                        -1, &err),
             &err);
    CHECK_UINT(t.fed, MEGABYTES);
}

static void test_surroundings(void)
{
    char cwd[300], expected[300];
    struct traffic t = {0};
    struct error err = {0};
    int fds[2], other[2];

    TEST("it runs where we are");
    test_require(chdir(test_dir()) == 0, "chdir");
    test_require(getcwd(cwd, sizeof cwd) != NULL, "getcwd");
    snprintf(expected, sizeof expected, "%.298s\n", cwd);
    CHECK_OK(run_script("pwd -P", &t, -1, -1, &err), &err);
    CHECK_STR(t.text, expected);
    test_require(chdir("/") == 0, "chdir");

    TEST("it has our environment");
    setenv("QCOW_TOOL_TEST", "some value", 1);
    t = (struct traffic){0};
    CHECK_OK(run_script("echo \"$QCOW_TOOL_TEST\"", &t, -1, -1, &err), &err);
    CHECK_STR(t.text, "some value\n");

    TEST("an inherited fd has its number, and can be used");
    make_pipe(fds);
    make_pipe(other);
    t = (struct traffic){0};
    CHECK_OK(run_script(with_fd("echo hello >&%d", fds[1]), &t, fds[1], -1,
                        &err),
             &err);
    CHECK_INT(read(fds[0], t.text, sizeof t.text), 6);
    CHECK_MEM(t.text, "hello\n", 6);
    CHECK_INT(fcntl(fds[1], F_GETFD), FD_CLOEXEC); /* here, still */

    TEST("no other fd is open there");
    t = (struct traffic){0};
    CHECK_OK(run_script(with_fd("test ! -e /proc/self/fd/%d", other[1]), &t,
                        fds[1], -1, &err),
             &err);
    CHECK_OK(run_script(with_fd("test ! -e /proc/self/fd/%d", fds[0]), &t,
                        fds[1], -1, &err),
             &err);
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
        close(other[i]);
    }
}

static void test_file_limit(void)
{
    const char *const argv[] = {
        "sh",
        "-c",
        "head -c 8 </dev/zero >a; head -c 9 </dev/zero >b",
        NULL,
    };
    const struct child_spec spec = {
        .argv = argv,
        .file_limit = 8,
        .cancel_fd = -1,
    };
    struct error err = {0};
    struct stat st;

    TEST("no file gets larger than its limit, and it is told why");
    test_require(chdir(test_dir()) == 0, "chdir");
    CHECK_INT(child_run(&spec, &err), -1);
    CHECK(strstr(err.msg, "File too large") != NULL);
    CHECK(stat("a", &st) == 0 && st.st_size == 8);
    CHECK(stat("b", &st) == 0 && st.st_size == 8);
    unlink("a");
    unlink("b");
    test_require(chdir("/") == 0, "chdir");
}

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
    struct error err;

    test_begin();
    setenv("LC_ALL", "C", 1);
    CHECK_OK(signals_open(&err), &err);
    test_endings();
    test_long_complaints();
    test_missing();
    test_traffic();
    test_surroundings();
    test_file_limit();
    test_killed();
    test_killed_silent();
    test_consume_fails();
    test_grandchild();
    test_signal();
    test_parent_death();
    test_hardship();
    return test_end();
}
