/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests disks to read that come over NBD. */

#include "config.h"

#include "base/io.h"
#include "export/source-nbd.h"
#include "nbd-peer.h"
#include "test.h"

enum { SIZE = 1000001, DISK_SIZE = 1000448, SPACE = 1 << 20 };

static unsigned char *buf, content[SPACE]; /* the disk, then zeroes */

static struct source *open_source(struct peer *p)
{
    const struct nbd_address address = {
        .role = "x",
        .socket_fd = -1,
        .socket_path = p->path,
        .export_name = "",
    };
    struct source *source = NULL;
    struct error err;

    peer_open(p);
    if (!CHECK_OK(source_nbd_open(&address, -1, &source, &err), &err))
        exit(test_end());
    return source;
}

static void close_source(struct source *source, struct peer *p)
{
    source_free(source);
    peer_close(p);
}

static void open_sink(struct sink *sink, int fd)
{
    const struct sink_address address = {.fd = fd};
    struct error err;

    CHECK_OK(sink_open(&address, sink, &err), &err);
    CHECK_OK(sink_aim(sink, 0, DISK_SIZE, &err), &err);
    CHECK_OK(sink_begin(sink, &err), &err);
}

static const struct {
    const char *name;
    uint64_t disk_offset, length;
} ranges[] = {
    {"nothing", 0, 0},
    {"a block", 4096, 4096},
    {"the last block, and what is behind it", IO_ROUND_DOWN(SIZE, 4096), 8192},
    {"blocks behind the end", IO_ROUND_UP(SIZE, 4096), 8192},
    {"the whole disk, and what is behind it", 0, SPACE},
};

static void test_ranges(void)
{
    struct peer p = {.size = SIZE, .is_multi = true};
    struct source *source = open_source(&p);
    struct error err;

    TEST("a disk has whole sectors");
    CHECK_UINT(source->size, SIZE);
    CHECK_UINT(source->disk_size, DISK_SIZE);
    CHECK_INT(source->fd, -1);
    CHECK(source->is_buffered);
    for (size_t i = 0; i < N_ELEMENTS(ranges); i++) {
        uint64_t disk_offset = ranges[i].disk_offset;
        uint64_t length = ranges[i].length;
        struct sink sink;
        int fd = test_file();

        TEST(ranges[i].name);
        memset(buf, 0xaa, SPACE + 1);
        CHECK_OK(source_read(source, (char *)buf, disk_offset, length, &err),
                 &err);
        CHECK_OK(source_wait(source, &err), &err);
        CHECK_MEM(buf, content + disk_offset, length);
        CHECK_INT(buf[length], 0xaa); /* no byte more */

        /* What comes first is sent first. */
        open_sink(&sink, fd);
        CHECK_OK(sink_write(&sink, "before", 6, &err), &err);
        CHECK_OK(source_send(source, disk_offset, length, &sink, &err), &err);
        CHECK_OK(source_send(source, 77, 1, &sink, &err), &err);
        CHECK_OK(source_flush(source, &sink, &err), &err);
        CHECK_UINT(sink.file_offset, 6 + length + 1);
        CHECK_OK(sink_write(&sink, "after", 5, &err), &err);
        sink_close(&sink);
        CHECK_INT(io_pread_full(fd, buf, SPACE, 0),
                  io_min(SPACE, length + 12));
        CHECK_MEM(buf, "before", 6);
        CHECK_MEM(buf + 6, content + disk_offset, io_min(length, SPACE - 6));
        if (length + 12 <= SPACE) {
            CHECK_INT(buf[6 + length], content[77]);
            CHECK_MEM(buf + 7 + length, "after", 5);
        }
        close(fd);
    }
    close_source(source, &p);
}

static void test_find_data(void)
{
    for (int has_status = 0; has_status < 2; has_status++) {
        struct peer p = {
            .size = SIZE,
            .is_structured = true,
            .has_status = has_status,
            .statuses = {65536, STATUS_ZERO, SIZE - 65536, 0},
            .n_statuses = 2,
        };
        struct source *source = open_source(&p);
        struct extents data = {0};
        struct error err;
        bool is_map = !has_status;

        TEST("where data is the server says, or nobody");
        CHECK_OK(source_find_data(source, &data, &is_map, &err), &err);
        CHECK_INT(is_map, has_status);
        if (CHECK_UINT(data.count, 1)) {
            CHECK_UINT(data.list[0].disk_offset, has_status ? 65536 : 0);
            CHECK_UINT(extent_end(&data.list[0]), SIZE);
        }
        extents_clear(&data);
        close_source(source, &p);
    }
}

static void test_fails(void)
{
    const char *message = "x: cannot read at disk offset 524288: ";
    struct peer p = {.size = SIZE, .bad_from = (512 << 10) + 1};
    struct source *source = open_source(&p);
    struct error err = {0};
    struct sink sink;
    int fd = test_file(), fds[2], r;

    TEST("what cannot be read is the source's error");
    r = source_read(source, (char *)buf, 0, SPACE, &err);
    if (r == 0)
        r = source_wait(source, &err);
    CHECK_INT(r, -1);
    err.msg[strlen(message)] = '\0';
    CHECK_STR(err.msg, message);
    close_source(source, &p);

    TEST("what cannot be read is an error at the latest when all has to go");
    p = (struct peer){.size = SIZE, .bad_from = (512 << 10) + 1};
    source = open_source(&p);
    open_sink(&sink, fd);
    r = source_send(source, 0, SIZE, &sink, &err);
    if (r == 0)
        r = source_flush(source, &sink, &err);
    CHECK_INT(r, -1);
    err.msg[strlen(message)] = '\0';
    CHECK_STR(err.msg, message);
    CHECK_UINT(sink.file_offset, 512 << 10);
    sink_close(&sink);
    close(fd);
    close_source(source, &p);

    TEST("a reader that left is the destination's error");
    p = (struct peer){.size = SIZE};
    source = open_source(&p);
    test_require(pipe2(fds, O_CLOEXEC) == 0, "pipe2");
    close(fds[0]);
    open_sink(&sink, fds[1]);
    CHECK_OK(source_send(source, 0, 4096, &sink, &err), &err);
    CHECK_FAILS(source_flush(source, &sink, &err), &err,
                "destination: the reader left at file offset 0 of 1000448: "
                "Broken pipe");
    sink_close(&sink);
    close(fds[1]);
    close_source(source, &p);
}

static void test_refused(void)
{
    const struct nbd_address address = {
        .role = "x",
        .socket_fd = -1,
        .socket_path = "/nonexistent/socket",
        .export_name = "",
    };
    const char *message = "x: cannot connect to /nonexistent/socket: ";
    struct source *source = NULL;
    struct error err = {0};

    TEST("where nobody listens there is no disk");
    CHECK_INT(source_nbd_open(&address, -1, &source, &err), -1);
    err.msg[strlen(message)] = '\0';
    CHECK_STR(err.msg, message);
    CHECK(source == NULL);
}

int main(void)
{
    test_begin();
    signal(SIGPIPE, SIG_IGN);
    buf = io_alloc_aligned(SPACE + IO_ALIGN);
    test_require(buf != NULL, "posix_memalign");
    peer_fill(content, 0, SIZE);
    test_ranges();
    test_find_data();
    test_fails();
    test_refused();
    free(buf);
    return test_end();
}
