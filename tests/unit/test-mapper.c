/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests that mapping waits while too much of its result is held. */

/* The image is a real one, and so is the qemu-img that maps it.  Only what is
 * held is said by hand.
 */

#include "config.h"

#include "base/io.h"
#include "import/mapper.h"
#include "shared-inbox.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

enum { DISK_SIZE = 32 << 20 };

static const uint64_t held_at_first = UINT64_C(8) << 20;
static const uint64_t held_per_byte = 8;

static uint64_t length; /* of the image, which is at the front of stream */

/* What the mapper calls: how much is held, and what came of it. */
static struct {
    atomic_uint_fast64_t held, needed_end;
    atomic_uint asked; /* how often */
    atomic_uint_fast64_t mapped;
} s;

static int give_window(void *opaque, struct mapper_window *w,
                       struct error *err)
{
    (void)opaque;
    (void)err;
    s.mapped += w->mapped;
    return 0;
}

static uint64_t tell_backlog(void *opaque, uint64_t *needed_end)
{
    (void)opaque;
    *needed_end = s.needed_end;
    s.asked++;
    return s.held;
}

/* All clusters are allocated, so qemu-img has something to say. */
static void make_image(void)
{
    char path[300], command[500];
    int fd;

    snprintf(path, sizeof path, "%s/image", test_dir());
    snprintf(command, sizeof command,
             "qemu-img create -q -f qcow2 -o preallocation=metadata,"
             "cluster_size=65536 '%s' %d",
             path, DISK_SIZE);
    test_require(system(command) == 0, "qemu-img");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    test_require(fd != -1, "open");
    length = io_min(lseek(fd, 0, SEEK_END), LONGEST);
    test_require(io_pread_full(fd, stream, length, 0) == (ssize_t)length,
                 "pread");
    close(fd);
    unlink(path);
}

static struct inbox *inbox;
static struct mapper *mapper;
static int wake_fd;

/* All of the image that is there arrives, and the mapper begins. */
static void begin(uint64_t held, uint64_t needed_end)
{
    static struct qemu qemu;
    static struct gate_image image;
    struct error err;

    qemu = (struct qemu){.sandbox = CAGE_OFF};
    qemu_find(&qemu);
    s.held = held;
    s.needed_end = needed_end;
    s.asked = 0;
    s.mapped = 0;
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    test_require(wake_fd != -1, "eventfd");
    inbox = make_inbox(0);
    append(inbox, 0, length);
    if (!CHECK_OK(gate_check(stream, GATE_HEADER, &image, &err), &err) ||
        !CHECK_OK(mapper_start(&qemu, inbox, &image, give_window, tell_backlog,
                               NULL, wake_fd, &mapper, &err),
                  &err))
        exit(test_end());
}

static void end(void)
{
    mapper_free(mapper);
    inbox_free(inbox);
    close(wake_fd);
}

/* It is asked again and again how much is held. */
static void check_waiting(void)
{
    unsigned asked = s.asked;

    CHECK(TEST_WAIT(s.asked >= asked + 3 || mapper_is_done(mapper)));
    CHECK_UINT(mapper_runs(mapper), 0);
    CHECK(!mapper_is_done(mapper));
}

static void check_done(void)
{
    struct error err;

    CHECK(TEST_WAIT(mapper_is_done(mapper) || mapper_check(mapper, &err)));
    CHECK_OK(mapper_check(mapper, &err), &err);
    CHECK_UINT(mapper_runs(mapper), 1);
    CHECK_UINT(mapper_windows(mapper), 1);
    CHECK_UINT(s.mapped, DISK_SIZE);
}

static bool has_failed(struct error *err)
{
    return mapper_check(mapper, err) == -1;
}

int main(void)
{
    struct error err = {0};
    uint64_t most;

    test_begin();
    make_image();
    most = held_at_first + held_per_byte * length;

    TEST("as much may be held as goes with what has come");
    begin(most, UINT64_MAX);
    check_done();
    end();

    TEST("a byte more, and nothing is mapped");
    begin(most + 1, UINT64_MAX);
    check_waiting();

    TEST("some more of the stream may be kept meanwhile");
    CHECK_UINT(inbox_allowed(inbox), 512 << 10);

    TEST("once less is held it goes on");
    s.held = most;
    check_done();
    end();

    TEST("once more has come, more may be held");
    begin(most + 1, UINT64_MAX);
    check_waiting();
    inbox_skip(inbox, 1);
    check_done();
    end();

    TEST("a stream that has ended before what it needs is truncated");
    begin(most + 1, length + 1);
    check_waiting();
    inbox_end_stream(inbox, false, NULL);
    CHECK(TEST_WAIT(has_failed(&err) || mapper_is_done(mapper)));
    CHECK(strncmp(err.msg, "source: truncated: ", 19) == 0);
    CHECK_UINT(mapper_runs(mapper), 0);
    end();

    TEST("all that is needed has come: what is held will not grow less");
    begin(most + 1, length);
    check_waiting();
    inbox_end_stream(inbox, false, NULL);
    check_done();
    end();

    TEST("it can be called off while it waits");
    begin(most + 1, UINT64_MAX);
    check_waiting();
    end();
    return test_end();
}
