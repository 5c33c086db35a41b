/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests how programs are run: what they get, what they say, how they end. */

#include "config.h"

#include "base/child.h"
#include "child-script.h"
#include "test.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

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

int main(void)
{
    child_tests_begin();
    test_endings();
    test_long_complaints();
    test_missing();
    test_traffic();
    test_surroundings();
    test_file_limit();
    return test_end();
}
