/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests that each byte of a stream comes to where it belongs. */

/* The stream is random bytes, and windows say by hand what they are. */

#include "config.h"

#include "base/io.h"
#include "base/worker.h"
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

static void begin(struct setup setup)
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

static void check_disk(void)
{
    static unsigned char buf[LONGEST];
    int fd = open(s.path, O_RDONLY | O_CLOEXEC);

    test_require(fd != -1, "open");
    CHECK_INT(io_pread_full(fd, buf, sizeof buf, 0), (ssize_t)s.size);
    CHECK_MEM(buf, s.expected, s.size);
    close(fd);
}

static void end(void)
{
    route_free(s.route);
    inbox_free(s.inbox);
    target_close(s.target);
    close(s.wake_fd);
    unlink(s.path);
}

/* Waits to be woken until all is on the disk. */
static bool is_idle(void)
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
static void check_complete(void)
{
    CHECK(route_is_complete(s.route));
    CHECK(is_idle());
    check_disk();
}

/* A worker fails with message. */
static void check_failure(const char *message)
{
    struct error err = {0};
    eventfd_t n;

    while (route_check(s.route, &err) == 0 &&
           io_wait(s.wake_fd, POLLIN, -1, TEST_PATIENCE * 1000) == 1)
        eventfd_read(s.wake_fd, &n);
    CHECK_FAILS(route_check(s.route, &err), &err, message);
}

static void check_totals(uint64_t routed, uint64_t moved)
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

static void build(struct extents *extents, const struct extent list[MOST])
{
    struct error err;

    for (size_t i = 0; i < MOST && list[i].length > 0; i++)
        CHECK_OK(extents_append(extents, list[i].disk_offset, list[i].length,
                                &err),
                 &err);
}

static int take(const struct window *w, struct error *err)
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

static void take_ok(struct window w)
{
    struct error err;

    CHECK_OK(take(&w, &err), &err);
}

/* ------------------------------------------------------------- receiving */

/* Asks for the next piece, which must be that. */
static struct route_piece next(uint64_t length, enum route_kind kind,
                               uint64_t expected_length)
{
    struct route_piece piece;

    route_next(s.route, length, &piece);
    CHECK_INT(piece.kind, kind);
    if (kind != ROUTE_WAIT)
        CHECK_UINT(piece.length, expected_length);
    return piece;
}

static void deliver(struct route_piece piece, uint64_t length)
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

static void receive(enum route_kind kind, uint64_t length)
{
    deliver(next(length, kind, length), length);
}

/* ---------------------------------------------------------------- pieces */

static void test_ahead(void)
{
    struct route_piece piece;
    bool is_known;

    TEST("what nobody allowed is waited for");
    begin((struct setup){.disk_size = 512 * K});
    CHECK_UINT(route_needed_end(s.route, &is_known), 0);
    CHECK(!is_known);
    next(LONGEST, ROUTE_WAIT, 0);

    TEST("what nobody knows is kept, as far as it is allowed");
    inbox_allow(s.inbox, 100 * K);
    receive(ROUTE_KEEP, 10 * K);
    deliver(next(LONGEST, ROUTE_KEEP, 90 * K), 90 * K);
    next(LONGEST, ROUTE_WAIT, 0);

    TEST("data that is known goes to the disk, allowed or not");
    take_ok((struct window){.disk_end = 256 * K,
                            .data = {{100 * K, 64 * K, 128 * K},
                                     {200 * K, 512, 0}}});
    CHECK(io_wait(s.wake_fd, POLLIN, -1, 0) == 1);
    CHECK_UINT(route_needed_end(s.route, &is_known), 200 * K + 512);
    CHECK(!is_known);
    piece = next(10 * K, ROUTE_DISK, 10 * K);
    CHECK_UINT(piece.disk_offset, 128 * K);
    deliver(piece, 10 * K);
    piece = next(LONGEST, ROUTE_DISK, 54 * K);
    CHECK_UINT(piece.disk_offset, 138 * K);
    deliver(piece, 54 * K);
    check_totals(64 * K, 0);

    TEST("between data the unknown is kept, if it is allowed");
    next(LONGEST, ROUTE_WAIT, 0);
    inbox_allow(s.inbox, LONGEST);
    deliver(next(LONGEST, ROUTE_KEEP, 36 * K), 36 * K);
    CHECK(!route_is_complete(s.route));

    TEST("once all is mapped what nobody needs is dropped");
    take_ok((struct window){.disk_offset = 256 * K,
                            .disk_end = 512 * K,
                            .data = {{300 * K, 4 * K, 500 * K}}});
    CHECK_UINT(route_needed_end(s.route, &is_known), 304 * K);
    CHECK(is_known);
    receive(ROUTE_DISK, 512);
    deliver(next(LONGEST, ROUTE_DROP, 100 * K - 512), 100 * K - 512);
    CHECK(!route_is_complete(s.route));
    receive(ROUTE_DISK, 4 * K);
    CHECK(route_is_complete(s.route));
    receive(ROUTE_DROP, 400 * K);
    CHECK_UINT(inbox_appended(s.inbox), 136 * K);
    check_totals(68 * K + 512, 0);
    check_complete();
    end();
}

