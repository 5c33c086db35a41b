/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests who waits for an arriving stream, and what wakes them. */

#include "config.h"

#include "import/kept.h"
#include "shared-inbox.h"

#include <pthread.h>

/* Waits in another thread. */
struct waiter {
    struct inbox *inbox;
    uint64_t file_end;
    enum inbox_wait result;
    uint64_t arrived; /* when it was done */
    struct inbox_view view;
    int read_result;
};

static void *wait_for(void *opaque)
{
    struct waiter *w = opaque;

    w->result = inbox_wait(w->inbox, w->file_end);
    w->arrived = inbox_arrived(w->inbox);
    return NULL;
}

static void end_stream(struct inbox *inbox)
{
    inbox_end_stream(inbox, false, NULL);
}

static void end_whole(struct inbox *inbox)
{
    inbox_end_stream(inbox, true, NULL);
}

static void *read_waiting(void *opaque)
{
    struct waiter *w = opaque;
    static unsigned char buf[100];
    const struct nbd_export *e = &w->view.export;

    inbox_show_waiting(w->inbox, &w->view, -1);
    w->read_result =
        e->read(e->opaque, buf, sizeof buf, w->file_end - sizeof buf);
    if (w->read_result == 0)
        CHECK_MEM(buf, stream + w->file_end - sizeof buf, sizeof buf);
    w->arrived = inbox_arrived(w->inbox);
    return NULL;
}

static void test_wait_at_once(void)
{
    struct inbox *inbox = make_inbox(0);

    TEST("what has arrived is not waited for");
    CHECK_INT(inbox_wait(inbox, 0), INBOX_ARRIVED);
    append(inbox, 0, 1000);
    CHECK_INT(inbox_wait(inbox, 1000), INBOX_ARRIVED);

    TEST("what never arrives is not waited for");
    inbox_end_stream(inbox, false, NULL);
    CHECK_INT(inbox_wait(inbox, 1001), INBOX_ENDED);
    CHECK_INT(inbox_wait(inbox, UINT64_MAX), INBOX_ENDED);

    TEST("what had arrived when the stream ended has arrived");
    CHECK_INT(inbox_wait(inbox, 1000), INBOX_ARRIVED);

    TEST("once cancelled nobody waits");
    inbox_cancel(inbox);
    CHECK_INT(inbox_wait(inbox, 1001), INBOX_CANCELLED);
    CHECK_INT(inbox_wait(inbox, 0), INBOX_CANCELLED);
    inbox_free(inbox);
}

static void test_wait(void)
{
    static const struct {
        const char *name;
        void (*end)(struct inbox *inbox);
        uint64_t file_end;
        enum inbox_wait result;
        int read_result;
        bool is_fault;
    } cases[] = {
        {"who waits is woken when all has arrived", NULL, 100000,
         INBOX_ARRIVED, 0, false},
        {"who waits is woken by the end of the stream", end_stream, 100353,
         INBOX_ENDED, EIO, true},
        {"who waits is woken when all is off", inbox_cancel, 100001,
         INBOX_CANCELLED, EIO, false},
    };

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct inbox *inbox = make_inbox(0);
        struct waiter w = {.inbox = inbox, .file_end = cases[i].file_end};
        struct waiter reader = w;
        pthread_t threads[2];
        uint64_t fault_end;

        TEST(cases[i].name);
        pthread_create(&threads[0], NULL, wait_for, &w);
        pthread_create(&threads[1], NULL, read_waiting, &reader);
        for (uint64_t at = 0; at < 100000; at += 1000)
            append(inbox, at, at + 1000);
        if (cases[i].end != NULL)
            cases[i].end(inbox);
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
        CHECK_INT(w.result, cases[i].result);
        CHECK_UINT(w.arrived, 100000); /* not woken before */
        CHECK_INT(reader.read_result, cases[i].read_result);
        CHECK_UINT(reader.arrived, 100000);
        CHECK_INT(inbox_take_fault(&reader.view, &fault_end),
                  cases[i].is_fault);
        inbox_free(inbox);
    }
}

