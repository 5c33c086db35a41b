/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what is read from the header of a qcow2 file. */

#include "config.h"

#include "base/io.h"
#include "qemu/header.h"
#include "test.h"

enum { CLUSTER = 4096, NAME_AT = 512 };

/* Big-endian, at a place of the file. */
static void put(int fd, uint64_t at, size_t width, uint64_t value)
{
    unsigned char bytes[8];

    for (size_t i = 0; i < width; i++)
        bytes[i] = value >> 8 * (width - 1 - i);
    test_require(io_pwrite_full(fd, bytes, width, at) == 0, "pwrite");
}

static void put_text(int fd, uint64_t at, const char *text, size_t length)
{
    test_require(io_pwrite_full(fd, text, length, at) == 0, "pwrite");
}

static uint64_t put_extension(int fd, uint64_t at, uint32_t type,
                              const char *text)
{
    put(fd, at, 4, type);
    put(fd, at + 4, 4, strlen(text));
    put_text(fd, at + 8, text, strlen(text));
    return at + 8 + IO_ROUND_UP(strlen(text), 8);
}

/* A disk of 1 GiB in clusters of 4 KiB, with nothing behind the header. */
static int make_file(unsigned version)
{
    int fd = test_file();

    test_require(ftruncate(fd, CLUSTER) == 0, "ftruncate");
    put(fd, 0, 4, 0x514649fb);
    put(fd, 4, 4, version);
    put(fd, 20, 4, 12);
    put(fd, 24, 8, 1 << 30);
    if (version == 3)
        put(fd, 100, 4, 112);
    return fd;
}

static void check(int fd, const char *backing_file, const char *backing_format,
                  const char *data_file)
{
    struct header_image image;
    struct error err = {0};

    if (CHECK_OK(header_read(fd, &image, &err), &err)) {
        CHECK_UINT(image.virtual_size, 1 << 30);
        CHECK_UINT(image.cluster_size, CLUSTER);
        CHECK_STR(image.backing_file, backing_file);
        CHECK_STR(image.backing_format, backing_format);
        CHECK_STR(image.data_file, data_file);
        header_image_clear(&image);
    }
    close(fd);
}

static void check_fails(int fd, const char *message)
{
    struct header_image image;
    struct error err = {0};

    CHECK_FAILS(header_read(fd, &image, &err), &err, message);
    close(fd);
}

static void put_backing(int fd, const char *name, size_t length)
{
    put(fd, 8, 8, NAME_AT);
    put(fd, 16, 4, length);
    put_text(fd, NAME_AT, name, length);
}

static void test_names(void)
{
    uint64_t at;
    int fd;

    TEST("an image alone names no other file");
    check(make_file(2), NULL, NULL, NULL);
    check(make_file(3), NULL, NULL, NULL);

    TEST("a backing file has a name and, in an extension, a format");
    fd = make_file(3);
    put_extension(fd, 112, 0xe2792aca, "qcow2");
    put_backing(fd, "base.qcow2", 10);
    check(fd, "base.qcow2", "qcow2", NULL);
    fd = make_file(2);
    put_extension(fd, 72, 0xe2792aca, "raw");
    put_backing(fd, "base.raw", 8);
    check(fd, "base.raw", "raw", NULL);

    TEST("names are bytes, not text");
    fd = make_file(3);
    put_backing(fd, "b\xe4se\n\"", 6);
    check(fd, "b\xe4se\n\"", NULL, NULL);

    TEST("a name ends where its length says, or at a zero");
    fd = make_file(3);
    put_backing(fd, "base.qcow2", 4);
    check(fd, "base", NULL, NULL);
    fd = make_file(3);
    put_backing(fd, "base\0qcow2", 10);
    check(fd, "base", NULL, NULL);

    TEST("an offset without a length names no backing file");
    fd = make_file(3);
    put(fd, 8, 8, NAME_AT);
    check(fd, NULL, NULL, NULL);

    TEST("extensions that we do not know are passed over");
    fd = make_file(3);
    at = put_extension(fd, 112, 0x6803f857, "feature name");
    put_extension(fd, at, 0xe2792aca, "qcow2");
    put_backing(fd, "base", 4);
    check(fd, "base", "qcow2", NULL);

    TEST("extensions end where the name begins");
    fd = make_file(3);
    put(fd, 8, 8, 112);
    put(fd, 16, 4, 8);
    put_extension(fd, 112, 0xe2792aca, "qcow2");
    put_text(fd, 112, "aaaaaaaa", 8);
    check(fd, "aaaaaaaa", NULL, NULL);

    TEST("a data file counts only if the feature says that there is one");
    fd = make_file(3);
    put_extension(fd, 112, 0x44415441, "data.raw");
    check(fd, NULL, NULL, NULL);
    fd = make_file(3);
    put(fd, 72, 8, HEADER_DATA_FILE);
    put_extension(fd, 112, 0x44415441, "data.raw");
    check(fd, NULL, NULL, "data.raw");
}

static void test_refused(void)
{
    int fd;

    TEST("what is no qcow2 image");
    check_fails(test_file(), "it is not a qcow2 image");
    fd = make_file(3);
    put(fd, 0, 1, 0);
    check_fails(fd, "it is not a qcow2 image");

    TEST("versions and cluster sizes that there are not");
    fd = make_file(3);
    put(fd, 4, 4, 4);
    check_fails(fd, "qcow version 4, supported are 2 and 3");
    fd = make_file(3);
    put(fd, 20, 4, 22);
    check_fails(fd, "the cluster size is not 512 bytes to 2 MiB");

    TEST("names and extensions that go too far");
    fd = make_file(3);
    put(fd, 8, 8, CLUSTER + 1);
    check_fails(fd, "the name of its backing file is outside of the header's "
                    "cluster");
    fd = make_file(3);
    put(fd, 8, 8, NAME_AT);
    put(fd, 16, 4, 1024);
    check_fails(fd, "the name of its backing file is too long");
    fd = make_file(3);
    put(fd, 8, 8, CLUSTER - 10);
    put(fd, 16, 4, 11);
    check_fails(fd, "the name of its backing file is too long");
    fd = make_file(3);
    put(fd, 112, 4, 0xe2792aca);
    put(fd, 116, 4, UINT32_MAX);
    check_fails(fd, "header extension at file offset 112 is too long");

    TEST("a file that ends inside a name");
    fd = make_file(3);
    put_backing(fd, "base", 4);
    test_require(ftruncate(fd, NAME_AT + 3) == 0, "ftruncate");
    check_fails(fd, "truncated: it ends at file offset 515, and the bytes up "
                    "to 516 are needed");
}

/* Byte 79 has it.  Nothing behind a read is changed. */
static void test_dirty(void)
{
    static const uint64_t offsets[] = {0, 1, 72, 78, 79, 80};

    for (size_t i = 0; i < N_ELEMENTS(offsets); i++)
        for (size_t length = 1; length <= 80; length++) {
            unsigned char buf[200];
            bool is_in = offsets[i] <= 79 && 79 - offsets[i] < length;
            int changed = 0;

            TEST("the dirty bit is hidden wherever a read begins");
            memset(buf, 0xff, sizeof buf);
            header_clean(104, 65536, offsets[i], buf, length);
            for (size_t k = length; k < sizeof buf; k++)
                changed += buf[k] != 0xff;
            CHECK_INT(changed, 0);
            if (is_in)
                CHECK_INT(buf[79 - offsets[i]], 0xfe);
        }
}

int main(void)
{
    test_begin();
    test_names();
    test_refused();
    test_dirty();
    return test_end();
}
