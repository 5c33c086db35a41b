/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the file that QEMU sees, as it writes one. */

#include "config.h"

#include "base/compat.h"
#include "base/io.h"
#include "nbd/store.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>

enum { BLOCK = 65536, LONGEST = 1 << 20 };

static unsigned char stream[LONGEST];

static struct store *make_store(void)
{
    struct store *store = NULL;
    struct error err;

    if (!CHECK_OK(store_new(test_dir(), &store, &err), &err))
        exit(test_end());
    return store;
}

static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;

    test_require(dir != NULL, "opendir");
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n == 2; /* "." and ".." */
}

static int range_errnum, data_errnum; /* of the calls below; 0: they work */
static unsigned long fs_magic;

/* In place of the C library's. */
int fstatfs(int fd, struct statfs *fs)
{
    (void)fd;
    *fs = (struct statfs){.f_type = fs_magic};
    return 0;
}

int sync_file_range(int fd, off64_t offset, off64_t count, unsigned flags)
{
    (void)fd;
    CHECK_UINT(offset, 0);
    CHECK_UINT(count, 0);
    CHECK_UINT(flags, SYNC_FILE_RANGE_WAIT_BEFORE);
    errno = range_errnum;
    return range_errnum == 0 ? 0 : -1;
}

int fdatasync(int fd)
{
    (void)fd;
    errno = data_errnum;
    return data_errnum == 0 ? 0 : -1;
}

static void test_settle(void)
{
    static const struct {
        unsigned long magic;
        int range_errnum, data_errnum, errnum;
    } cases[] = {
        {0, 0, EIO, 0},
        {0, EIO, 0, EIO},
        {0, ENOSYS, 0, 0},
        {0, EINVAL, EIO, EIO},
        {0, ESPIPE, EIO, EIO},
        {OVERLAYFS_SUPER_MAGIC, 0, EIO, EIO},
        {OVERLAYFS_SUPER_MAGIC, EIO, 0, 0},
    };
    struct store *store = make_store();
    struct error err;

    TEST("what was written and could not be kept is told");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fs_magic = cases[i].magic;
        range_errnum = cases[i].range_errnum;
        data_errnum = cases[i].data_errnum;
        if (cases[i].errnum == 0)
            CHECK_OK(store_settle(store, &err), &err);
        else
            CHECK_FAILS(store_settle(store, &err), &err,
                        "spool: cannot keep what was written to it: "
                        "Input/output error");
    }
    fs_magic = 0;
    range_errnum = ENOSPC;
    CHECK(store_settle(store, &err) == -1);
    CHECK(strncmp(err.msg, "spool: no space left in ", 24) == 0);
    CHECK_INT(err.errnum, ENOSPC);
    store_free(store);
}

static void test_limit(void)
{
    struct store *store;
    struct nbd_export export;
    struct error err;
    uint64_t limit;
    int errnum = 0;

    TEST("a limit is kept to, more or less");
    store = make_store();
    CHECK_UINT(store_limit(store, 4 * BLOCK), 4 * BLOCK);
    store_show_writable(store, 1 << 30, &export);
    memset(stream, 7, sizeof stream);
    for (uint64_t at = 0; errnum == 0 && at < 8 * BLOCK; at += BLOCK / 4)
        errnum = export.write(export.opaque, stream, BLOCK / 4, 2 * at);
    CHECK_INT(errnum, EDQUOT);
    CHECK(store_spooled(store) <= 4 * BLOCK + BLOCK / 2);
    CHECK(store_check(store, &err) == -1);
    CHECK(strstr(err.msg, "the limit of 262144 bytes") != NULL);
    store_free(store);

    TEST("holes do not count");
    store = make_store();
    store_limit(store, 4 * BLOCK);
    store_show_writable(store, 1 << 30, &export);
    for (int i = 0; i < 64; i++)
        CHECK_INT(export.zero(export.opaque, BLOCK, i * BLOCK), 0);
    CHECK_OK(store_check(store, &err), &err);
    store_free(store);

    TEST("half of what is free is a limit, and 0 is none");
    store = make_store();
    limit = store_limit(store, STORE_HALF_FREE);
    CHECK(limit > 0 && limit < INT64_MAX);
    CHECK_UINT(store_limit(store, 0), 0);
    store_free(store);
}

