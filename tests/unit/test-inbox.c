/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what is here of an arriving stream, and what QEMU sees of it. */

#include "config.h"

#include "shared-inbox.h"

#include <signal.h>
#include <sys/resource.h>

static void test_new(void)
{
    struct inbox *inbox;
    struct error err = {0};

    TEST("an inbox is empty");
    inbox = make_inbox(0);
    CHECK_UINT(inbox_arrived(inbox), 0);
    CHECK_UINT(inbox_allowed(inbox), 0);
    CHECK_UINT(inbox_appended(inbox), 0);
    CHECK_UINT(inbox_peak(inbox), 0);
    CHECK_OK(inbox_check(inbox, &err), &err);
    inbox_free(inbox);
    inbox_free(NULL);

    TEST("where no file can be made is told");
    CHECK_FAILS(inbox_new("/proc/none", 0, &inbox, &err), &err,
                "spool: cannot make a file in /proc/none: No such file or "
                "directory");
}

/* --------------------------------------------------------------- faults */

static void check_fault(struct inbox_view *e, uint64_t from, uint64_t to)
{
    uint64_t end = 0;

    CHECK_INT(read_shown(e, from, to), EIO);
    CHECK(inbox_take_fault(e, &end));
    CHECK_UINT(end, to);
    CHECK(!inbox_take_fault(e, &end)); /* it is told once */
}

/* A table of SLICE bytes is not here, and seems to be empty. */
static void check_missing(struct inbox_view *e, uint64_t from, uint64_t to)
{
    static const unsigned char zeroes[16 * SLICE];
    static unsigned char buf[16 * SLICE];
    uint64_t before = e->missing.count;

    memset(buf, 0xa5, to - from);
    CHECK_INT(e->export.read(e->export.opaque, buf, to - from, from), 0);
    CHECK_MEM(buf, zeroes, to - from);
    CHECK_UINT(e->missing.count, before + 1);
    CHECK_UINT(e->missing.list[before].file_end, to);
    CHECK_UINT(e->missing.list[before].filled, e->filled);
}

static void test_faults(void)
{
    struct inbox *inbox = make_inbox(0);
    struct error err = {0};
    struct inbox_view e;
    uint64_t end;

    TEST("a stream is shown read-only, and is larger than any file");
    show(inbox, &e);
    CHECK_UINT(e.export.size, UINT64_C(1) << 56);
    CHECK(!e.export.is_writable);

    TEST("what has not arrived is a fault, unless it may be a table");
    CHECK(!inbox_take_fault(&e, &end));
    CHECK_INT(inbox_sight(&e), INBOX_SAW_ALL);
    check_fault(&e, 0, 1);
    check_fault(&e, e.export.size - 100, e.export.size);
    check_fault(&e, 100, 100 + SLICE);

    TEST("what arrives later is not shown");
    append(inbox, 0, 1000);
    check_fault(&e, 0, 1000);

    TEST("what had arrived is read");
    inbox_hide(&e);
    show(inbox, &e);
    check_shown(&e, 0, 1000);
    check_shown(&e, 999, 1000);
    CHECK(!inbox_take_fault(&e, &end));

    TEST("a read across the end of what arrived is a fault");
    check_fault(&e, 1000, 1001);
    check_fault(&e, 950, 1001);
    check_fault(&e, 950, 1050);

    TEST("of several faults the last is told");
    CHECK_INT(read_shown(&e, 5000, 5001), EIO);
    CHECK_INT(read_shown(&e, 3000, 3001), EIO);
    CHECK_INT(inbox_sight(&e), INBOX_SAW_NONE);
    CHECK(inbox_take_fault(&e, &end));
    CHECK_UINT(end, 3001);

    TEST("a fault is read once it has arrived");
    append(inbox, 1000, 1050);
    inbox_hide(&e);
    show(inbox, &e);
    check_shown(&e, 950, 1050);

    TEST("behind the end of the stream are no zeroes");
    inbox_end_stream(inbox, false, NULL);
    check_fault(&e, 1049, 1051);
    check_fault(&e, 1050, 1100);

    TEST("a fault is no failure of the spool");
    CHECK_OK(inbox_check(inbox, &err), &err);
    inbox_hide(&e);
    inbox_free(inbox);
}

