/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests writing to NBD servers of all kinds, from several threads. */

#include "config.h"

#include "base/signals.h"
#include "nbd-peer.h"
#include "nbd/writer.h"
#include "test.h"

enum { SIZE = 6 << 20, LONGEST = 700000 };

static unsigned char disk[SIZE], expected[SIZE], content[SIZE];

static struct nbd_writer *open_writer_as(struct peer *p, bool keeps_space,
                                         bool is_serial)
{
    static char uri[400];
    const struct nbd_address address = {
        .role = "destination",
        .socket_fd = -1,
        .uri = uri,
        .is_serial = is_serial,
    };
    struct nbd_writer *w = NULL;
    struct error err;

    p->size = SIZE;
    p->disk = disk;
    memset(disk, 0xee, SIZE);
    memcpy(expected, disk, SIZE);
    peer_open(p);
    snprintf(uri, sizeof uri, "nbd+unix:///?socket=%s", p->path);
    if (!CHECK_OK(nbd_writer_open(&address, keeps_space, &w, &err), &err))
        exit(test_end());
    CHECK_UINT(nbd_writer_size(w), SIZE);
    return w;
}

static struct nbd_writer *open_writer(struct peer *p, bool keeps_space)
{
    return open_writer_as(p, keeps_space, false);
}

static void finish(struct nbd_writer *w, struct peer *p)
{
    struct error err;

    CHECK_OK(nbd_writer_finish(w, &err), &err);
    nbd_writer_free(w);
    peer_close(p);
    CHECK_MEM(disk, expected, SIZE);
    CHECK_UINT(p->bad_reads, 0);
}

/* -------------------------------------------------------------- threads */

/* Pieces of any length that are each a thread's: of the last it zeroes them,
 * of the others it writes them.
 */
enum { THREADS = 4, MOST_PIECES = 4000 };

static struct {
    uint64_t offset, length;
    unsigned thread;
} pieces[MOST_PIECES];
static size_t n_pieces;
static unsigned n_lent; /* buffers; the first thread's */

static void cut_disk(uint32_t longest)
{
    uint64_t at = 0;

    for (n_pieces = 0; at < SIZE && n_pieces < MOST_PIECES; n_pieces++) {
        uint64_t length = io_min(1 + test_random(longest), SIZE - at);
        unsigned thread = test_random(THREADS + 1);

        pieces[n_pieces].offset = at;
        pieces[n_pieces].length = length;
        pieces[n_pieces].thread = thread; /* THREADS: nobody's */
        if (thread == THREADS - 1)
            memset(expected + at, 0, length);
        else if (thread < THREADS)
            memcpy(expected + at, content + at, length);
        at += length;
    }
}

struct part {
    struct nbd_writer *writer;
    unsigned thread;
};

/* As the receiver of a stream does: into what is lent, where that begins with
 * a block.  Now and then less than that comes, and the rest is another's.
 */
static void write_lent(struct nbd_writer *w, uint64_t offset, uint64_t length)
{
    uint64_t unit = nbd_writer_piece(w);
    struct error err;

    while (length > 0) {
        uint64_t n = io_min(length, unit - offset % unit);
        char *buf = NULL;

        if (!CHECK_OK(nbd_writer_lend(w, offset, n, &buf, &err), &err))
            return;
        if (buf != NULL && n > 1 && n_lent % 3 == 2)
            n = 1 + n / 2;
        if (buf != NULL)
            memcpy(buf, content + offset, n);
        CHECK_OK(nbd_writer_write(w,
                                  buf != NULL ? (void *)buf : content + offset,
                                  n, offset, &err),
                 &err);
        if (buf != NULL)
            n_lent++;
        offset += n;
        length -= n;
    }
}

static void *write_part(void *opaque)
{
    const struct part *part = opaque;
    struct error err;

    for (size_t i = 0; i < n_pieces; i++) {
        uint64_t offset = pieces[i].offset, length = pieces[i].length;

        if (pieces[i].thread != part->thread)
            continue;
        if (part->thread == 0)
            write_lent(part->writer, offset, length);
        else if (part->thread == THREADS - 1)
            CHECK_OK(nbd_writer_zero(part->writer, offset, length, &err),
                     &err);
        else
            CHECK_OK(nbd_writer_write(part->writer, content + offset, length,
                                      offset, &err),
                     &err);
    }
    return NULL;
}

