/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the thread that does jobs. */

#include "config.h"

#include "base/io.h"
#include "base/worker.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

enum { JOBS = 5000, TIMEOUT_MS = TEST_PATIENCE * 1000 };

/* What the work is told, and says. */
struct work {
    atomic_uint done;        /* jobs */
    uint64_t fail_at;        /* the job that fails; 0: none does */
    bool waits_for_stop;     /* in its first job */
    atomic_bool is_stopped;  /* it was, and returned */
    atomic_bool is_in_order; /* so far */
    pthread_t caller;        /* not the worker's thread */
    atomic_bool is_other;    /* it runs in a thread of its own */
    atomic_bool may_go_on;   /* if is_gated */
    bool is_gated;
};

/* Jobs have numbers: their disk offset is 1 for the first. */
static int do_jobs(void *opaque, struct worker *worker, const struct job *jobs,
                   size_t count, struct error *err)
{
    struct work *w = opaque;

    w->is_other = !pthread_equal(pthread_self(), w->caller);
    for (size_t i = 0; i < count; i++) {
        uint64_t number = jobs[i].disk_offset;

        if (number != w->done + 1 || jobs[i].length != number * 2 ||
            jobs[i].file_offset != number * 3)
            w->is_in_order = false;
        if (w->waits_for_stop) {
            if (io_wait(worker_stop_fd(worker), POLLIN, -1, TIMEOUT_MS) == 1)
                w->is_stopped = worker_is_stopped(worker);
            return 0;
        }
        while (w->is_gated && !w->may_go_on && !worker_is_stopped(worker))
            poll(NULL, 0, 1);
        if (number == w->fail_at)
            return error_set(err, EIO, "job %u", (unsigned)number);
        w->done++;
    }
    return 0;
}

static struct worker *start(struct work *w, int wake_fd)
{
    struct worker *worker = NULL;
    struct error err;

    w->caller = pthread_self();
    w->is_in_order = true;
    if (!CHECK_OK(worker_start(do_jobs, w, wake_fd, &worker, &err), &err))
        exit(test_end());
    return worker;
}

static void add(struct worker *worker, uint64_t number)
{
    const struct job job = {number, number * 2, number * 3};
    struct error err;

    CHECK_OK(worker_add(worker, &job, &err), &err);
}

static int make_wake_fd(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    test_require(fd != -1, "eventfd");
    return fd;
}

/* Waits to be woken, as a caller does who then looks what it was. */
static bool is_woken(int wake_fd)
{
    eventfd_t n;

    return io_wait(wake_fd, POLLIN, -1, TIMEOUT_MS) == 1 &&
           eventfd_read(wake_fd, &n) == 0;
}

/* Only by being woken does the caller learn it. */
#define WAIT_WOKEN(condition)                                                 \
    __extension__({                                                           \
        bool holds_ = (condition);                                            \
        while (!holds_ && is_woken(wake_fd))                                  \
            holds_ = (condition);                                             \
        holds_;                                                               \
    })

static void test_jobs(void)
{
    int wake_fd = make_wake_fd();
    struct work w = {0};
    struct worker *worker = start(&w, wake_fd);
    struct error err;

    TEST("a worker without jobs becomes idle, and says so");
    CHECK(WAIT_WOKEN(worker_is_idle(worker)));
    CHECK_OK(worker_check(worker, &err), &err);
    CHECK(!worker_is_stopped(worker));
    CHECK_INT(io_wait(worker_stop_fd(worker), POLLIN, -1, 0), 0);

    TEST("jobs are done in order, each once, in another thread");
    for (uint64_t i = 1; i <= JOBS; i++)
        add(worker, i);
    CHECK(WAIT_WOKEN(worker_is_idle(worker)));
    CHECK_UINT(w.done, JOBS);
    CHECK(w.is_in_order);
    CHECK(w.is_other);

    TEST("an idle worker does what comes later");
    for (uint64_t i = 1; i <= 100; i++) {
        add(worker, JOBS + i);
        CHECK(WAIT_WOKEN(worker_is_idle(worker)));
        CHECK_UINT(w.done, JOBS + i);
    }
    CHECK(w.is_in_order);
    CHECK_OK(worker_check(worker, &err), &err);
    worker_free(worker);
    close(wake_fd);
    worker_free(NULL);
}

