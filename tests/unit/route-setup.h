/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A route, what is around it, and what the mapper and the receiver do. */

#ifndef QT_TEST_ROUTE_SETUP_H
#define QT_TEST_ROUTE_SETUP_H

#include "base/io.h"
#include "import/route.h"
#include "import/target-file.h"
#include "test.h"

#include <fcntl.h>
#include <sys/eventfd.h>

enum { K = 1024, LONGEST = 1024 * K, FOREIGN = 0xee };

static unsigned char stream[LONGEST];

/* A route and what is around it.  The disk is full of FOREIGN. */
static struct {
    struct inbox *inbox;
    struct target *target;
    struct route *route;
    int wake_fd;
    char path[300];
    uint64_t size;                   /* of the target */
    unsigned char expected[LONGEST]; /* on the disk in the end */
} s;

static const struct qemu no_qemu = {.img = "/none/img",
                                    .io = "/none/io",
                                    .nbd = "/none/nbd"};

struct setup {
    uint64_t disk_size;
    uint64_t missing; /* the target is so much shorter */
    bool is_created, is_prezeroed, is_direct;
};

static inline void begin(struct setup setup)
{
    struct route_options options = {
        .qemu = &no_qemu,
        .disk_size = setup.disk_size,
        .is_prezeroed = setup.is_prezeroed,
    };
    const struct target_file_how how = {.is_direct = setup.is_direct};
    struct error err;

    s.size = setup.disk_size - setup.missing;
    memset(s.expected, setup.is_created ? 0 : FOREIGN, sizeof s.expected);
    snprintf(s.path, sizeof s.path, "%s/disk", test_dir());
    if (!setup.is_created) {
        int fd = open(s.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        test_require(fd != -1, "open");
        test_require(io_pwrite_full(fd, s.expected, s.size, 0) == 0, "pwrite");
        close(fd);
    }
    s.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    test_require(s.wake_fd != -1, "eventfd");
    options.wake_fd = s.wake_fd;
    if (!CHECK_OK(target_file_open(s.path, &how, &s.target, &err), &err) ||
        !CHECK_OK(target_create(s.target, s.size, &err), &err) ||
        !CHECK_OK(inbox_new(test_dir(), 0, &s.inbox, &err), &err))
        exit(test_end());
    options.target = s.target;
    options.inbox = s.inbox;
    if (!CHECK_OK(route_open(&options, &s.route, &err), &err))
        exit(test_end());
}

static inline void check_disk(void)
{
    static unsigned char buf[LONGEST];
    int fd = open(s.path, O_RDONLY | O_CLOEXEC);

    test_require(fd != -1, "open");
    CHECK_INT(io_pread_full(fd, buf, sizeof buf, 0), (ssize_t)s.size);
    CHECK_MEM(buf, s.expected, s.size);
    close(fd);
}

static inline void end(void)
{
    route_free(s.route);
    inbox_free(s.inbox);
    target_close(s.target);
    close(s.wake_fd);
    unlink(s.path);
}

/* Waits to be woken until all is on the disk. */
static inline bool is_idle(void)
{
    struct error err;
    eventfd_t n;

    while (!route_is_idle(s.route)) {
        if (route_check(s.route, &err) == -1)
            return CHECK_OK(-1, &err);
        if (io_wait(s.wake_fd, POLLIN, -1, TEST_PATIENCE * 1000) != 1)
            return false;
        eventfd_read(s.wake_fd, &n);
    }
    return true;
}

/* All has arrived, and is on the disk as it was expected. */
static inline void check_complete(void)
{
    CHECK(route_is_complete(s.route));
    CHECK(is_idle());
    check_disk();
}

/* A worker fails with message. */
static inline void check_failure(const char *message)
{
    struct error err = {0};
    eventfd_t n;

    while (route_check(s.route, &err) == 0 &&
           io_wait(s.wake_fd, POLLIN, -1, TEST_PATIENCE * 1000) == 1)
        eventfd_read(s.wake_fd, &n);
    CHECK_FAILS(route_check(s.route, &err), &err, message);
}

static inline void check_totals(uint64_t routed, uint64_t moved)
{
    struct route_totals totals = route_totals(s.route);

    CHECK_UINT(totals.routed, routed);
    CHECK_UINT(totals.moved, moved);
    CHECK_UINT(totals.read_back, 0);
}

/* --------------------------------------------------------------- windows */

/* Lists end with an empty entry. */
enum { MOST = 4 };

struct window {
    uint64_t disk_offset, disk_end;
    struct filemap_entry data[MOST];
    struct extent zeroes[MOST], holes[MOST], compressed[MOST];
};

static inline void build(struct extents *extents,
                         const struct extent list[MOST])
{
    struct error err;

    for (size_t i = 0; i < MOST && list[i].length > 0; i++)
        CHECK_OK(extents_append(extents, list[i].disk_offset, list[i].length,
                                &err),
                 &err);
}

static inline int take(const struct window *w, struct error *err)
{
    struct mapper_window window = {.mapped = w->disk_end - w->disk_offset};
    struct filemap_batch batch = {0};
    int r;

    for (size_t i = 0; i < MOST && w->data[i].length > 0; i++) {
        const struct filemap_entry *e = &w->data[i];

        CHECK_OK(filemap_batch_add(&batch, e->file_offset, e->length,
                                   e->disk_offset, err),
                 err);
        memcpy(s.expected + e->disk_offset, stream + e->file_offset,
               e->length);
    }
    CHECK_OK(filemap_merge(&window.data, &batch, err), err);
    build(&window.zeroes, w->zeroes);
    build(&window.holes, w->holes);
    build(&window.compressed, w->compressed);
    r = route_add_window(s.route, &window, err);
    filemap_clear(&window.data);
    extents_clear(&window.zeroes);
    extents_clear(&window.holes);
    extents_clear(&window.compressed);
    return r;
}

static inline void take_ok(struct window w)
{
    struct error err;

    CHECK_OK(take(&w, &err), &err);
}

/* ------------------------------------------------------------- receiving */

/* Asks for the next piece, which must be that. */
static inline struct route_piece next(uint64_t length, enum route_kind kind,
                                      uint64_t expected_length)
{
    struct route_piece piece;

    route_next(s.route, length, &piece);
    CHECK_INT(piece.kind, kind);
    if (kind != ROUTE_WAIT)
        CHECK_UINT(piece.length, expected_length);
    return piece;
}

static inline void deliver(struct route_piece piece, uint64_t length)
{
    static unsigned char memory[LONGEST + IO_ALIGN]
        __attribute__((aligned(IO_ALIGN)));
    unsigned char *buf = memory + piece.disk_offset % IO_ALIGN;
    uint64_t at = inbox_arrived(s.inbox);
    struct error err;

    memcpy(buf, stream + at, length);
    CHECK_OK(route_deliver(s.route, &piece, buf, length, &err), &err);
    CHECK_UINT(inbox_arrived(s.inbox), at + length);
}

static inline void receive(enum route_kind kind, uint64_t length)
{
    deliver(next(length, kind, length), length);
}

#endif
