/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Locks of a scope, and what must be held. */

#include "config.h"

#include "base/io.h"
#include "base/lock.h"

#include "test.h"

#include <sys/resource.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned counter;

static int leave_early(bool is_early)
{
    LOCK_FOR_SCOPE(&lock);

    CHECK(lock_is_held(&lock));
    if (is_early)
        return 1;
    CHECK(lock_is_held(&lock));
    return 2;
}

static void test_scope(void)
{
    TEST("a lock is released however its scope is left");
    CHECK(!lock_is_held(&lock));
    CHECK_INT(leave_early(true), 1);
    CHECK(!lock_is_held(&lock));
    CHECK_INT(leave_early(false), 2);
    CHECK(!lock_is_held(&lock));
    for (int i = 0; i < 3; i++) {
        LOCK_FOR_SCOPE(&lock);

        if (i == 1)
            continue;
        LOCK_ASSERT_HELD(&lock);
    }
    CHECK(!lock_is_held(&lock));
}

static void *count(void *unused)
{
    (void)unused;
    for (int i = 0; i < 10000; i++) {
        LOCK_FOR_SCOPE(&lock);

        counter++;
    }
    return NULL;
}

static void test_exclusion(void)
{
    pthread_t threads[4];

    TEST("one thread at a time is in the scope");
    for (int i = 0; i < 4; i++)
        test_require(pthread_create(&threads[i], NULL, count, NULL) == 0,
                     "pthread_create");
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_UINT(counter, 40000);
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

/* Could another thread take it now? */
static bool may_read(void)
{
    return pthread_rwlock_tryrdlock(&rwlock) == 0 &&
           pthread_rwlock_unlock(&rwlock) == 0;
}

static bool may_write(void)
{
    return pthread_rwlock_trywrlock(&rwlock) == 0 &&
           pthread_rwlock_unlock(&rwlock) == 0;
}

static int leave_readers_early(void)
{
    READ_LOCK_FOR_SCOPE(&rwlock);
    CHECK(may_read());
    CHECK(!may_write());
    return 1;
}

static int leave_writers_early(void)
{
    WRITE_LOCK_FOR_SCOPE(&rwlock);
    CHECK(!may_read());
    CHECK(!may_write());
    return 1;
}

static void test_readers_and_writers(void)
{
    TEST("who reads shares a lock, who writes has it alone");
    CHECK_INT(leave_readers_early(), 1);
    CHECK(may_write());
    CHECK_INT(leave_writers_early(), 1);
    CHECK(may_write());
}

static void abort_unheld(void)
{
    LOCK_ASSERT_HELD(&lock);
}

static void abort_false(void)
{
    ASSERT(counter == 1);
}

/* Runs function with its standard error in text.  Returns its wait status. */
static int run_aborting(void (*function)(void), char text[256])
{
    static const struct rlimit no_core = {0, 0};
    int fds[2], status = -1;
    ssize_t n;
    pid_t pid;

    test_require(pipe(fds) == 0, "pipe");
    pid = fork();
    test_require(pid != -1, "fork");
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(fds[1], STDERR_FILENO);
        function();
        _exit(0);
    }
    close(fds[1]);
    n = io_read_full(fds[0], text, 255);
    text[n > 0 ? n : 0] = '\0';
    close(fds[0]);
    test_require(waitpid(pid, &status, 0) == pid, "waitpid");
    return status;
}

static void test_assertions(void)
{
    char text[256];
    int status;

    TEST("a condition that does not hold aborts and says where");
    status = run_aborting(abort_false, text);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(text, "test-lock.c:") != NULL);
    CHECK(strstr(text, ": counter == 1 does not hold\n") != NULL);

    TEST("a lock that nobody holds aborts where it has to be held");
    status = run_aborting(abort_unheld, text);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(text, "lock_is_held(&lock) does not hold\n") != NULL);
}

int main(void)
{
    test_begin();
    test_scope();
    test_exclusion();
    test_readers_and_writers();
    test_assertions();
    return test_end();
}
