/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
#include "config.h"

#include "base/io.h"
#include "export/drip.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct qcow2_options v2 = {.is_v2 = true, .cluster_size = 512};
static const struct qcow2_options v3 = {.cluster_size = 2 << 20};

/* A file with what the drip is going to send, and changed at one place. */
static int image_of(const struct qcow2_options *options, uint64_t disk_size,
                    int changed)
{
    unsigned char bytes[HEADER_BEGINNING];
    FILE *file = tmpfile();

    header_make_beginning(options->is_v2, options->cluster_size, disk_size,
                          bytes);
    if (changed != -1)
        bytes[changed] ^= 1;
    if (file == NULL ||
        pwrite(fileno(file), bytes, sizeof bytes, 0) != sizeof bytes)
        return -1;
    return fileno(file);
}

static void test_header(void)
{
    unsigned char bytes[HEADER_BYTES] = {0};
    struct header h;

    header_make_beginning(false, 2 << 20, UINT64_C(5) << 40 | 512, bytes);
    header_parse(bytes, &h);
    CHECK(header_is_qcow2(bytes, 4) && h.version == 3);
    CHECK(h.cluster_bits == 21 && h.virtual_size == (UINT64_C(5) << 40 | 512));
    CHECK(h.crypt_method == 0 && !header_has_backing(&h));
    header_make_beginning(true, 512, 0, bytes);
    header_parse(bytes, &h);
    CHECK(h.version == 2 && h.cluster_bits == 9 && h.virtual_size == 0);
}

/* All of its bytes come, and no more; the rest begins behind them. */
static void test_bytes(const struct qcow2_options *options)
{
    unsigned char got[HEADER_BEGINNING], want[HEADER_BEGINNING];
    int fds[2], image = image_of(options, 4096, -1);
    struct sink sink = SINK_NONE;
    uint64_t file_offset = 0;
    struct drip drip;
    struct error err;

    CHECK(pipe(fds) == 0 && image != -1);
    sink.fd = fds[1];
    CHECK_OK(drip_start(&drip, &sink, 1, options, 4096, &err), &err);
    CHECK(io_read_full(fds[0], got, sizeof got) == sizeof got);
    CHECK_OK(drip_stop(&drip, image, &file_offset, &err), &err);
    CHECK_INT(file_offset, HEADER_BEGINNING);
    CHECK_INT(sink.file_offset, HEADER_BEGINNING);
    header_make_beginning(options->is_v2, options->cluster_size, 4096, want);
    CHECK(memcmp(got, want, sizeof got) == 0);
    drip_close(&drip);
    close(fds[1]);
    CHECK(read(fds[0], got, 1) == 0);
    close(fds[0]);
}

/* What has gone out must be the image's: byte 20 is of its cluster size. */
static void test_other_image(void)
{
    unsigned char got[HEADER_BEGINNING];
    int fds[2], image = image_of(&v3, 4096, 20);
    struct sink sink = SINK_NONE;
    uint64_t file_offset = 0;
    struct drip drip;
    struct error err;

    CHECK(pipe(fds) == 0 && image != -1);
    sink.fd = fds[1];
    CHECK_OK(drip_start(&drip, &sink, 1, &v3, 4096, &err), &err);
    CHECK(io_read_full(fds[0], got, sizeof got) == sizeof got);
    CHECK_FAILS(drip_stop(&drip, image, &file_offset, &err), &err,
                "QEMU: this version writes another header than was sent "
                "already (--first-byte-within 0 sends none)");
    close(fds[0]);
    close(fds[1]);
}

static void test_reader_gone(void)
{
    int fds[2], image = image_of(&v3, 4096, -1);
    struct sink sink = SINK_NONE;
    uint64_t file_offset = 0;
    struct drip drip;
    struct error err;

    CHECK(pipe(fds) == 0 && image != -1);
    close(fds[0]);
    sink.fd = fds[1];
    CHECK_OK(drip_start(&drip, &sink, 1, &v3, 4096, &err), &err);
    while (!drip.is_failed)
        sched_yield();
    CHECK_FAILS(drip_stop(&drip, image, &file_offset, &err), &err,
                "destination: the reader left at file offset 0: Broken "
                "pipe");
    close(fds[1]);
}

/* A reader that takes nothing keeps nobody from giving up. */
static void test_reader_full(void)
{
    static const char filling[4096];
    struct sink sink = SINK_NONE;
    struct drip drip;
    struct error err;
    int fds[2];

    CHECK(pipe(fds) == 0 && fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
    while (write(fds[1], filling, sizeof filling) > 0)
        ;
    CHECK(errno == EAGAIN && fcntl(fds[1], F_SETFL, 0) == 0);
    sink.fd = fds[1];
    CHECK_OK(drip_start(&drip, &sink, 1, &v3, 4096, &err), &err);
    /* Long enough for the thread to try it. */
    CHECK(io_wait(-1, 0, -1, 100) == 0);
    drip_close(&drip);
    CHECK_INT(drip.sent, 0);
    close(fds[0]);
    close(fds[1]);
}

/* Nobody waits for a file, nor where it is turned off. */
static void test_nobody_waits(void)
{
    int fds[2], image = image_of(&v3, 4096, -1);
    struct sink sink = SINK_NONE;
    uint64_t file_offset = 7;
    struct drip drip;
    struct error err;

    CHECK(pipe(fds) == 0 && image != -1);
    sink.fd = image;
    CHECK_OK(drip_start(&drip, &sink, 1, &v3, 4096, &err), &err);
    CHECK_INT(drip.stop_fd, -1);
    sink.fd = fds[1];
    CHECK_OK(drip_start(&drip, &sink, 0, &v3, 4096, &err), &err);
    CHECK_INT(drip.stop_fd, -1);
    CHECK_OK(drip_stop(&drip, image, &file_offset, &err), &err);
    CHECK_INT(file_offset, 7);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    test_begin();
    signal(SIGPIPE, SIG_IGN);
    test_header();
    test_bytes(&v2);
    test_bytes(&v3);
    test_other_image();
    test_reader_gone();
    test_reader_full();
    test_nobody_waits();
    return test_end();
}