static void test_missing(void)
{
    struct inbox *inbox = make_inbox(0);
    struct error err = {0};
    struct inbox_view e;

    TEST("a table that has not arrived is empty, and noted");
    append(inbox, 0, 3 * SLICE - 1);
    show(inbox, &e);
    check_missing(&e, 4 * SLICE, 5 * SLICE);
    CHECK_INT(inbox_sight(&e), INBOX_SAW_PART);
    check_missing(&e, 2 * SLICE, 3 * SLICE); /* but for a byte */
    check_missing(&e, 8 * SLICE, 10 * SLICE);

    TEST("and so is how many had something in them before");
    check_shown(&e, 0, SLICE);
    CHECK_UINT(e.filled, 1);
    check_missing(&e, 4 * SLICE, 5 * SLICE);
    check_shown(&e, SLICE, SLICE + 100); /* no slice */
    CHECK_UINT(e.filled, 1);
    CHECK_OK(inbox_protect(inbox, 0, SLICE, &err), &err);
    check_shown(&e, 0, SLICE);
    CHECK_UINT(e.filled, 1);

    TEST("and so it is until the end of the run");
    append(inbox, 3 * SLICE - 1, 20 * SLICE);
    check_missing(&e, 4 * SLICE, 5 * SLICE);
    CHECK_OK(inbox_settle_reads(&e, true, &err), &err);
    inbox_hide(&e);
    show(inbox, &e);
    check_shown(&e, 4 * SLICE, 5 * SLICE);
    CHECK_INT(inbox_sight(&e), INBOX_SAW_ALL);

    TEST("so it may turn out to be data");
    CHECK_OK(claim(inbox, 2 * SLICE, 3 * SLICE, 0, &err), &err);

    TEST("when too many are missing it is over");
    for (uint64_t i = 0; i < INBOX_MOST_MISSING; i++)
        CHECK_INT(read_shown(&e, (100 + i) * SLICE, (101 + i) * SLICE), 0);
    CHECK_INT(inbox_sight(&e), INBOX_SAW_PART);
    CHECK_INT(read_shown(&e, 100 * SLICE, 101 * SLICE), EIO);
    CHECK_INT(inbox_sight(&e), INBOX_SAW_FEW);
    CHECK_OK(inbox_check(inbox, &err), &err);

    TEST("and no more of them are noted");
    CHECK_INT(read_shown(&e, 100 * SLICE, 101 * SLICE), EIO);
    CHECK_UINT(e.missing.count, INBOX_MOST_MISSING + 1);
    inbox_hide(&e);
    inbox_free(inbox);
}

/* What is noted of reads is in proportion to what has come. */
static void test_endless(uint64_t from)
{
    struct inbox *inbox = make_inbox(0);
    struct error err = {0};
    struct inbox_view e;
    unsigned n = 0;

    append(inbox, 0, 20 * SLICE);
    show(inbox, &e);
    while (n < 10000 && read_shown(&e, from, from + 1) == 0)
        n++;
    CHECK_UINT(n, 40 + 4096);
    CHECK(inbox_check(inbox, &err) == -1 &&
          strstr(err.msg, ": QEMU reads tables over and over again") != NULL);
    inbox_hide(&e);
    inbox_free(inbox);
}