static void test_new(void)
{
    struct store *store;
    struct error err = {0};

    TEST("a store has no name");
    store = make_store();
    CHECK(is_empty(test_dir()));
    CHECK(store_fd(store) >= 0);
    CHECK_UINT(store_spooled(store), 0);
    CHECK_OK(store_check(store, &err), &err);
    store_free(store);
    store_free(NULL);

    TEST("where no file can be made is told");
    CHECK_FAILS(store_new("/proc/none", &store, &err), &err,
                "spool: cannot make a file in /proc/none: No such file or "
                "directory");
}

/* --------------------------------------------------------------- export */

static void check_zero(const struct nbd_export *e, uint64_t from, uint64_t to)
{
    static unsigned char buf[LONGEST];

    memset(buf, 0xff, to - from);
    CHECK_INT(e->read(e->opaque, buf, to - from, from), 0);
    CHECK(io_is_zero(buf, to - from));
}

static void check_content(const struct nbd_export *e, uint64_t from,
                          uint64_t to)
{
    static unsigned char buf[LONGEST];

    memset(buf, 0, to - from);
    CHECK_INT(e->read(e->opaque, buf, to - from, from), 0);
    CHECK_MEM(buf, stream + from, to - from);
}

static void write_content(const struct nbd_export *e, uint64_t from,
                          uint64_t to)
{
    CHECK_INT(e->write(e->opaque, stream + from, to - from, from), 0);
}

static void test_writable(void)
{
    struct store *store = make_store();
    struct nbd_export e;
    struct stat st;
    uint64_t full;

    TEST("an empty store reads as zeroes as far as it is shown");
    store_show_writable(store, LONGEST, &e);
    CHECK_UINT(e.size, LONGEST);
    CHECK(e.is_writable);
    check_zero(&e, 0, LONGEST);
    check_zero(&e, LONGEST - 1, LONGEST);
    CHECK_UINT(store_written_end(store), 0);

    TEST("zeroes where nothing was cost nothing, but reach somewhere");
    CHECK_INT(e.zero(e.opaque, 0, BLOCK), 0);
    CHECK_UINT(store_written_end(store), BLOCK);
    CHECK_INT(e.zero(e.opaque, LONGEST / 2, 0), 0);
    CHECK_UINT(store_written_end(store), LONGEST / 2);
    CHECK_UINT(store_spooled(store), 0);
    fstat(store_fd(store), &st);
    CHECK_INT(st.st_size, 0);
    check_zero(&e, 0, LONGEST);

    TEST("what was written is read, and zeroes around it");
    write_content(&e, 100, 3 * BLOCK + 77);
    check_zero(&e, 0, 100);
    check_content(&e, 100, 3 * BLOCK + 77);
    check_zero(&e, 3 * BLOCK + 77, LONGEST);
    CHECK_UINT(store_written_end(store), LONGEST / 2);
    full = store_spooled(store);
    CHECK(full >= 3 * BLOCK);

    TEST("a read may begin in what was written and end behind it");
    CHECK_INT(e.write(e.opaque, stream, 10, LONGEST - 20), 0);
    CHECK_UINT(store_written_end(store), LONGEST - 10);
    check_zero(&e, LONGEST - 10, LONGEST);

    TEST("zeroes over content punch it out");
    CHECK_INT(e.zero(e.opaque, BLOCK, BLOCK), 0);
    check_content(&e, 100, BLOCK);
    check_zero(&e, BLOCK, 2 * BLOCK);
    check_content(&e, 2 * BLOCK, 3 * BLOCK + 77);
    CHECK(store_spooled(store) <= full + 4096 - BLOCK);
    CHECK_UINT(store_written_end(store), LONGEST - 10);

    TEST("zeroes over a part of a block leave the rest");
    CHECK_INT(e.zero(e.opaque, 10, 200), 0);
    check_content(&e, 100, 200);
    check_zero(&e, 200, 210);
    check_content(&e, 210, BLOCK);

    TEST("zeroes across the end of the content are zeroes");
    CHECK_INT(e.zero(e.opaque, 100, LONGEST - 50), 0);
    check_zero(&e, LONGEST - 15, LONGEST);
    CHECK_UINT(store_written_end(store), LONGEST + 50);

    TEST("content can be written where it was punched out");
    write_content(&e, BLOCK + 5, BLOCK + 6);
    check_zero(&e, BLOCK, BLOCK + 5);
    check_content(&e, BLOCK + 5, BLOCK + 6);
    check_zero(&e, BLOCK + 6, 2 * BLOCK);
    store_free(store);
}

