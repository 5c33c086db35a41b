/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests disks to read that are files. */

#include "config.h"

#include "base/io.h"
#include "export/source-file.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { LARGEST = (1 << 20) + 7, SPACE = LARGEST + 2 * IO_ALIGN };

static unsigned char content[SPACE]; /* of all files, as far as they go */
static unsigned char *buf;           /* aligned, SPACE bytes */
static char name[300];

/* A file of size bytes, by that name. */
static int make_file(uint64_t size)
{
    int fd;

    snprintf(name, sizeof name, "%s/disk", test_dir());
    fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    test_require(fd != -1, "open");
    test_require(io_pwrite_full(fd, content, size, 0) == 0, "pwrite");
    test_require(fsync(fd) == 0, "fsync"); /* O_DIRECT goes past the cache */
    return fd;
}

static struct source *open_source(bool is_direct)
{
    struct source *source = NULL;
    struct error err;

    if (!CHECK_OK(source_file_open("x", name, is_direct, &source, &err), &err))
        exit(test_end());
    return source;
}

static bool can_open_direct(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);

    if (fd != -1)
        close(fd);
    return fd != -1;
}

/* Is [disk_offset, disk_offset + length) content up to size, then zeroes? */
static void check_buf(uint64_t disk_offset, uint64_t length, uint64_t size)
{
    uint64_t there =
        disk_offset < size ? io_min(length, size - disk_offset) : 0;

    CHECK_MEM(buf, content + disk_offset, there);
    CHECK(io_is_zero(buf + there, length - there));
    CHECK_INT(buf[length], 0xaa); /* no byte more */
}

static int read_all(struct source *source, uint64_t disk_offset,
                    uint64_t length, struct error *err)
{
    if (source_read(source, (char *)buf, disk_offset, length, err) == -1)
        return -1;
    return source_wait(source, err);
}

static void check_read(struct source *source, uint64_t disk_offset,
                       uint64_t length, uint64_t size)
{
    struct error err;

    memset(buf, 0xaa, SPACE);
    CHECK_OK(read_all(source, disk_offset, length, &err), &err);
    check_buf(disk_offset, length, size);
}

/* What is sent goes through a file. */
static void check_send(struct source *source, uint64_t disk_offset,
                       uint64_t length, uint64_t size)
{
    int fd = test_file();
    const struct sink_address address = {.fd = fd};
    struct sink sink;
    struct error err;

    CHECK_OK(sink_open(&address, &sink, &err), &err);
    CHECK_OK(sink_aim(&sink, 0, length, &err), &err);
    CHECK_OK(sink_begin(&sink, &err), &err);
    CHECK_OK(source_send(source, disk_offset, length, &sink, &err), &err);
    CHECK_OK(source_flush(source, &sink, &err), &err);
    CHECK_UINT(sink.file_offset, length);
    CHECK_OK(sink_finish(&sink, &err), &err);
    sink_close(&sink);
    memset(buf, 0xaa, SPACE);
    CHECK_INT(io_pread_full(fd, buf, SPACE, 0), length);
    check_buf(disk_offset, length, size);
    close(fd);
}

/* ---------------------------------------------------------------- sizes */

static const struct {
    const char *name;
    uint64_t size, disk_size;
} sizes[] = {
    {"an empty disk", 0, 0},
    {"a byte", 1, 512},
    {"a byte less than a sector", 511, 512},
    {"a sector", 512, 512},
    {"a byte more than a sector", 513, 1024},
    {"a byte less than a block", 4095, 4096},
    {"a block", 4096, 4096},
    {"a byte more than a block", 4097, 4608},
    {"a sector more than a block", 4608, 4608},
    {"a megabyte", 1 << 20, 1 << 20},
    {"a megabyte and a bit", LARGEST, (1 << 20) + 512},
};

static void check_source(bool is_direct, uint64_t size, uint64_t disk_size)
{
    uint64_t end = IO_ROUND_UP(disk_size, IO_ALIGN);
    struct source *source = open_source(is_direct);

    CHECK_UINT(source->size, size);
    CHECK_UINT(source->disk_size, disk_size);
    CHECK_STR(source->role, "x");
    CHECK(fcntl(source->fd, F_GETFD) == FD_CLOEXEC);
    CHECK_INT(source->is_buffered, is_direct && can_open_direct(name));
    check_read(source, 0, end, size);
    check_read(source, end, IO_ALIGN, size); /* behind the end */
    for (uint64_t at = 0; at < end; at = at * 3 + IO_ALIGN)
        check_read(source, at, IO_ALIGN, size);
    check_send(source, 0, disk_size, size);
    check_send(source, disk_size / 3, disk_size - disk_size / 3, size);
    check_send(source, disk_size, 100, size);
    check_send(source, 0, 0, size);
    source_free(source);
}