static void test_kept(void)
{
    struct inbox *inbox = make_inbox(0);
    unsigned char buf[200];
    struct error err = {0};

    TEST("what is skipped has arrived, and takes no room");
    append(inbox, 0, 1000);
    inbox_skip(inbox, BLOCK - 1000);
    CHECK_UINT(inbox_arrived(inbox), BLOCK);
    append(inbox, BLOCK, 2 * BLOCK);
    CHECK_UINT(inbox_appended(inbox), BLOCK + 1000);
    CHECK(inbox_peak(inbox) >= BLOCK + 1000);
    CHECK(inbox_peak(inbox) < 2 * BLOCK);

    TEST("the stream is read where it is");
    CHECK_OK(inbox_read(inbox, buf, sizeof buf, 77, &err), &err);
    CHECK_MEM(buf, stream + 77, sizeof buf);
    CHECK_OK(inbox_read(inbox, buf, sizeof buf, BLOCK + 5, &err), &err);
    CHECK_MEM(buf, stream + BLOCK + 5, sizeof buf);
    CHECK_OK(inbox_read(inbox, buf, 1, 2 * BLOCK - 1, &err), &err);
    CHECK_OK(inbox_read(inbox, buf, 0, 2 * BLOCK, &err), &err);

    TEST("what never arrived cannot be read");
    CHECK_FAILS(inbox_read(inbox, buf, sizeof buf, 2 * BLOCK - 100, &err),
                &err, "spool: cannot read at file offset 130972");

    TEST("a stream that ended too early is told");
    CHECK_FAILS(inbox_truncated(inbox, 140000, &err), &err,
                "source: truncated: it ends at file offset 131072, and the "
                "bytes up to 140000 are needed");

    TEST("what nobody reads again gives back its room, and no more");
    inbox_punch(inbox, BLOCK, BLOCK - 10);
    CHECK_OK(inbox_read(inbox, buf, 10, 2 * BLOCK - 10, &err), &err);
    CHECK_MEM(buf, stream + 2 * BLOCK - 10, 10);
    append(inbox, 2 * BLOCK, 3 * BLOCK);
    CHECK(inbox_peak(inbox) < 2 * BLOCK);

    TEST("so is why, if there is more to say of it");
    inbox_end_stream(inbox, false, "source: the sender left");
    CHECK_FAILS(inbox_truncated(inbox, 240000, &err), &err,
                "source: the sender left: truncated: it ends at file offset "
                "196608, and the bytes up to 240000 are needed");
    inbox_free(inbox);
}

static void test_allow(void)
{
    struct inbox *inbox = make_inbox(0);

    TEST("as much may be kept as was allowed and has not arrived");
    inbox_allow(inbox, 1000);
    CHECK_UINT(inbox_allowed(inbox), 1000);
    append(inbox, 0, 300);
    CHECK_UINT(inbox_allowed(inbox), 700);
    inbox_skip(inbox, 600);
    CHECK_UINT(inbox_allowed(inbox), 100);

    TEST("what was allowed stays so");
    inbox_allow(inbox, 10);
    CHECK_UINT(inbox_allowed(inbox), 100);
    inbox_allow(inbox, 1100);
    CHECK_UINT(inbox_allowed(inbox), 200);

    TEST("when more has arrived than was allowed none is");
    inbox_skip(inbox, 5000);
    CHECK_UINT(inbox_allowed(inbox), 0);
    inbox_allow(inbox, INT64_MAX);
    CHECK_UINT(inbox_allowed(inbox), INT64_MAX - 5900);
    inbox_free(inbox);
}

/* ------------------------------------------------------ data and metadata */

static void test_claims(void)
{
    struct inbox *inbox = make_inbox(0);
    struct error err = {0};
    struct inbox_view e;
    uint64_t end;

    append(inbox, 0, 10000);
    show(inbox, &e);
    TEST("what is claimed may arrive later, and next to metadata");
    read_table(inbox, 0, 1000);
    CHECK_OK(claim(inbox, 1000, 2000, 0, &err), &err);
    CHECK_OK(claim(inbox, 20000, 30000, 1000, &err), &err);

    TEST("data cannot be claimed twice");
    CHECK_FAILS(claim(inbox, 1000, 2000, 50000, &err), &err,
                "source: file offset 1000 is claimed twice, again for disk "
                "offset 50000");
    CHECK_FAILS(claim(inbox, 15000, 25000, 50000, &err), &err,
                "source: file offset 20000 is claimed twice, again for disk "
                "offset 55000");
    CHECK_FAILS(claim(inbox, 1999, 2001, 50000, &err), &err,
                "source: file offset 1999 is claimed twice, again for disk "
                "offset 50000");

    TEST("metadata cannot be claimed");
    CHECK_FAILS(claim(inbox, 900, 1000, 50000, &err), &err,
                "source: file offset 900 is metadata, and data for disk "
                "offset 50000");

    TEST("a claim that fails claims nothing");
    read_table(inbox, 2000, 2001);
    CHECK_OK(inbox_check(inbox, &err), &err);

    TEST("what a run read that came to nothing may be claimed");
    check_shown(&e, 5000, 6000);
    inbox_hide(&e);
    show(inbox, &e);
    CHECK_OK(claim(inbox, 5000, 6000, 60000, &err), &err);

    TEST("of a run all reads count, as far as they reach");
    check_shown(&e, 7000, 7100);
    check_shown(&e, 7050, 7200);
    check_shown(&e, 6900, 6910);
    CHECK_OK(inbox_settle_reads(&e, true, &err), &err);
    CHECK_FAILS(claim(inbox, 6800, 7300, 0, &err), &err,
                "source: file offset 6900 is metadata, and data for disk "
                "offset 100");
    CHECK_FAILS(claim(inbox, 7199, 7300, 0, &err), &err,
                "source: file offset 7199 is metadata, and data for disk "
                "offset 0");
    CHECK_OK(claim(inbox, 7200, 7300, 0, &err), &err);

    TEST("data cannot be read as metadata, and that is remembered");
    CHECK_OK(inbox_check(inbox, &err), &err);
    CHECK_INT(read_shown(&e, 900, 1001), EIO);
    CHECK(!inbox_take_fault(&e, &end));
    CHECK_INT(read_shown(&e, 5999, 6000), EIO);
    CHECK_FAILS(inbox_check(inbox, &err), &err,
                "source: file offset 1000 is both data and metadata");
    inbox_hide(&e);
    inbox_free(inbox);
}