static void write_all(struct peer p, uint32_t longest)
{
    struct nbd_writer *w = open_writer(&p, false);
    struct part parts[THREADS];
    pthread_t threads[THREADS];

    cut_disk(longest);
    for (unsigned i = 0; i < THREADS; i++) {
        parts[i] = (struct part){w, i};
        pthread_create(&threads[i], NULL, write_part, &parts[i]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    finish(w, &p);
}

enum { USUAL = PEER_FLUSH | PEER_FUA | PEER_TRIM | PEER_ZERO };

static const struct {
    const char *name;
    struct peer peer;
} kinds[] = {
    {"one connection", {.flags = USUAL}},
    {"several connections", {.flags = USUAL, .is_multi = true}},
    {"a server that answers the last request first",
     {.flags = USUAL, .is_multi = true, .is_reversing = true}},
    {"a server that zeroes fast", {.flags = USUAL | PEER_FAST_ZERO}},
    {"a server that could, but does not zero fast",
     {.flags = USUAL | PEER_FAST_ZERO, .is_slow_zero = true}},
    {"a server that cannot zero", {.flags = PEER_FLUSH}},
    {"blocks of 512 bytes",
     {.flags = USUAL, .block_minimum = 512, .block_maximum = 1 << 20}},
    {"blocks of 4 KiB, over several connections",
     {.flags = USUAL,
      .is_multi = true,
      .block_minimum = 4096,
      .block_maximum = 1 << 20}},
    {"blocks of 64 KiB that are all that a request may have",
     {.flags = USUAL, .block_minimum = 65536, .block_maximum = 65536}},
};

static void test_kinds(void)
{
    for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
        TEST(kinds[i].name);
        n_lent = 0;
        write_all(kinds[i].peer, LONGEST);
        CHECK_INT(n_lent > 0, true);
        write_all(kinds[i].peer, 20000);
    }
}

/* ------------------------------------------------------- how it is asked */

static void zero_one(struct peer *p, bool keeps_space)
{
    struct nbd_writer *w = open_writer(p, keeps_space);
    struct error err;

    CHECK_OK(nbd_writer_write(w, content, 1000, 5000, &err), &err);
    CHECK_OK(nbd_writer_zero(w, 1 << 20, 2 << 20, &err), &err);
    memcpy(expected + 5000, content, 1000);
    memset(expected + (1 << 20), 0, 2 << 20);
    finish(w, p);
}

static void test_ways(void)
{
    struct peer plain = {.flags = USUAL};
    struct peer kept = {.flags = USUAL};
    struct peer through = {.flags = PEER_FUA | PEER_ZERO};
    struct peer trimmed = {.flags = PEER_TRIM | PEER_FLUSH,
                           .is_structured = true,
                           .has_status = true,
                           .statuses = {2 << 20, STATUS_ZERO},
                           .n_statuses = 1};
    struct peer doubtful = {.flags = PEER_TRIM | PEER_FLUSH,
                            .is_structured = true,
                            .has_status = true,
                            .statuses = {1 << 20, STATUS_ZERO | STATUS_HOLE,
                                         1 << 20, STATUS_HOLE},
                            .n_statuses = 2};

    TEST("it is flushed once, and zeroes may become holes");
    zero_one(&plain, false);
    CHECK_UINT(plain.flushes, 1);
    CHECK_UINT(plain.zeroings, 1);
    CHECK_UINT(plain.kept_space, 0);
    CHECK_UINT(plain.written_through, 0);

    TEST("or they may not");
    zero_one(&kept, true);
    CHECK_UINT(kept.kept_space, 1);

    TEST("what cannot be flushed is written through");
    zero_one(&through, false);
    CHECK_UINT(through.flushes, 0);
    CHECK_UINT(through.written_through, 2);

    TEST("trimmed is enough where block status says that it is zero");
    zero_one(&trimmed, false);
    CHECK_UINT(trimmed.trims, 1);
    CHECK_UINT(trimmed.writes, 1);

    TEST("and where it does not, zeroes are written");
    zero_one(&doubtful, false);
    CHECK_UINT(doubtful.trims, 1);
    CHECK_UINT(doubtful.writes, 1 + 4);
}

/* How many requests there were at a time, of a server that waits for more. */
static unsigned most_at_a_time(bool is_serial)
{
    struct peer p = {.flags = USUAL, .is_reversing = true};
    struct nbd_writer *w = open_writer_as(&p, false, is_serial);
    struct error err;

    CHECK_OK(nbd_writer_write(w, content, 2 << 20, 1000, &err), &err);
    CHECK_OK(nbd_writer_zero(w, 3 << 20, 2 << 20, &err), &err);
    memcpy(expected + 1000, content, 2 << 20);
    memset(expected + (3 << 20), 0, 2 << 20);
    finish(w, &p);
    return p.most_pending;
}

static void test_serial(void)
{
    TEST("a server is asked for the next before it has answered");
    CHECK(most_at_a_time(false) > 1);
    TEST("but not if it must have one request at a time");
    CHECK_UINT(most_at_a_time(true), 1);
}

/* --------------------------------------------------------------- failures */

/* Writes until it fails, and all that comes later fails alike. */
static void check_failure(struct peer p, const char *beginning)
{
    struct nbd_writer *w = open_writer(&p, false);
    struct error err = {0}, again = {0};
    int r = nbd_writer_write(w, content, SIZE, 0, &err);

    if (r == 0)
        r = nbd_writer_finish(w, &err);
    CHECK_INT(r, -1);
    CHECK_INT(nbd_writer_zero(w, 0, SIZE, &again), -1);
    CHECK_STR(again.msg, err.msg);
    CHECK_INT(nbd_writer_finish(w, &again), -1);
    CHECK_INT(strncmp(err.msg, beginning, strlen(beginning)), 0);
    nbd_writer_free(w);
    peer_close(&p);
}

struct canceller {
    struct nbd_writer *writer;
    const struct peer *peer;
};

static void *cancel_when_asked(void *opaque)
{
    const struct canceller *c = opaque;

    while (c->peer->most_pending == 0)
        sched_yield();
    nbd_writer_cancel(c->writer);
    return NULL;
}

/* A server that says nothing is left by who waits for it. */
static void check_cancelled(bool is_serial)
{
    struct peer silent = {.flags = USUAL, .is_silent = true};
    struct canceller canceller = {.peer = &silent};
    struct error err = {0};
    pthread_t thread;

    canceller.writer = open_writer_as(&silent, false, is_serial);
    pthread_create(&thread, NULL, cancel_when_asked, &canceller);
    CHECK_INT(nbd_writer_write(canceller.writer, content, SIZE, 0, &err) == 0
                  ? nbd_writer_finish(canceller.writer, &err)
                  : -1,
              -1);
    CHECK_INT(err.errnum, ECANCELED);
    pthread_join(thread, NULL);
    nbd_writer_free(canceller.writer);
    peer_close(&silent);
}

static void test_broken(void)
{
    TEST("an error names what was asked for first");
    check_failure((struct peer){.flags = USUAL, .bad_from = 3 << 20},
                  "destination: cannot write at disk offset 3145728: No space "
                  "left on device");
    TEST("and so does a server that leaves");
    check_failure((struct peer){.flags = USUAL, .hang_up_from = 3 << 20},
                  "destination: cannot write at disk offset ");
    TEST("one of several connections that is lost is enough");
    check_failure((struct peer){.flags = USUAL,
                                .is_multi = true,
                                .hang_up_from = SIZE - 1},
                  "destination: cannot write at disk offset ");

    TEST("nobody waits any more for a server that says nothing");
    check_cancelled(false);
    TEST("nor for one that has one request at a time");
    check_cancelled(true);
}

int main(void)
{
    struct error err;

    test_begin();
    if (!CHECK_OK(signals_open(&err), &err))
        return test_end();
    test_fill_random(content, sizeof content);
    test_kinds();
    test_ways();
    test_serial();
    test_broken();
    return test_end();
}
