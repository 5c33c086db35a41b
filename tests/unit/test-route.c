/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests that each byte of a stream comes to where it belongs. */

/* The stream is random bytes, and windows say by hand what they are. */

#include "config.h"

#include "route-setup.h"

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
    test_ends();
    test_zeroes();
    test_overhang();
    test_compressed();
    route_free(NULL);
    return test_end();
}