/* Data that is claimed before it arrives is no fault, but an error. */
static void test_claimed_ahead(void)
{
    struct inbox *inbox = make_inbox(0);
    struct error err = {0};
    struct inbox_view e;
    uint64_t end;

    TEST("data that has not arrived is not waited for as metadata");
    append(inbox, 0, 1000);
    CHECK_OK(claim(inbox, 5000, 6000, 0, &err), &err);
    show(inbox, &e);
    CHECK_INT(read_shown(&e, 5500, 5600), EIO);
    CHECK(!inbox_take_fault(&e, &end));
    CHECK_FAILS(inbox_check(inbox, &err), &err,
                "source: file offset 5500 is both data and metadata");
    inbox_hide(&e);
    inbox_free(inbox);
}

/* ----------------------------------------------------------- spool limit */

#define LIMITED(needed, at)                                                   \
    "spool: " needed " bytes needed at file offset " at ", and the limit is " \
    "131072: what came so far has its tables still to come, or is compressed"

static void test_limit(void)
{
    struct inbox *inbox = make_inbox(2 * BLOCK);
    struct error err = {0};

    TEST("what fits the limit is kept");
    append(inbox, 0, 2 * BLOCK);
    CHECK_UINT(inbox_peak(inbox), 2 * BLOCK);

    TEST("what was punched out does not count");
    inbox_punch(inbox, 0, BLOCK);
    append(inbox, 2 * BLOCK, 3 * BLOCK);

    TEST("what was skipped does not count");
    inbox_skip(inbox, BLOCK);

    TEST("past the limit nothing can be kept");
    CHECK_FAILS(inbox_append(inbox, stream, BLOCK, &err), &err,
                LIMITED("196608", "262144"));
    CHECK_UINT(inbox_peak(inbox), 2 * BLOCK);
    inbox_free(inbox);
}

static const unsigned char zeroes[BLOCK];

/* A stream of blocks: tables or not. */
static void test_dropped_tables(void)
{
    struct inbox *inbox = make_inbox(2 * BLOCK);
    struct error err = {0};
    struct inbox_view e, again;

    TEST("past the limit tables that were read are dropped");
    append(inbox, 0, 2 * BLOCK);
    read_table(inbox, 0, BLOCK);
    append(inbox, 2 * BLOCK, 3 * BLOCK);
    CHECK(inbox_peak(inbox) <= 2 * BLOCK);
    CHECK(inbox_has_dropped(inbox));
    show(inbox, &e);
    check_shown(&e, BLOCK, 3 * BLOCK);

    TEST("who knows of that does not read them, and who does not asks again");
    inbox_show_arrived(inbox, &again, SLICE, true);
    CHECK_INT(read_shown(&again, 0, SLICE), EIO);
    CHECK_INT(inbox_sight(&again), INBOX_SAW_GAPS);
    CHECK_OK(inbox_check(inbox, &err), &err);
    inbox_hide(&again);

    TEST("a table that was dropped is not read again");
    CHECK_INT(read_shown(&e, BLOCK - 1, BLOCK), EIO);
    CHECK_FAILS(inbox_check(inbox, &err), &err,
                "source: file offset 65535 is both data and metadata");

    TEST("tables of a run that is still on are not dropped");
    CHECK_FAILS(inbox_append(inbox, stream, BLOCK, &err), &err,
                LIMITED("196608", "196608"));
    inbox_hide(&e);
    inbox_free(inbox);

    TEST("what has nothing in it is not dropped, nor what may not be");
    inbox = make_inbox(2 * BLOCK);
    CHECK_OK(inbox_append(inbox, zeroes, BLOCK, &err), &err);
    append(inbox, BLOCK, 2 * BLOCK);
    show(inbox, &e);
    CHECK_INT(read_shown(&e, 0, BLOCK), 0);
    CHECK_OK(inbox_settle_reads(&e, true, &err), &err);
    CHECK_INT(read_shown(&e, BLOCK, 2 * BLOCK), 0);
    CHECK_OK(inbox_settle_reads(&e, false, &err), &err);
    CHECK_FAILS(inbox_append(inbox, stream, BLOCK, &err), &err,
                LIMITED("196608", "131072"));
    CHECK_INT(inbox_has_dropped(inbox), false);
    inbox_hide(&e);
    inbox_free(inbox);
}