static void test_late(void)
{
    TEST("data that arrived before it was known is moved");
    begin((struct setup){.disk_size = 512 * K});
    inbox_allow(s.inbox, LONGEST);
    receive(ROUTE_KEEP, 300 * K);
    take_ok((struct window){.disk_end = 512 * K,
                            .data = {{50 * K, 64 * K, 100 * K},
                                     {114 * K, 3 * K, 512},
                                     {299 * K, K, 511 * K}}});
    check_complete();
    check_totals(0, 68 * K);
    end();

    TEST("a part that arrived is moved, the rest is routed");
    begin((struct setup){.disk_size = 512 * K});
    inbox_allow(s.inbox, LONGEST);
    receive(ROUTE_KEEP, 100 * K);
    take_ok((struct window){.disk_end = 512 * K,
                            .data = {{80 * K, 64 * K, 3 * 512}}});
    CHECK(is_idle());
    check_totals(0, 20 * K);
    CHECK(!route_is_complete(s.route));
    receive(ROUTE_DISK, 44 * K);
    check_complete();
    check_totals(44 * K, 20 * K);
    end();
}

/* What the receiver has asked for while the window came. */
static void test_decided(void)
{
    struct route_piece piece;

    TEST("data inside a piece that was decided is moved when it is there");
    begin((struct setup){.disk_size = 512 * K});
    inbox_allow(s.inbox, LONGEST);
    piece = next(100 * K, ROUTE_KEEP, 100 * K);
    take_ok(
        (struct window){.disk_end = 512 * K, .data = {{50 * K, 100 * K, 0}}});
    CHECK(!route_is_idle(s.route));
    deliver(piece, 100 * K);
    deliver(next(LONGEST, ROUTE_DISK, 50 * K), 50 * K);
    check_complete();
    check_totals(50 * K, 50 * K);
    end();

    TEST("of a piece of which less came the rest is kept all the same");
    begin((struct setup){.disk_size = 512 * K});
    inbox_allow(s.inbox, LONGEST);
    deliver(next(100 * K, ROUTE_KEEP, 100 * K), 30 * K);
    take_ok((struct window){.disk_end = 512 * K,
                            .data = {{20 * K, 100 * K, 100 * K}}});
    deliver(next(LONGEST, ROUTE_KEEP, 70 * K), 5 * K);
    deliver(next(10 * K, ROUTE_KEEP, 10 * K), 10 * K);
    deliver(next(LONGEST, ROUTE_KEEP, 55 * K), 55 * K);
    deliver(next(LONGEST, ROUTE_DISK, 20 * K), 20 * K);
    check_complete();
    check_totals(20 * K, 80 * K);
    end();

    TEST("of a piece that is dropped of which less came the rest is, too");
    begin((struct setup){.disk_size = 512 * K});
    inbox_allow(s.inbox, LONGEST);
    take_ok((struct window){.disk_end = 512 * K, .data = {{300 * K, K, 0}}});
    deliver(next(LONGEST, ROUTE_DROP, 300 * K), 10 * K);
    deliver(next(LONGEST, ROUTE_DROP, 290 * K), 290 * K);
    CHECK_UINT(inbox_appended(s.inbox), 0);
    receive(ROUTE_DISK, K);
    check_complete();
    end();
}

static void test_backlog(void)
{
    const uint64_t entry = sizeof(struct filemap_entry);
    const uint64_t job = sizeof(struct job);
    uint64_t needed_end;

    TEST("what a window says of data to come is held until that has come");
    begin((struct setup){.disk_size = 512 * K});
    CHECK_UINT(route_backlog(s.route, &needed_end), 0);
    CHECK_UINT(needed_end, 0);
    take_ok((struct window){
        .disk_end = 512 * K,
        .data = {{0, K, 64 * K}, {K, K, 0}, {4 * K, K, 128 * K}}});
    CHECK_UINT(route_backlog(s.route, &needed_end), 3 * entry);
    CHECK_UINT(needed_end, 5 * K);
    receive(ROUTE_DISK, K);
    CHECK_UINT(route_backlog(s.route, &needed_end), 2 * entry);
    receive(ROUTE_DISK, K);
    receive(ROUTE_DROP, 2 * K);
    CHECK_UINT(route_backlog(s.route, &needed_end), entry);
    receive(ROUTE_DISK, K);
    CHECK_UINT(route_backlog(s.route, &needed_end), 0);
    CHECK_UINT(needed_end, 5 * K);
    check_complete();
    end();

    TEST("and what it says of data that is moved, until that is done");
    begin((struct setup){.disk_size = 512 * K});
    inbox_allow(s.inbox, LONGEST);
    next(100 * K, ROUTE_KEEP, 100 * K);
    take_ok((struct window){.disk_end = 512 * K,
                            .data = {{0, K, 64 * K}, {K, K, 0}}});
    CHECK_UINT(route_backlog(s.route, &needed_end), 2 * job);
    CHECK_UINT(needed_end, 2 * K);
    receive(ROUTE_KEEP, 100 * K);
    CHECK(is_idle());
    CHECK_UINT(route_backlog(s.route, &needed_end), 0);
    check_complete();
    end();
}