/* Reads all over the file, as QEMU would, while it arrives. */
static void *read_while_arriving(void *opaque)
{
    struct inbox *inbox = opaque;
    static unsigned char buf[5000];
    uint64_t random = 1, fault, read = 0;
    struct inbox_view e;

    while (read < 100 || inbox_arrived(inbox) < LONGEST) {
        uint64_t offset, length;
        int r;

        show(inbox, &e);
        random = random * UINT64_C(6364136223846793005) + 1;
        length = 1 + (random >> 33) % sizeof buf;
        length -= length % SLICE == 0; /* a table might seem empty */
        offset = (random >> 40) % (LONGEST - length);
        r = e.export.read(e.export.opaque, buf, length, offset);
        if (r == 0) {
            CHECK_MEM(buf, stream + offset, length);
            CHECK(!inbox_take_fault(&e, &fault));
            read++;
        } else {
            CHECK_INT(r, EIO);
            CHECK(e.arrived < offset + length);
            CHECK(inbox_take_fault(&e, &fault));
            CHECK_UINT(fault, offset + length);
            CHECK_INT(inbox_wait(inbox, fault), INBOX_ARRIVED);
        }
        inbox_hide(&e);
    }
    return NULL;
}

static void test_reads_while_arriving(void)
{
    struct inbox *inbox = make_inbox(0);
    struct error err;
    pthread_t thread;

    TEST("what arrives is read as it is, or not at all");
    pthread_create(&thread, NULL, read_while_arriving, inbox);
    for (uint64_t at = 0; at < LONGEST;) {
        size_t length = io_min(1 + test_random(3000), LONGEST - at);

        CHECK_OK(inbox_append(inbox, stream + at, length, &err), &err);
        at += length;
    }
    inbox_end_stream(inbox, false, NULL);
    pthread_join(thread, NULL);
    inbox_free(inbox);
}

/* 1000 bytes are here, of two sectors. */
static void test_cut_sector(void)
{
    static const struct {
        const char *name;
        void (*end)(struct inbox *);
        unsigned length; /* read from 900 on */
        int result;
    } cases[] = {
        {"the last sector may be cut short", end_whole, 124, 0},
        {"no more than that", end_whole, 125, EIO},
        {"but not of a stream that may be truncated", end_stream, 124, EIO},
    };
    static const unsigned char zeroes[24];

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct inbox *inbox = make_inbox(0);
        unsigned char buf[125];
        struct inbox_view e;

        TEST(cases[i].name);
        append(inbox, 0, 1000);
        cases[i].end(inbox);
        inbox_show_waiting(inbox, &e, -1);
        CHECK_INT(e.export.read(e.export.opaque, buf, cases[i].length, 900),
                  cases[i].result);
        if (cases[i].result == 0) {
            CHECK_MEM(buf, stream + 900, 100);
            CHECK_MEM(buf + 100, zeroes, sizeof zeroes);
        }
        inbox_hide(&e);
        inbox_free(inbox);
    }
}

/* A compressed cluster from inside the first block to the first sector of the
 * third, and another from there on.
 */
static void test_give_back(void)
{
    enum { FROM = BLOCK + 300, END = BLOCK + 2 * KEPT_BLOCK + IO_SECTOR };
    struct inbox *inbox = make_inbox(5 * KEPT_BLOCK);
    struct inbox_view e;
    struct error err;

    TEST("what was read of a compressed cluster makes room");
    inbox_skip(inbox, BLOCK);
    append(inbox, BLOCK, BLOCK + 4 * KEPT_BLOCK);
    inbox_show_waiting(inbox, &e, -1);
    inbox_view_opened(&e);
    CHECK(!inbox_has_room(inbox, 2 * KEPT_BLOCK));
    check_shown(&e, FROM, END);
    CHECK(inbox_has_room(inbox, 2 * KEPT_BLOCK));

    TEST("but for the sectors at its ends, which others may have parts of");
    CHECK(!inbox_has_room(inbox, 3 * KEPT_BLOCK));
    check_shown(&e, BLOCK, BLOCK + IO_SECTOR);
    check_shown(&e, END - 100, BLOCK + 4 * KEPT_BLOCK);
    check_shown(&e, END - 200, END);
    CHECK_OK(inbox_check_compressed(inbox, &err), &err);
    CHECK(!inbox_has_room(inbox, 3 * KEPT_BLOCK));

    TEST("what is asked for is known before it has come");
    CHECK_UINT(inbox_wanted_end(inbox), BLOCK + 4 * KEPT_BLOCK);
    inbox_end_stream(inbox, false, NULL);
    CHECK_INT(read_shown(&e, BLOCK + 4 * KEPT_BLOCK, LONGEST), EIO);
    CHECK_UINT(inbox_wanted_end(inbox), LONGEST);
    inbox_hide(&e);
    inbox_free(inbox);
}

int main(void)
{
    test_begin();
    test_fill_random(stream, sizeof stream);
    test_wait_at_once();
    test_wait();
    test_reads_while_arriving();
    test_cut_sector();
    test_give_back();
    return test_end();
}
