/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Scripts that the tests of child.c run, and what goes in and out of them. */

#ifndef QT_CHILD_SCRIPT_H
#define QT_CHILD_SCRIPT_H

#include "base/child.h"
#include "base/io.h"
#include "base/signals.h"
#include "test.h"

#include <fcntl.h>

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

/* As main does; and programs speak English. */
static inline void child_tests_begin(void)
{
    struct error err;

    test_begin();
    setenv("LC_ALL", "C", 1);
    CHECK_OK(signals_open(&err), &err);
}

static inline char pattern(uint64_t at)
{
    return (char)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

static inline size_t feed(void *opaque, char *buf, size_t space)
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

static inline int consume(void *opaque, const char *text, size_t length,
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
static inline int run_script(const char *script, struct traffic *t,
                             int inherit, int cancel_fd, struct error *err)
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
static inline const char *with_fd(const char *script, int fd)
{
    static char text[256];

    snprintf(text, sizeof text, script, fd);
    return text;
}
#pragma GCC diagnostic pop

static inline void make_pipe(int fds[2])
{
    test_require(pipe2(fds, O_CLOEXEC) == 0, "pipe2");
}

/* fd is the end of a pipe whose other end only children have: are they all
 * gone within the time?
 */
static inline bool is_left_alone(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = 0};

    return poll(&poll_fd, 1, TEST_PATIENCE * 1000) == 1;
}

static inline int run_program(const char *program, struct error *err)
{
    const char *const argv[] = {program, NULL};
    const struct child_spec spec = {.argv = argv, .cancel_fd = -1};

    return child_run(&spec, err);
}

#endif
