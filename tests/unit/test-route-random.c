/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests that each byte comes to where it belongs, whenever that is known. */

#include "config.h"

#include "base/io.h"
#include "import/route.h"
#include "import/target-file.h"
#include "test.h"

#include <fcntl.h>
#include <sys/eventfd.h>

/* Half of the file's blocks are data. */
enum {
    BLOCK = 512,
    WINDOWS = 16,
    EACH = 64, /* blocks of a window */
    BLOCKS = WINDOWS * EACH,
    DISK_LENGTH = BLOCKS * BLOCK,
    FILE_LENGTH = 2 * DISK_LENGTH,
};

static unsigned char stream[FILE_LENGTH], expected[DISK_LENGTH];
static uint32_t where[2 * BLOCKS]; /* the file's blocks, in another order */

static const struct qemu no_qemu = {.img = "/none/img",
                                    .io = "/none/io",
                                    .nbd = "/none/nbd"};

/* Runs, and jumps back and forth. */
static void shuffle(void)
{
    for (uint32_t i = 0; i < 2 * BLOCKS; i++) {
        uint32_t back = test_random(8) == 0 ? test_random(40) : 0;
        uint32_t j = back < i ? i - back : i;

        where[i] = where[j];
        where[j] = i;
    }
}

static void take_window(struct route *route, uint64_t number)
{
    struct mapper_window w = {.mapped = EACH * BLOCK};
    struct filemap_batch batch = {0};
    struct error err;

    for (uint64_t i = number * EACH; i < (number + 1) * EACH; i++) {
        uint64_t from = (uint64_t)where[i * 2] * BLOCK;

        CHECK_OK(filemap_batch_add(&batch, from, BLOCK, i * BLOCK, &err),
                 &err);
        memcpy(expected + i * BLOCK, stream + from, BLOCK);
    }
    CHECK_OK(filemap_merge(&w.data, &batch, &err), &err);
    CHECK_OK(route_add_window(route, &w, &err), &err);
    filemap_clear(&w.data);
}

/* The next piece, of which less may come than was asked for, but for data. */
static void receive(struct route *route, struct inbox *inbox)
{
    static unsigned char memory[FILE_LENGTH + IO_ALIGN]
        __attribute__((aligned(IO_ALIGN)));
    uint64_t at = inbox_arrived(inbox), length;
    struct route_piece piece;
    struct error err;
    unsigned char *buf;

    route_next(route, io_min(1 + test_random(65536), FILE_LENGTH - at),
               &piece);
    length = piece.length;
    if (piece.kind != ROUTE_DISK && test_random(2) == 0)
        length = 1 + test_random((uint32_t)length);
    buf = memory + piece.disk_offset % IO_ALIGN;
    memcpy(buf, stream + at, length);
    CHECK_OK(route_deliver(route, &piece, buf, length, &err), &err);
}

static bool is_idle(struct route *route, int wake_fd)
{
    struct error err;
    eventfd_t n;

    while (!route_is_idle(route)) {
        if (route_check(route, &err) == -1)
            return CHECK_OK(-1, &err);
        if (io_wait(wake_fd, POLLIN, -1, TEST_PATIENCE * 1000) != 1)
            return false;
        eventfd_read(wake_fd, &n);
    }
    return true;
}

static void check_disk(const char *path)
{
    static unsigned char buf[DISK_LENGTH + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    test_require(fd != -1, "open");
    CHECK_INT(io_pread_full(fd, buf, sizeof buf, 0), DISK_LENGTH);
    CHECK_MEM(buf, expected, DISK_LENGTH);
    close(fd);
}

static void run(bool is_direct)
{
    struct route_options options = {
        .qemu = &no_qemu,
        .disk_size = DISK_LENGTH,
        .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
    };
    uint64_t window = 0, pace = 1 + test_random(20);
    struct route_totals totals;
    const struct target_file_how how = {.is_direct = is_direct};
    struct target *target;
    struct inbox *inbox;
    struct route *route;
    struct error err;
    char path[300];

    shuffle();
    snprintf(path, sizeof path, "%s/disk", test_dir());
    test_require(options.wake_fd != -1, "eventfd");
    if (!CHECK_OK(target_file_open(path, &how, &target, &err), &err) ||
        !CHECK_OK(target_create(target, DISK_LENGTH, &err), &err) ||
        !CHECK_OK(inbox_new(test_dir(), 0, &inbox, &err), &err))
        exit(test_end());
    options.target = target;
    options.inbox = inbox;
    if (!CHECK_OK(route_open(&options, &route, &err), &err))
        exit(test_end());
    inbox_allow(inbox, FILE_LENGTH);
    while (inbox_arrived(inbox) < FILE_LENGTH || window < WINDOWS) {
        if (window < WINDOWS && test_random((uint32_t)pace) == 0)
            take_window(route, window++);
        else if (inbox_arrived(inbox) < FILE_LENGTH)
            receive(route, inbox);
    }
    CHECK(route_is_complete(route));
    CHECK(is_idle(route, options.wake_fd));
    check_disk(path);
    totals = route_totals(route);
    CHECK_UINT(totals.routed + totals.moved, DISK_LENGTH);
    route_free(route);
    inbox_free(inbox);
    target_close(target);
    close(options.wake_fd);
}

int main(void)
{
    test_begin();
    test_fill_random(stream, sizeof stream);
    TEST("whenever windows come, each byte comes to where it belongs");
    for (int i = 0; i < 20; i++)
        run(false);
    TEST("so it does with O_DIRECT");
    run(true);
    return test_end();
}