static void test_ends(void)
{
    struct error err = {0};

    TEST("a disk without a byte needs nothing");
    begin((struct setup){.disk_size = 0});
    CHECK(route_is_complete(s.route));
    receive(ROUTE_DROP, 100 * K);
    check_complete();
    end();

    TEST("a stream that ends in late data is told");
    begin((struct setup){.disk_size = 512 * K});
    inbox_allow(s.inbox, LONGEST);
    deliver(next(100 * K, ROUTE_KEEP, 100 * K), 60 * K);
    take_ok(
        (struct window){.disk_end = 512 * K, .data = {{50 * K, 30 * K, 0}}});
    inbox_end_stream(s.inbox, false, NULL);
    check_failure("source: truncated: it ends at file offset 61440, and the "
                  "bytes up to 81920 are needed");
    CHECK(!route_is_complete(s.route));
    end();

    TEST("a stream that ends in data that is routed is not complete");
    begin((struct setup){.disk_size = 512 * K});
    take_ok((struct window){.disk_end = 512 * K, .data = {{0, 30 * K, 0}}});
    deliver(next(LONGEST, ROUTE_DISK, 30 * K), 20 * K);
    inbox_end_stream(s.inbox, false, NULL);
    CHECK(!route_is_complete(s.route));
    end();

    TEST("all can be called off while data is waited for");
    begin((struct setup){.disk_size = 512 * K});
    inbox_allow(s.inbox, LONGEST);
    next(100 * K, ROUTE_KEEP, 100 * K);
    take_ok(
        (struct window){.disk_end = 512 * K, .data = {{50 * K, 30 * K, 0}}});
    end();

    TEST("a piece of the file that is data twice is an error");
    begin((struct setup){.disk_size = 512 * K});
    take_ok(
        (struct window){.disk_end = 256 * K, .data = {{50 * K, 30 * K, 0}}});
    CHECK_FAILS(take(&(struct window){.disk_offset = 256 * K,
                                      .disk_end = 512 * K,
                                      .data = {{60 * K, K, 256 * K}}},
                     &err),
                &err,
                "source: file offset 61440 is claimed twice, for disk offsets "
                "10240 and 262144");
    end();

    TEST("an error of the disk is told");
    begin((struct setup){.disk_size = 512 * K});
    inbox_allow(s.inbox, LONGEST);
    receive(ROUTE_KEEP, 100 * K);
    close(s.target->fd);
    s.target->fd = open(s.path, O_RDONLY | O_CLOEXEC);
    take_ok(
        (struct window){.disk_end = 512 * K, .data = {{50 * K, 30 * K, K}}});
    check_failure("destination: cannot write at disk offset 1024: Bad file "
                  "descriptor");
    end();
}

/* --------------------------------------------------------------- zeroes */

static void test_zeroes(void)
{
    static const struct {
        const char *name;
        struct setup setup;
        bool are_holes_zeroed;
    } cases[] = {
        {"a disk of anything is zeroed where there is no data",
         {.disk_size = 400 * K},
         true},
        {"with O_DIRECT, too",
         {.disk_size = 400 * K, .is_direct = true},
         true},
        {"a disk of zeroes is zeroed only where the image says zeroes",
         {.disk_size = 400 * K, .is_prezeroed = true},
         false},
        {"a disk that is new is zeroes",
         {.disk_size = 400 * K, .is_created = true},
         true},
        {"a disk that is shorter is zeroed as far as it reaches",
         {.disk_size = 400 * K, .missing = 50 * K},
         true},
    };
    static const struct window w = {.disk_end = 400 * K,
                                    .data = {{0, 10 * K, 10 * K}},
                                    .zeroes = {{0, 10 * K}, {30 * K, 3 * 512}},
                                    .holes = {{20 * K, 10 * K},
                                              {32 * K, 368 * K}}};

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct error err;

        TEST(cases[i].name);
        begin(cases[i].setup);
        memset(s.expected, 0, 10 * K);
        memset(s.expected + 30 * K, 0, 3 * 512);
        if (cases[i].are_holes_zeroed) {
            memset(s.expected + 20 * K, 0, 10 * K);
            memset(s.expected + 32 * K, 0, 368 * K);
        }
        inbox_allow(s.inbox, LONGEST);
        take_ok(w);
        receive(cases[i].setup.missing > 0 ? ROUTE_KEEP : ROUTE_DISK, 10 * K);
        if (route_is_releasable(s.route))
            CHECK_OK(route_release(s.route, &err), &err);
        check_complete();
        end();
    }
}