static void test_sizes(void)
{
    for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
        int fd = make_file(sizes[i].size);

        TEST(sizes[i].name);
        for (int is_direct = 0; is_direct < 2; is_direct++) {
            check_source(is_direct, sizes[i].size, sizes[i].disk_size);
            setenv("QCOW_TOOL_MOVER", "copy", 1);
            check_source(is_direct, sizes[i].size, sizes[i].disk_size);
            unsetenv("QCOW_TOOL_MOVER");
        }
        close(fd);
        unlink(name);
    }
}

/* Some kernels have O_DIRECT for files in memory, others have none. */
static void test_fallback(void)
{
    int fd = test_memory_file();

    TEST("where there is no O_DIRECT it is done without");
    test_require(fd != -1, "memfd_create(2)");
    test_require(io_pwrite_full(fd, content, 100000, 0) == 0, "pwrite");
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    CHECK_INT(source_file_can_direct(name), can_open_direct(name));
    check_source(true, 100000, IO_ROUND_UP(100000, IO_SECTOR));
    close(fd);

    TEST("what cannot be opened cannot be read with O_DIRECT");
    CHECK(!source_file_can_direct(name));
    CHECK(!source_file_can_direct("/proc/self/status"));

    TEST("a file says for itself");
    fd = make_file(1);
    CHECK_INT(source_file_can_direct(name), can_open_direct(name));
    close(fd);
    unlink(name);
}

/* --------------------------------------------------------------- change */

static void check_ended(struct source *source, uint64_t disk_offset,
                        const char *message)
{
    int fd = test_file();
    const struct sink_address address = {.fd = fd};
    struct sink sink;
    struct error err = {0};

    CHECK_FAILS(read_all(source, disk_offset, 256 << 10, &err), &err, message);
    CHECK_OK(sink_open(&address, &sink, &err), &err);
    CHECK_OK(sink_aim(&sink, 0, 256 << 10, &err), &err);
    CHECK_OK(sink_begin(&sink, &err), &err);
    CHECK_FAILS(source_send(source, disk_offset, 256 << 10, &sink, &err), &err,
                message);
    sink_close(&sink);
    close(fd);
}

static void test_shrinking(void)
{
    for (int is_direct = 0; is_direct < 2; is_direct++) {
        int fd = make_file(1 << 20);
        struct source *source = open_source(is_direct);

        TEST("a file that has become shorter is an error where it ends");
        test_require(ftruncate(fd, 300001) == 0, "ftruncate");
        check_read(source, 0, 256 << 10, 300001);
        check_ended(source, 256 << 10,
                    "x: ended at disk offset 300001 while being read");
        check_ended(source, 512 << 10,
                    "x: ended at disk offset 524288 while being read");
        test_require(ftruncate(fd, 512 << 10) == 0, "ftruncate");
        check_ended(source, 512 << 10,
                    "x: ended at disk offset 524288 while being read");
        source_free(source);
        close(fd);
        unlink(name);
    }
}

static void test_growing(void)
{
    for (int is_direct = 0; is_direct < 2; is_direct++) {
        int fd = make_file(5000);
        struct source *source = open_source(is_direct);

        TEST("a file that has become longer is read as far as it went");
        test_require(io_pwrite_full(fd, content, LARGEST, 0) == 0, "pwrite");
        fsync(fd);
        check_read(source, 0, 8192, 5000);
        check_read(source, 4096, 4096, 5000);
        check_read(source, 8192, 4096, 5000);
        check_send(source, 0, 5120, 5000);

        TEST("of a file that is said to be shorter no more is read");
        source->size = 700;
        source->disk_size = 1024;
        check_read(source, 0, 4096, 700);
        check_send(source, 0, 1024, 700);
        source_free(source);
        close(fd);
        unlink(name);
    }
}

static void test_abandon(void)
{
    enum { PIECE = 1 << 20, PIECES = 32 };
    char *pieces = io_alloc_aligned(PIECE * PIECES);
    int fd = make_file(0);
    struct source *source;
    struct error err;

    TEST("what is abandoned is not written to any more");
    test_require(pieces != NULL, "memory");
    memset(pieces, 'x', PIECE * PIECES);
    test_require(io_pwrite_full(fd, pieces, PIECE * PIECES, 0) == 0, "pwrite");
    memset(pieces, 0, PIECE * PIECES);
    source = open_source(true);
    for (size_t i = 0; i < PIECES; i++)
        CHECK_OK(source_read(source, pieces + i * PIECE, i * PIECE, PIECE,
                             &err),
                 &err);
    source_abandon(source);
    if (source_count(source) > 0) /* the file system has O_DIRECT */
        CHECK_INT(pieces[PIECE * PIECES - 1], 'x');
    source_free(source);
    close(fd);
    unlink(name);
    free(pieces);
}

