/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what a caged program can still do, and what it cannot any more.  That
 * it withstands an attack is for tests/failures/cage.bats.
 */

#include "config.h"

#include "base/cage.h"
#include "base/child.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* What it printed. */
static char printed[256];

static int keep(void *opaque, const char *text, size_t length,
                struct error *err)
{
    (void)opaque;
    (void)err;
    strncat(printed, text,
            length < sizeof printed - strlen(printed) - 1
                ? length
                : sizeof printed - strlen(printed) - 1);
    return 0;
}

static int run(const struct cage_spec *cage, const char *const *argv, int fd,
               struct error *err)
{
    const struct child_spec spec = {
        .argv = argv,
        .inherit = &fd,
        .n_inherit = fd == -1 ? 0 : 1,
        .cage = cage,
        .cancel_fd = -1,
        .consume = keep,
    };

    printed[0] = '\0';
    return child_run(&spec, err);
}

static int run_script(const struct cage_spec *cage, const char *script, int fd,
                      struct error *err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};

    return run(cage, argv, fd, err);
}

/* What a shell says besides is its own business. */
static void check_says(int r, const char *text, struct error *err)
{
    if (!CHECK(r == -1 && strcasestr(err->msg, text) != NULL))
        fprintf(stderr, "    not '%s': %s\n", text,
                r == -1 ? err->msg : "success");
    *err = (struct error){0};
}

static void make_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK(fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void test_files(const char *named, const char *other)
{
    const char *const read_named[] = {"cat", named, NULL};
    const char *const read_other[] = {"cat", other, NULL};
    const struct cage_spec spec = {.names = &named, .n_names = 1};
    const struct cage_spec any = {.may_read_all = true};
    const struct cage_spec off = {.policy = CAGE_OFF};
    char script[300];
    struct error err;

    TEST("it reads the files that are named, and no others");
    CHECK_OK(run(&spec, read_named, -1, &err), &err);
    CHECK_STR(printed, "named");
    check_says(run(&spec, read_other, -1, &err), "Permission denied", &err);
    CHECK_OK(run(&any, read_other, -1, &err), &err);
    CHECK_OK(run(&off, read_other, -1, &err), &err);

    TEST("nor does it write to those that are named");
    snprintf(script, sizeof script, "echo >>%s", named);
    check_says(run_script(&spec, script, -1, &err), "permission denied", &err);
}

static void test_inherited(const char *named)
{
    const struct cage_spec reader = {.policy = CAGE_AUTO};
    const struct cage_spec writer = {.may_write = true};
    int fd = open(named, O_RDWR | O_CLOEXEC);
    char script[300];
    struct error err;

    TEST("what it inherits it reads by its name in /proc");
    snprintf(script, sizeof script, "read line </proc/self/fd/%d; echo $line",
             fd);
    run_script(&reader, script, fd, &err); /* there is no newline to read */
    CHECK_STR(printed, "named\n");

    TEST("and writes if it may");
    snprintf(script, sizeof script, "echo more >>/proc/self/fd/%d", fd);
    check_says(run_script(&reader, script, fd, &err), "permission denied",
               &err);
    CHECK_OK(run_script(&writer, script, fd, &err), &err);
    close(fd);
}

static void test_limits(void)
{
    const struct cage_spec spec = {.cpu_seconds = 1};
    const struct cage_spec more = {.n_images = 100};
    struct error err;

    TEST("it cannot go on for ever");
    check_says(run_script(&spec, "while :; do :; done", -1, &err),
               "killed by signal 24", &err);

    TEST("its memory and its fds are limited, by how much it has to open");
    CHECK_OK(run_script(&spec, "ulimit -v; ulimit -n; ulimit -c", -1, &err),
             &err);
    CHECK_STR(printed, "1572864\n64\n0\n");
    CHECK_OK(run_script(&more, "ulimit -v; ulimit -n; ulimit -c", -1, &err),
             &err);
    CHECK_STR(printed, "27787264\n464\n0\n");
}

static void test_environment(void)
{
    const struct cage_spec caged = {.policy = CAGE_AUTO};
    const struct cage_spec off = {.policy = CAGE_OFF};
    const char *script = "echo $SECRET $LC_SECRET";
    struct error err;

    setenv("SECRET", "yes", 1);
    setenv("LC_SECRET", "no", 1);
    TEST("it gets the variables that it needs");
    CHECK_OK(run_script(&caged, script, -1, &err), &err);
    CHECK_STR(printed, "no\n");
    CHECK_OK(run_script(&off, script, -1, &err), &err);
    CHECK_STR(printed, "yes no\n");
}

static void test_programs(void)
{
    const struct cage_spec spec = {.policy = CAGE_AUTO};
    const struct cage_spec client = {.may_connect = true};
    const char *const missing[] = {"/nonexistent/program", NULL};
    struct error err;

    TEST("it starts no other program");
    check_says(run_script(&spec, "exec cat /dev/null", -1, &err),
               "permission denied", &err);
    check_says(run_script(&spec, "cat /dev/null & wait", -1, &err), "fork",
               &err);

    TEST("one that may connect sends no signals");
    check_says(run_script(&client, "kill -0 $PPID", -1, &err), "not permitted",
               &err);

    TEST("a program that is not there is missing, with a cage or without");
    check_says(run(&spec, missing, -1, &err),
               "cannot run /nonexistent/program: No such file", &err);
}

int main(void)
{
    char named[300], other[300];

    test_begin();
    if (syscall(444, NULL, 0, 1) < 1) /* landlock_create_ruleset(2) */
        return 77;
#ifndef HAVE_LIBSECCOMP
    return 77;
#endif
    snprintf(named, sizeof named, "%s/named", test_dir());
    snprintf(other, sizeof other, "%s/other", test_dir());
    make_file(named, "named");
    make_file(other, "other");
    test_files(named, other);
    test_inherited(named);
    test_limits();
    test_environment();
    test_programs();
    unlink(named);
    unlink(other);
    return test_end();
}