/* -------------------------------------------------------------- overhang */

/* Data of 20 KiB for an image whose last 3 KiB the disk does not have, from
 * file offset K on: the last of it is behind the end of the disk.
 */
static const struct {
    const char *name;
    uint64_t zeroes_from; /* in the stream */
    const char *message;  /* NULL: it fits */
} overhangs[] = {
    {"an overhang of zeroes fits", 18 * K, NULL},
    {"an overhang of data does not", LONGEST,
     "destination: too small: it has 406528 bytes, and there is data at disk "
     "offset 406528"},
    {"nor does one whose last byte is data", 21 * K - 1, NULL},
};

static void test_overhang(void)
{
    for (size_t i = 0; i < N_ELEMENTS(overhangs); i++) {
        bool is_last = overhangs[i].zeroes_from == 21 * K - 1, is_known;
        const char *message = overhangs[i].message;
        unsigned char saved[20 * K];
        struct error err = {0};

        TEST(overhangs[i].name);
        memcpy(saved, stream + K, sizeof saved);
        for (uint64_t at = 18 * K; at < 21 * K; at++)
            stream[at] = overhangs[i].zeroes_from == LONGEST;
        if (is_last) {
            stream[21 * K - 1] = 1;
            message = "destination: too small: it has 406528 bytes, and there "
                      "is data at disk offset 406528";
        }
        begin((struct setup){.disk_size = 400 * K, .missing = 3 * K});
        inbox_allow(s.inbox, LONGEST);
        receive(ROUTE_KEEP, 5 * K);
        check_disk();
        take_ok((struct window){.disk_end = 400 * K,
                                .data = {{K, 20 * K, 380 * K}},
                                .zeroes = {{0, K}}});
        CHECK_UINT(route_needed_end(s.route, &is_known), 21 * K);
        CHECK(!route_is_releasable(s.route));
        receive(ROUTE_KEEP, 16 * K);
        CHECK(route_is_releasable(s.route));
        CHECK(!route_is_complete(s.route));
        receive(ROUTE_DROP, 10 * K);
        if (message == NULL) {
            CHECK_OK(route_release(s.route, &err), &err);
            CHECK(!route_is_releasable(s.route));
            memset(s.expected, 0, K);
            check_complete();
            check_totals(0, 20 * K);
        } else {
            CHECK_FAILS(route_release(s.route, &err), &err, message);
            memset(s.expected, FOREIGN, sizeof s.expected);
            check_disk(); /* not a byte was written */
        }
        end();
        memcpy(stream + K, saved, sizeof saved);
    }
}

/* The reader is held, so that no QEMU is run. */
static void test_compressed(void)
{
    bool is_known;

    TEST("with compressed data nobody knows where the stream may end");
    begin((struct setup){.disk_size = 400 * K, .missing = 512});
    inbox_allow(s.inbox, 200 * K);
    take_ok((struct window){.disk_end = 400 * K,
                            .data = {{K, 20 * K, 0}},
                            .compressed = {{20 * K, 380 * K}}});
    CHECK_UINT(route_needed_end(s.route, &is_known), 21 * K);
    CHECK(!is_known);
    receive(ROUTE_KEEP, 200 * K);
    CHECK(!route_is_complete(s.route));
    next(LONGEST, ROUTE_WAIT, 0);
    end();

    TEST("a QEMU that cannot be run is told");
    begin((struct setup){.disk_size = 400 * K});
    take_ok((struct window){.disk_end = 400 * K,
                            .compressed = {{20 * K, 380 * K}}});
    check_failure("QEMU: cannot run /none/nbd: No such file or directory; it "
                  "is in the package qemu-utils (Debian) or qemu-img "
                  "(Fedora)");
    CHECK(!route_is_complete(s.route));
    end();
}

int main(void)
{
    test_begin();
    test_fill_random(stream, sizeof stream);
    test_ahead();
    test_late();
    test_decided();
    test_backlog();
    test_ends();
    test_zeroes();
    test_overhang();
    test_compressed();
    route_free(NULL);
    return test_end();
}
