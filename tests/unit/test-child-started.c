/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests programs that go on while we do something else. */

#include "config.h"

#include "child-script.h"

#include <dirent.h>

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

/* alive_fd, the only fd it inherits, may be used by the script. */
static struct child *start_script(const char *script, int alive_fd,
                                  int listen_fd)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct child_spec spec = {
        .argv = argv,
        .inherit = &alive_fd,
        .n_inherit = 1,
        .listen_fd = listen_fd,
        .cancel_fd = -1,
    };
    struct child *child = NULL;
    struct error err;

    if (!CHECK_OK(child_start(&spec, &child, &err), &err))
        exit(test_end());
    return child;
}

static void test_started(void)
{
    struct child *child;
    int alive[2];
    char c;

    TEST("a child that was started goes on, and is stopped");
    make_pipe(alive);
    child = start_script(with_fd("echo >&%d; exec sleep " FOREVER, alive[1]),
                         alive[1], 0);
    close(alive[1]);
    CHECK_INT(read(alive[0], &c, 1), 1);
    CHECK_INT(poll(&(struct pollfd){.fd = alive[0]}, 1, 0), 0);
    child_stop(child);
    CHECK(is_left_alone(alive[0]));
    close(alive[0]);
    child_stop(NULL);

    TEST("one that has ended is reaped");
    make_pipe(alive);
    child = start_script("exit 3", alive[1], 0);
    close(alive[1]);
    CHECK(is_left_alone(alive[0]));
    close(alive[0]);
    child_stop(child);
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_INT(errno, ECHILD);

    TEST("its standard input is empty");
    make_pipe(alive);
    child =
        start_script(with_fd("wc -c | tr -d ' ' >&%d", alive[1]), alive[1], 0);
    close(alive[1]);
    CHECK_INT(read(alive[0], &c, 1), 1);
    CHECK_INT(c, '0');
    child_stop(child);
    close(alive[0]);
}

static void test_start_fails(void)
{
    const char *const argv[] = {"/none/such", NULL};
    const struct child_spec spec = {.argv = argv, .cancel_fd = -1};
    int before = count_fds();
    struct child *child;
    struct error err = {0};

    TEST("a program that is not there cannot be started");
    CHECK_FAILS(child_start(&spec, &child, &err), &err,
                "QEMU: cannot run /none/such: No such file or directory");
    CHECK_INT(count_fds(), before);
}

static void test_blame(void)
{
    static const struct {
        const char *name, *script, *message;
    } cases[] = {
        {"what a child said is put behind the error", "echo the cause >&2",
         "it left; the cause"},
        {"a signal that ended it is", "kill -KILL $$",
         "it left; sh was killed by signal 9 (Killed)"},
        {"what QEMU says of its cleaning up is not the cause",
         "printf 'cause\nqemu-img: Error when deleting file x: y\n' >&2",
         "it left; cause"},
        {"of all it said, the last two lines are",
         "printf 'one\\ntwo\\nthree\\n' >&2", "it left; two three"},
        {"if it said nothing, that is", "exit 1",
         "it left; sh ended without a word"},
        {"what it printed is not", "echo a lot",
         "it left; sh ended without a word"},
    };

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct error err = {0};
        struct child *child;
        int alive[2];

        TEST(cases[i].name);
        make_pipe(alive);
        child = start_script(cases[i].script, alive[1], 0);
        close(alive[1]);
        CHECK(is_left_alone(alive[0]));
        error_set(&err, 0, "it left");
        CHECK_FAILS(child_blame(child, &err), &err, cases[i].message);
        child_stop(child);
        close(alive[0]);
    }
}

/* Both go on only when somebody reads, or nobody can. */
static void test_talkative(void)
{
    static const struct {
        const char *name, *script;
    } cases[] = {
        {"one that writes much to standard error goes on",
         "head -c 3000000 /dev/zero | tr '\\0' 'x' >&2; echo >&%d"},
        {"one that writes much to standard output goes on",
         "head -c 3000000 /dev/zero | tr '\\0' 'x'; echo >&%d"},
    };

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct error err = {0};
        struct child *child;
        int alive[2];
        char c;

        TEST(cases[i].name);
        make_pipe(alive);
        child = start_script(with_fd(cases[i].script, alive[1]), alive[1], 0);
        close(alive[1]);
        CHECK_INT(read(alive[0], &c, 1), 1);
        CHECK(is_left_alone(alive[0]));
        error_set(&err, 0, "it left");
        child_blame(child, &err);
        CHECK_INT(strncmp(err.msg, i == 0 ? "it left; xxx" : "it left; sh ",
                          12),
                  0);
        child_stop(child);
        close(alive[0]);
    }
}

/* What it started has its standard error until we close a pipe. */
static void test_grandchild(void)
{
    struct child *child;
    int held[2];

    TEST("a child is stopped, whoever has its standard error");
    make_pipe(held);
    child =
        start_script(with_fd("setsid cat <&%d & exit 1", held[0]), held[0], 0);
    child_stop(child);
    close(held[0]);
    close(held[1]);
}

/* Its fd 3 is what we listen at, and it is told so, whatever we were told. */
static void test_listening(void)
{
    static const char script[] =
        "[ $LISTEN_PID = $$ ] && echo $LISTEN_FDS ${LISTEN_FDNAMES-none} >&3";
    char text[64] = "";
    struct child *child;
    int listening[2], alive[2];
    ssize_t n;

    TEST("a socket is announced as its fd 3");
    make_pipe(listening);
    do /* no inherited fd may be 3 */
        make_pipe(alive);
    while (alive[1] <= 3);
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "7", 1);
    setenv("LISTEN_FDNAMES", "a:b", 1);
    child = start_script(script, alive[1], listening[1]);
    close(alive[1]);
    close(listening[1]);
    CHECK(is_left_alone(alive[0]));
    n = read(listening[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    CHECK_STR(text, "1 none\n");
    child_stop(child);
    close(alive[0]);
    close(listening[0]);
    CHECK_STR(getenv("LISTEN_FDNAMES"), "a:b");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

int main(void)
{
    child_tests_begin();
    test_started();
    test_start_fails();
    test_blame();
    test_talkative();
    test_grandchild();
    test_listening();
    return test_end();
}