static void test_busy(void)
{
    int wake_fd = make_wake_fd();
    struct work w = {.is_gated = true};
    struct worker *worker = start(&w, wake_fd);

    TEST("a worker with a job is not idle, from the start of it to its end");
    add(worker, 1);
    for (int i = 0; i < 1000; i++)
        CHECK(!worker_is_idle(worker));
    w.may_go_on = true;
    CHECK(WAIT_WOKEN(worker_is_idle(worker)));
    CHECK_UINT(w.done, 1);
    worker_free(worker);
    close(wake_fd);
}

static void test_hold(void)
{
    int wake_fd = make_wake_fd();
    struct work w = {0};
    struct worker *worker = start(&w, wake_fd);

    TEST("a worker that is held takes no jobs, and is not idle with one");
    worker_hold(worker);
    CHECK(WAIT_WOKEN(worker_is_idle(worker)));
    for (uint64_t i = 1; i <= 100; i++) {
        add(worker, i);
        CHECK(!worker_is_idle(worker));
    }
    CHECK_UINT(w.done, 0);

    TEST("once released it does them all");
    worker_release(worker);
    CHECK(WAIT_WOKEN(worker_is_idle(worker)));
    CHECK_UINT(w.done, 100);
    CHECK(w.is_in_order);

    TEST("one that is held can be freed");
    worker_hold(worker);
    add(worker, 101);
    worker_free(worker);
    CHECK_UINT(w.done, 100);
    close(wake_fd);
}

static void test_failure(void)
{
    int wake_fd = make_wake_fd();
    struct work w = {.fail_at = 3};
    struct worker *worker = start(&w, wake_fd);
    struct error err = {0};

    TEST("a job that fails ends the work, and is told");
    worker_hold(worker);
    for (uint64_t i = 1; i <= 100; i++)
        add(worker, i);
    worker_release(worker);
    CHECK(WAIT_WOKEN(worker_check(worker, &err) == -1));
    for (int i = 0; i < 2; i++) /* each time */
        CHECK_FAILS(worker_check(worker, &err), &err,
                    "job 3: Input/output error");
    CHECK_UINT(w.done, 2);

    TEST("who has failed does no more, and is never idle");
    add(worker, 3);
    CHECK(!worker_is_idle(worker));
    CHECK_FAILS(worker_check(worker, &err), &err, "job 3: Input/output error");
    worker_free(worker);
    CHECK_UINT(w.done, 2);
    close(wake_fd);
}

static void test_stop(void)
{
    int wake_fd = make_wake_fd();
    struct work w = {.waits_for_stop = true};
    struct worker *worker = start(&w, wake_fd);

    TEST("a worker is stopped in the middle of its work");
    add(worker, 1);
    add(worker, 2);
    worker_free(worker);
    CHECK_UINT(w.done, 0);
    CHECK(w.is_in_order);

    TEST("one that is freed at once may never have begun");
    for (int i = 0; i < 200; i++) {
        w = (struct work){0};
        worker = start(&w, wake_fd);
        for (uint64_t j = 1; j <= 10; j++)
            add(worker, j);
        worker_free(worker);
        CHECK(w.done <= 10);
        CHECK(w.is_in_order);
    }

    TEST("who waits in its work sees that it is to stop");
    w = (struct work){.is_gated = true};
    worker = start(&w, wake_fd);
    add(worker, 1);
    worker_free(worker);
    CHECK(w.done <= 1);
    close(wake_fd);
}

int main(void)
{
    test_begin();
    test_jobs();
    test_busy();
    test_hold();
    test_failure();
    test_stop();
    return test_end();
}
