/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The few checks that the unit tests are made of. */

/* A test is a program: test_begin, cases, and test_end's value for main to
 * return.  A check that fails prints where and in which case that was, what
 * was expected and what came, and the test goes on.  Checks are true if they
 * hold, for those who cannot.
 */

#ifndef QT_TEST_H
#define QT_TEST_H

#include "base/compat.h"
#include "base/error.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* Seconds until a case is taken to hang, or what it waits for not to come:
 * far more than any takes under valgrind on a machine that is busy.
 */
enum { TEST_TIMEOUT = 600, TEST_PATIENCE = 120 };

enum { TEST_SHOWN = 5 }; /* of the failures of one case */

static unsigned test_failures, test_case_failures;
static const char *test_case_name = "";
static char test_dir_name[256]; /* "": not made */

/* What the checks that follow are about: a sentence. */
#define TEST(name)                                                            \
    (alarm(TEST_TIMEOUT), test_case_failures = 0, test_case_name = (name))

/* Says where it hung. */
static inline void test_timed_out(int sig)
{
    (void)sig;
    if (write(STDERR_FILENO, "timed out: ", 11) == -1 ||
        write(STDERR_FILENO, test_case_name, strlen(test_case_name)) == -1 ||
        write(STDERR_FILENO, "\n", 1) == -1)
        _exit(EXIT_FAILURE);
    _exit(EXIT_FAILURE);
}

/* Whatever our caller ignores. */
static inline void test_begin(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGALRM, test_timed_out);
    alarm(TEST_TIMEOUT);
}

/* --------------------------------------------------------------- checks */