static void test_created(void)
{
    struct store *store = make_store();
    struct nbd_export e;

    TEST("what qemu-img create wrote is there, and is where the file ends");
    CHECK_INT(io_pwrite_full(store_fd(store), stream, 5000, 0), 0);
    store_show_writable(store, LONGEST, &e);
    CHECK_UINT(store_written_end(store), 5000);
    check_content(&e, 0, 5000);
    check_zero(&e, 5000, BLOCK);

    TEST("it can be zeroed");
    CHECK_INT(e.zero(e.opaque, 1000, 4500), 0);
    check_content(&e, 0, 4500);
    check_zero(&e, 4500, 5500);
    CHECK_UINT(store_written_end(store), 5500);
    store_free(store);
}

static void test_read_end(void)
{
    struct store *store = make_store();
    unsigned char buf[1000];
    struct nbd_export e;

    TEST("how far the store was read is known");
    store_show_writable(store, LONGEST, &e);
    CHECK_UINT(store_read_end(store), 0);
    write_content(&e, 0, 5000);
    CHECK_UINT(store_read_end(store), 0);
    CHECK_INT(e.read(e.opaque, buf, 1000, 2000), 0);
    CHECK_INT(e.read(e.opaque, buf, 10, 0), 0);
    CHECK_UINT(store_read_end(store), 3000);

    TEST("zeroes behind the content are read as well");
    CHECK_INT(e.read(e.opaque, buf, 1, 70000), 0);
    CHECK_UINT(store_read_end(store), 70001);

    TEST("it begins anew when the store is shown again");
    store_show_writable(store, LONGEST, &e);
    CHECK_UINT(store_read_end(store), 0);
    CHECK_UINT(store_written_end(store), 5000);
    store_free(store);
}

/* Pieces of content, or of zeroes that are written as if they were. */
static const struct {
    const char *name;
    struct {
        uint64_t from, to;
        bool is_zero;
    } pieces[4];
    uint64_t from, end;
} content_ends[] = {
    {"an empty store has no content", {{0}}, 0, 0},
    {"an empty store has no content anywhere", {{0}}, 12345, 12345},
    {"content ends where it was written", {{0, 1000, false}}, 0, 1000},
    {"content ends where the last was written",
     {{200000, 200001, false}, {0, 1000, false}},
     0,
     200001},
    {"content from its last byte on ends there",
     {{0, 1000, false}},
     999,
     1000},
    {"behind the content is none", {{0, 1000, false}}, 1000, 1000},
    {"far behind the content is none", {{0, 1000, false}}, 900000, 900000},
    {"from a hole on there may be content",
     {{0, 1000, false}, {500000, 500007, false}},
     300000,
     500007},
    {"zeroes are no content",
     {{0, 10000, false}, {5000, 10000, true}},
     0,
     5000},
    {"zeroes after a hole are no content",
     {{0, 10000, false}, {500000, 600000, true}},
     0,
     10000},
    {"nothing but zeroes are no content",
     {{100000, 300000, true}},
     50000,
     50000},
    {"a byte among zeroes is content",
     {{100000, 300000, true}, {163839, 163840, false}},
     0,
     163840},
    {"a byte among zeroes that is not asked for is none",
     {{100000, 300000, true}, {163839, 163840, false}},
     163840,
     163840},
};

