/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what happens to a stream in the middle of a read of it. */

#include "config.h"

#include "shared-inbox.h"

#include <sys/syscall.h>

/* Called by each pread(2) before it reads. */
static void (*meanwhile)(void);

/* Takes the place of the C library's. */
ssize_t pread(int fd, void *buf, size_t length, off_t offset)
{
    void (*now)(void) = meanwhile;

    meanwhile = NULL;
    if (now != NULL)
        now();
    return syscall(SYS_pread64, fd, buf, length, offset);
}

static struct inbox *inbox;
static int claimed;

static void claim_and_move(void)
{
    struct error err;

    claimed = claim(inbox, 0, BLOCK, 0, &err);
    if (claimed == 0)
        inbox_punch(inbox, 0, BLOCK);
}

/* Past its limit of two blocks it drops the table at its beginning. */
static void arrive(void)
{
    append(inbox, 2 * BLOCK, 3 * BLOCK);
}

/* QEMU reads [0, BLOCK) while something happens to it.  It may get EIO, or
 * what is there: never holes.
 */
static void read_meanwhile(struct inbox_view *view, void (*what)(void),
                           int result)
{
    const struct nbd_export *e = &view->export;
    static unsigned char buf[BLOCK];
    struct error err = {0};

    memset(buf, 0xa5, sizeof buf);
    meanwhile = what;
    CHECK_INT(e->read(e->opaque, buf, sizeof buf, 0), result);
    CHECK(meanwhile == NULL);
    if (result == 0)
        CHECK_MEM(buf, stream, sizeof buf);
    else
        CHECK_FAILS(inbox_check(inbox, &err), &err,
                    "source: file offset 0 is both data and metadata");
}

static void test_races(void)
{
    struct inbox_view view;
    struct error err;

    TEST("a table that is claimed and moved while it is read is refused");
    inbox = make_inbox(0);
    append(inbox, 0, BLOCK);
    show(inbox, &view);
    read_meanwhile(&view, claim_and_move, EIO);
    CHECK_INT(claimed, 0);
    inbox_hide(&view);
    inbox_free(inbox);

    TEST("compressed data is not claimed while it is read");
    inbox = make_inbox(0);
    append(inbox, 0, BLOCK);
    inbox_show_waiting(inbox, &view, -1);
    inbox_view_opened(&view);
    read_meanwhile(&view, claim_and_move, 0);
    CHECK_INT(claimed, -1);
    inbox_hide(&view);
    inbox_free(inbox);

    TEST("a table that is dropped while it is read is refused");
    inbox = make_inbox(2 * BLOCK);
    append(inbox, 0, 2 * BLOCK);
    read_table(inbox, 0, BLOCK);
    show(inbox, &view);
    read_meanwhile(&view, arrive, EIO);
    CHECK_OK(inbox_settle_reads(&view, true, &err), &err);
    inbox_free(inbox);
}

/* Each view has faults of its own. */
static void test_faults(void)
{
    struct inbox_view mapped, read_back;
    uint64_t end;

    TEST("a fault is told to the view that took it, and to no other");
    inbox = make_inbox(0);
    append(inbox, 0, 1000);
    inbox_end_stream(inbox, false, NULL);
    show(inbox, &mapped);
    inbox_show_waiting(inbox, &read_back, -1);
    CHECK_INT(read_shown(&mapped, 500, 2000), EIO);
    CHECK(!inbox_take_fault(&read_back, &end));
    CHECK_INT(read_shown(&read_back, 500, 3000), EIO);
    CHECK(inbox_take_fault(&mapped, &end));
    CHECK_UINT(end, 2000);
    CHECK(inbox_take_fault(&read_back, &end));
    CHECK_UINT(end, 3000);
    inbox_hide(&mapped);
    inbox_hide(&read_back);
    inbox_free(inbox);
}

int main(void)
{
    test_begin();
    test_fill_random(stream, sizeof stream);
    test_races();
    test_faults();
    return test_end();
}