static void test_protected_tables(void)
{
    struct inbox *inbox = make_inbox(2 * BLOCK);
    struct error err = {0};
    struct inbox_view e;

    TEST("a table that every run reads is not dropped");
    CHECK_OK(inbox_protect(inbox, 0, BLOCK, &err), &err);
    append(inbox, 0, BLOCK);
    inbox_skip(inbox, BLOCK);
    append(inbox, 2 * BLOCK, 3 * BLOCK);
    read_table(inbox, 0, BLOCK);
    read_table(inbox, 2 * BLOCK, 3 * BLOCK);
    append(inbox, 3 * BLOCK, 4 * BLOCK);
    show(inbox, &e);
    check_shown(&e, 0, BLOCK);

    TEST("but others are");
    CHECK_INT(read_shown(&e, 2 * BLOCK, 3 * BLOCK), EIO);
    inbox_hide(&e);
    inbox_free(inbox);

    TEST("a table that is next to it is dropped");
    inbox = make_inbox(2 * BLOCK);
    CHECK_OK(inbox_protect(inbox, 0, BLOCK, &err), &err);
    append(inbox, 0, 2 * BLOCK);
    read_table(inbox, 0, BLOCK);
    read_table(inbox, BLOCK, 2 * BLOCK);
    append(inbox, 2 * BLOCK, 3 * BLOCK);
    show(inbox, &e);
    check_shown(&e, 0, BLOCK);
    CHECK_INT(read_shown(&e, BLOCK, 2 * BLOCK), EIO);
    inbox_hide(&e);
    inbox_free(inbox);
}

static void test_kept_tables(void)
{
    struct inbox *inbox = make_inbox(2 * BLOCK);
    struct error err = {0};
    struct inbox_view e;

    TEST("when another reader needs the tables none is dropped");
    inbox_keep_tables(inbox);
    append(inbox, 0, 2 * BLOCK);
    read_table(inbox, 0, BLOCK);
    CHECK_FAILS(inbox_append(inbox, stream, BLOCK, &err), &err,
                LIMITED("196608", "131072"));
    show(inbox, &e);
    check_shown(&e, 0, BLOCK);
    inbox_hide(&e);
    inbox_free(inbox);
}

/* The spool is full at 100,000 bytes. */
static void fill_spool(void)
{
    const struct rlimit limit = {100000, 100000};
    struct inbox *inbox = make_inbox(0);
    struct error err = {0};

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    CHECK_OK(inbox_append(inbox, stream, 90000, &err), &err);
    CHECK_FAILS(inbox_append(inbox, stream, 20000, &err), &err,
                "spool: cannot write at file offset 90000: File too large");
    CHECK_UINT(inbox_arrived(inbox), 90000);
    inbox_free(inbox);
}

int main(void)
{
    test_begin();
    test_fill_random(stream, sizeof stream);
    test_new();
    test_faults();
    test_missing();
    TEST("who reads a table over and over again is ended");
    test_endless(0);
    test_endless(4 * SLICE);
    test_kept();
    test_allow();
    test_claims();
    test_claimed_ahead();
    test_limit();
    test_dropped_tables();
    test_protected_tables();
    test_kept_tables();
    TEST("a spool that is full is told");
    test_in_child(fill_spool);
    return test_end();
}