/* ----------------------------------------------------------------- data */

/* Data, which the system may widen, at these places of a file:
 *
 *     0       256K    512K    768K    1M
 *     |       |dd     |       |      d|
 */
static void test_find_data(void)
{
    const uint64_t size = (1 << 20) - 100, at = 256 << 10, length = 128 << 10;
    struct extents data = {0};
    struct source *source;
    bool is_map = true;
    struct error err = {0};
    off_t hole;
    int fd = make_file(0);

    TEST("where a file has holes there is no data");
    test_require(ftruncate(fd, size) == 0, "ftruncate");
    source = open_source(false);
    CHECK_OK(source_find_data(source, &data, &is_map, &err), &err);
    CHECK(!is_map);
    hole = lseek(fd, 0, SEEK_HOLE);
    CHECK_UINT(extents_total(&data), hole == 0 ? 0 : size);
    extents_clear(&data);

    TEST("where a file has data it is found");
    test_require(io_pwrite_full(fd, content, length, at) == 0 &&
                     io_pwrite_full(fd, "x", 1, size - 1) == 0,
                 "pwrite");
    fsync(fd);
    CHECK_OK(source_find_data(source, &data, &is_map, &err), &err);
    CHECK(!is_map);
    for (size_t i = 0; i < data.count; i++)
        CHECK(extent_end(&data.list[i]) <= size);
    if (hole == 0 && CHECK_UINT(data.count, 2)) {
        CHECK_UINT(data.list[0].disk_offset, at);
        CHECK_UINT(data.list[0].length, length);
        CHECK_UINT(extent_end(&data.list[1]), size);
        CHECK(data.list[1].disk_offset >= 768 << 10);
    }
    extents_clear(&data);

    TEST("data behind what is said to be the end is not found");
    source->size = at + 1000;
    CHECK_OK(source_find_data(source, &data, &is_map, &err), &err);
    CHECK_UINT(extents_total(&data), hole == 0 ? 1000 : at + 1000);
    extents_clear(&data);
    source->size = at;
    CHECK_OK(source_find_data(source, &data, &is_map, &err), &err);
    CHECK_UINT(extents_total(&data), hole == 0 ? 0 : at);
    extents_clear(&data);

    TEST("where nobody can look for data all may be, and reading tells");
    close(source->fd);
    source->fd = -1;
    CHECK_OK(source_find_data(source, &data, &is_map, &err), &err);
    CHECK_UINT(extents_total(&data), at);
    extents_clear(&data);
    CHECK_FAILS(source_read(source, (char *)buf, 4096, 4096, &err), &err,
                "x: cannot read at disk offset 4096: Bad file descriptor");
    source_free(source);
    close(fd);
    unlink(name);
}

static void test_refused(void)
{
    struct source *source = NULL;
    struct error err = {0};
    char message[400];

    TEST("what is not there cannot be opened");
    snprintf(name, sizeof name, "%s/nothing", test_dir());
    snprintf(message, sizeof message,
             "x: cannot open %s: No such file or directory", name);
    CHECK_FAILS(source_file_open("x", name, false, &source, &err), &err,
                message);
    CHECK_FAILS(source_file_open("x", name, true, &source, &err), &err,
                message);

    TEST("a directory is no disk");
    CHECK_FAILS(source_file_open("x", "/", false, &source, &err), &err,
                "x: / is neither a file nor a block device");

    TEST("a character device is no disk");
    CHECK_FAILS(source_file_open("x", "/dev/zero", true, &source, &err), &err,
                "x: /dev/zero is neither a file nor a block device");

    TEST("a FIFO is no disk, and nobody waits for its writer");
    snprintf(name, sizeof name, "%s/fifo", test_dir());
    snprintf(message, sizeof message,
             "x: %s is neither a file nor a block device", name);
    test_require(mkfifo(name, 0600) == 0, "mkfifo");
    CHECK_FAILS(source_file_open("x", name, false, &source, &err), &err,
                message);
    unlink(name);

    CHECK(source == NULL);
    source_free(source); /* NULL is fine */
}

int main(void)
{
    test_begin();
    unsetenv("QCOW_TOOL_MOVER");
    buf = io_alloc_aligned(SPACE);
    test_require(buf != NULL, "posix_memalign");
    for (size_t i = 0; i < LARGEST; i++)
        content[i] = 1 + i % 251;
    test_sizes();
    test_fallback();
    test_shrinking();
    test_growing();
    test_abandon();
    test_find_data();
    test_refused();
    free(buf);
    return test_end();
}
