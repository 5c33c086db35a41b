/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what of a file is said to have been written. */

#include "config.h"

#include "base/io.h"
#include "export/fiemap.h"
#include "test.h"

#include <fcntl.h>

enum { BLOCK = 64 << 10, BLOCKS = 2000 };

enum { SKIPPED = 77 }; /* exit status, as automake has it */

static char bytes[BLOCK];

static void skip(const char *why)
{
    puts(why);
    rmdir(test_dir());
    exit(SKIPPED);
}

/* A file of so many blocks, none of them written; or skips. */
static int make_file(bool is_allocated)
{
    int fd = test_file();

    test_require(ftruncate(fd, (off_t)BLOCKS * BLOCK) == 0, "ftruncate");
    if (is_allocated && fallocate(fd, 0, 0, (off_t)BLOCKS * BLOCK) == -1)
        skip("fallocate is not here");
    return fd;
}

static void write_block(int fd, uint64_t block)
{
    CHECK_INT(io_pwrite_full(fd, bytes, BLOCK, block * BLOCK), 0);
}

static void check(int fd, const struct range *expected, size_t count)
{
    struct ranges written = {0};
    struct error err;
    bool is_known;

    CHECK_OK(fiemap_find_written(fd, &written, &is_known, &err), &err);
    if (!is_known)
        skip("this file system has no map");
    CHECK_UINT(written.count, count);
    for (size_t i = 0; i < count && i < written.count; i++) {
        CHECK_UINT(written.list[i].file_offset, expected[i].file_offset);
        CHECK_UINT(written.list[i].length, expected[i].length);
    }
    ranges_clear(&written);
}

static void test_written(void)
{
    const struct range expected[] = {{3 * BLOCK, 2 * BLOCK},
                                     {9 * BLOCK, BLOCK}};
    int holes = make_file(false), allocated = make_file(true);
    struct {
        const char *name;
        int fd;
    } files[] = {{"holes have not been written", holes},
                 {"nor has what is allocated only", allocated}};

    for (size_t i = 0; i < N_ELEMENTS(files); i++) {
        TEST(files[i].name);
        check(files[i].fd, NULL, 0);
        /* Not flushed: that is for the map to do. */
        write_block(files[i].fd, 9);
        write_block(files[i].fd, 3);
        write_block(files[i].fd, 4);
        check(files[i].fd, expected, N_ELEMENTS(expected));
        close(files[i].fd);
    }
}

static void test_read(void)
{
    const struct range expected = {0, BLOCK};
    int fd = make_file(true);

    TEST("what has been read has not been written");
    write_block(fd, 0);
    check(fd, &expected, 1);
    for (uint64_t at = 0; at < BLOCKS; at++)
        CHECK_INT(io_pread_full(fd, bytes, BLOCK, at * BLOCK), BLOCK);
    memset(bytes, 1, sizeof bytes);
    check(fd, &expected, 1);
    close(fd);
}

static void test_many(void)
{
    static struct range expected[BLOCKS / 2];
    int fd = make_file(true);

    TEST("more extents than one answer has");
    for (uint64_t i = 0; i < BLOCKS / 2; i++) {
        write_block(fd, 2 * i + 1);
        expected[i] = (struct range){(2 * i + 1) * BLOCK, BLOCK};
    }
    check(fd, expected, N_ELEMENTS(expected));
    close(fd);
}

static void test_unknown(void)
{
    struct ranges written = {0};
    struct error err;
    int fds[2], memory = test_memory_file();
    bool is_known = true;

    TEST("tmpfs does not know");
    test_require(memory != -1 && ftruncate(memory, BLOCK) == 0, "memfd");
    CHECK_OK(fiemap_find_written(memory, &written, &is_known, &err), &err);
    CHECK(!is_known);
    close(memory);

    TEST("nor does what is no file");
    is_known = true;
    test_require(pipe(fds) == 0, "pipe");
    CHECK_OK(fiemap_find_written(fds[0], &written, &is_known, &err), &err);
    CHECK(!is_known);
    close(fds[0]);
    close(fds[1]);

    TEST("an fd that is none is an error");
    CHECK_FAILS(fiemap_find_written(-1, &written, &is_known, &err), &err,
                "cannot map the file at file offset 0: Bad file descriptor");
    CHECK_UINT(written.count, 0);
}

int main(void)
{
    test_begin();
    memset(bytes, 1, sizeof bytes);
    test_written();
    test_read();
    test_many();
    test_unknown();
    return test_end();
}