#define CHECK(condition)                                                      \
    test_check((condition), #condition, __FILE__, __LINE__)
#define CHECK_INT(actual, expected)                                           \
    test_check_int((actual), (expected), #actual, __FILE__, __LINE__)
#define CHECK_UINT(actual, expected)                                          \
    test_check_uint((actual), (expected), #actual, __FILE__, __LINE__)
#define CHECK_STR(actual, expected)                                           \
    test_check_str((actual), (expected), #actual, __FILE__, __LINE__)
#define CHECK_MEM(actual, expected, length)                                   \
    test_check_mem((actual), (expected), (length), #actual, __FILE__, __LINE__)

/* A call that returns 0, or -1 with *err filled.  CHECK_FAILS clears it. */
#define CHECK_OK(call, err)                                                   \
    test_check_ok((call), (err), #call, __FILE__, __LINE__)
#define CHECK_FAILS(call, err, message)                                       \
    test_check_fails((call), (err), (message), #call, __FILE__, __LINE__)

/* Returns false if enough has been shown. */
static inline bool test_fail(const char *what, const char *file, int line)
{
    test_failures++;
    if (++test_case_failures > TEST_SHOWN)
        return false;
    fprintf(stderr, "%s:%d: %s%s%s\n", file, line, test_case_name,
            test_case_name[0] != '\0' ? ": " : "", what);
    return true;
}

static inline bool test_check(bool holds, const char *what, const char *file,
                              int line)
{
    if (!holds)
        test_fail(what, file, line);
    return holds;
}

static inline bool test_check_int(intmax_t actual, intmax_t expected,
                                  const char *what, const char *file, int line)
{
    if (actual == expected)
        return true;
    if (test_fail(what, file, line))
        fprintf(stderr, "    expected %jd\n    actual   %jd\n", expected,
                actual);
    return false;
}

static inline bool test_check_uint(uintmax_t actual, uintmax_t expected,
                                   const char *what, const char *file,
                                   int line)
{
    if (actual == expected)
        return true;
    if (test_fail(what, file, line))
        fprintf(stderr, "    expected %ju (0x%jx)\n    actual   %ju (0x%jx)\n",
                expected, expected, actual, actual);
    return false;
}

/* Either may be NULL. */
static inline bool test_check_str(const char *actual, const char *expected,
                                  const char *what, const char *file, int line)
{
    if (actual == NULL || expected == NULL ? actual == expected
                                           : strcmp(actual, expected) == 0)
        return true;
    if (test_fail(what, file, line))
        fprintf(stderr, "    expected %s\n    actual   %s\n",
                expected != NULL ? expected : "(NULL)",
                actual != NULL ? actual : "(NULL)");
    return false;
}

static inline bool test_check_mem(const void *actual, const void *expected,
                                  size_t length, const char *what,
                                  const char *file, int line)
{
    const unsigned char *a = actual, *e = expected;

    for (size_t i = 0; i < length; i++) {
        if (a[i] == e[i])
            continue;
        if (test_fail(what, file, line))
            fprintf(stderr,
                    "    expected 0x%02x at byte %zu of %zu\n"
                    "    actual   0x%02x\n",
                    e[i], i, length, a[i]);
        return false;
    }
    return true;
}

static inline bool test_check_ok(int r, const struct error *err,
                                 const char *what, const char *file, int line)
{
    if (r == 0)
        return true;
    if (test_fail(what, file, line))
        fprintf(stderr, "    expected 0\n    actual   %d: %s\n", r,
                r == -1 ? err->msg : "?");
    return false;
}

static inline bool test_check_fails(int r, struct error *err,
                                    const char *message, const char *what,
                                    const char *file, int line)
{
    const char *actual = r == -1 ? err->msg : "success";
    bool holds = test_check_str(actual, message, what, file, line);

    *err = (struct error){0};
    return holds;
}

/* -------------------------------------------------------------- helpers */

/* The same numbers in each run. */
static inline uint32_t test_random(uint32_t below)
{
    static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) % below);
}

static inline void test_fill_random(void *buf, size_t length)
{
    unsigned char *p = buf;

    for (size_t i = 0; i < length; i++)
        p[i] = (unsigned char)test_random(256);
}

/* A file in memory, without a name. */
static inline int test_memory_file(void)
{
    return compat_memfd_create("test", MFD_CLOEXEC);
}

static inline double test_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

/* Polls, TEST_PATIENCE at most, until condition holds: does it? */
#define TEST_WAIT(condition)                                                  \
    __extension__({                                                           \
        double deadline_ = test_seconds() + TEST_PATIENCE;                    \
        bool holds_;                                                          \
        while (!(holds_ = (condition)) && test_seconds() < deadline_)         \
            poll(NULL, 0, 1);                                                 \
        holds_;                                                               \
    })

/* For setup that a test cannot do without. */
static inline void test_require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "cannot set up the test: %s: %s\n", what, strerror(errno));
    exit(99);
}

/* A new directory, which has to be empty again at test_end. */
static inline const char *test_dir(void)
{
    const char *tmpdir = getenv("TMPDIR");

    if (test_dir_name[0] != '\0')
        return test_dir_name;
    snprintf(test_dir_name, sizeof test_dir_name, "%s/qcow-tool-test.XXXXXX",
             tmpdir != NULL && tmpdir[0] != '\0' ? tmpdir : "/tmp");
    test_require(mkdtemp(test_dir_name) != NULL, "mkdtemp");
    return test_dir_name;
}

/* A new and empty file that has no name any more. */
static inline int test_file(void)
{
    char name[300];
    int fd;

    snprintf(name, sizeof name, "%s/XXXXXX", test_dir());
    fd = mkstemp(name);
    test_require(fd != -1, "mkstemp");
    unlink(name);
    return fd;
}

/* Runs function in a process of its own, for what cannot be undone.  Checks
 * that fail there count.
 */
static inline void test_in_child(void (*function)(void))
{
    int status = -1;
    pid_t pid = fork();

    test_require(pid != -1, "fork");
    if (pid == 0) {
        alarm(TEST_TIMEOUT);
        test_failures = 0;
        function();
        _exit(test_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    test_require(waitpid(pid, &status, 0) == pid, "waitpid");
    CHECK_INT(status, 0);
}

static inline int test_end(void)
{
    TEST("the end of the test");
    if (test_dir_name[0] != '\0')
        CHECK_INT(rmdir(test_dir_name), 0); /* no file was left in it */
    if (test_failures > 0)
        fprintf(stderr, "%u checks failed\n", test_failures);
    return test_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