static void test_content_end(void)
{
    static unsigned char piece[LONGEST];

    for (size_t i = 0; i < N_ELEMENTS(content_ends); i++) {
        struct store *store = make_store();
        struct nbd_export e;
        struct error err;
        uint64_t end = 1;

        TEST(content_ends[i].name);
        store_show_writable(store, LONGEST, &e);
        for (size_t j = 0; j < N_ELEMENTS(content_ends[i].pieces); j++) {
            uint64_t from = content_ends[i].pieces[j].from;
            uint64_t to = content_ends[i].pieces[j].to;

            memset(piece, content_ends[i].pieces[j].is_zero ? 0 : 0xa5,
                   to - from);
            CHECK_INT(e.write(e.opaque, piece, to - from, from), 0);
        }
        CHECK_OK(store_find_content_end(store, content_ends[i].from, &end,
                                        &err),
                 &err);
        CHECK_UINT(end, content_ends[i].end);
        store_free(store);
    }
}

/* Against memory: any writes and zeroes, and what is read after them. */
static void test_random_writes(void)
{
    static unsigned char expected[LONGEST], buf[LONGEST];
    struct store *store = make_store();
    uint64_t end = 0, content_end;
    struct nbd_export e;
    struct error err;

    TEST("random writes and zeroes read as they would in memory");
    store_show_writable(store, LONGEST, &e);
    for (int i = 0; i < 500; i++) {
        uint64_t offset = test_random(LONGEST);
        uint32_t length = test_random(2) ? test_random(200) : 30000;

        length = io_min(length, LONGEST - offset);
        if (test_random(2)) {
            CHECK_INT(e.write(e.opaque, stream, length, offset), 0);
            memcpy(expected + offset, stream, length);
        } else {
            CHECK_INT(e.zero(e.opaque, length, offset), 0);
            memset(expected + offset, 0, length);
        }
        end = io_max(end, offset + length);
        CHECK_UINT(store_written_end(store), end);
    }
    CHECK_INT(e.read(e.opaque, buf, LONGEST, 0), 0);
    CHECK_MEM(buf, expected, LONGEST);
    while (end > 0 && expected[end - 1] == 0)
        end--;
    CHECK_OK(store_find_content_end(store, 0, &content_end, &err), &err);
    CHECK_UINT(content_end, end);
    store_free(store);
}

static void test_punch(void)
{
    struct store *store = make_store();
    struct nbd_export e;

    TEST("what is punched out takes no room any more");
    store_show_writable(store, LONGEST, &e);
    write_content(&e, 0, 8 * BLOCK);
    CHECK(store_spooled(store) >= 8 * BLOCK);
    store_punch(store, 2 * BLOCK, 4 * BLOCK);
    CHECK(store_spooled(store) <= 4 * BLOCK + 8192);
    check_content(&e, 0, 2 * BLOCK);
    check_content(&e, 6 * BLOCK, 8 * BLOCK);

    TEST("a punch takes nothing around it");
    store_punch(store, 100, 10);
    check_content(&e, 0, 100);
    check_content(&e, 110, 2 * BLOCK);

    TEST("what is not there can be punched out, and nothing is no error");
    store_punch(store, LONGEST / 2, LONGEST);
    store_punch(store, 0, 0);
    check_content(&e, 110, 2 * BLOCK);
    store_free(store);
}

/* The spool is full at 100,000 bytes. */
static void fill_spool(void)
{
    const struct rlimit limit = {100000, 100000};
    struct store *store = make_store();
    struct error err = {0};
    struct nbd_export e;

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    store_show_writable(store, LONGEST, &e);
    write_content(&e, 0, 100000);
    CHECK_OK(store_check(store, &err), &err);
    CHECK_INT(e.write(e.opaque, stream, 1, 100000), EFBIG);
    CHECK_INT(e.write(e.opaque, stream, 1, 200000), EFBIG);
    CHECK_FAILS(store_check(store, &err), &err,
                "spool: cannot write at file offset 100000: File too large");
    store_free(store);
}

int main(void)
{
    test_begin();
    test_fill_random(stream, sizeof stream);
    test_new();
    test_limit();
    test_settle();
    test_writable();
    test_created();
    test_read_end();
    test_content_end();
    test_random_writes();
    test_dir(); /* made here, not in the process that follows */
    TEST("an error of the spool is told, the first of them");
    test_in_child(fill_spool);
    test_punch();
    return test_end();
}
