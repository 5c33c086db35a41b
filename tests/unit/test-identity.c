/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what tells one image from another, and its beginning from others. */

#include "config.h"

#include "base/io.h"
#include "export/beginning.h"
#include "export/identity.h"
#include "test.h"

enum { FILE_LENGTH = 5 << 20, DISK_SIZE = 1 << 30 };

/* Metadata is before 1 MiB, from 3 to 4 MiB, and behind 4.5 MiB. */
static struct filemap_entry entries[] = {
    {1 << 20, 2 << 20, 7 << 20},
    {4 << 20, 512 << 10, 40 << 20},
};

/* The first of them in two. */
static struct filemap_entry cut[] = {
    {1 << 20, 1 << 20, 7 << 20},
    {2 << 20, 1 << 20, 8 << 20},
    {4 << 20, 512 << 10, 40 << 20},
};

static struct skeleton whole = {{entries, 2, 2}, FILE_LENGTH};

static struct store *make_store(void)
{
    struct store *store;
    struct error err;

    test_require(store_new("/tmp", &store, &err) == 0, "store");
    CHECK_INT(io_pwrite_full(store_fd(store), "table", 5, 100), 0);
    CHECK_INT(io_pwrite_full(store_fd(store), "table", 5, 3 << 20), 0);
    return store;
}

static void identify(const struct skeleton *skeleton, struct store *store,
                     uint64_t disk_size, char id[IDENTITY_SPACE])
{
    struct error err;

    CHECK_OK(identity_compute(skeleton, store, disk_size, id, &err), &err);
    CHECK(identity_is_valid(id));
}

static void test_identity(void)
{
    struct store *store = make_store();
    struct skeleton other = whole;
    char id[IDENTITY_SPACE], id2[IDENTITY_SPACE];

    TEST("the same is the same");
    identify(&whole, store, DISK_SIZE, id);
    identify(&whole, store, DISK_SIZE, id2);
    CHECK(identity_is_equal(id, id2));

    TEST("where the map is cut does not matter");
    other.map = (struct filemap){cut, 3, 3};
    identify(&other, store, DISK_SIZE, id2);
    CHECK_STR(id2, id);

    TEST("where the data belongs does");
    entries[1].disk_offset += 65536;
    identify(&whole, store, DISK_SIZE, id2);
    CHECK(!identity_is_equal(id, id2));
    entries[1].disk_offset -= 65536;

    TEST("so do the sizes of disk and file");
    identify(&whole, store, DISK_SIZE + 512, id2);
    CHECK(!identity_is_equal(id, id2));
    other = whole;
    other.file_length += 65536;
    identify(&other, store, DISK_SIZE, id2);
    CHECK(!identity_is_equal(id, id2));

    TEST("what is in the place of data does not");
    CHECK_INT(io_pwrite_full(store_fd(store), "x", 1, 1 << 20), 0);
    identify(&whole, store, DISK_SIZE, id2);
    CHECK_STR(id2, id);

    TEST("the last byte of metadata does");
    CHECK_INT(io_pwrite_full(store_fd(store), "x", 1, FILE_LENGTH - 1), 0);
    identify(&whole, store, DISK_SIZE, id2);
    CHECK(!identity_is_equal(id, id2));
    store_free(store);
}

static void test_known(void)
{
    struct store *store;
    struct skeleton empty = {.file_length = 0};
    struct error err;
    char id[IDENTITY_SPACE];

    /* printf 'qcow-tool identity 1\n' and 24 zeroes, through sha256sum. */
    TEST("the text that is digested stays what it is");
    test_require(store_new("/tmp", &store, &err) == 0, "store");
    identify(&empty, store, 0, id);
    CHECK_STR(id, "6af14ac7d9a3e78a5eec69e3a6ebbd5a"
                  "c329980b5f99fb6c1e045afde9cc4011");
    store_free(store);
}

static const struct {
    uint64_t file_end, at; /* at is where the file differs */
    const char *message;   /* NULL: is taken */
} beginnings[] = {
    {FILE_LENGTH, 1 << 20, NULL},       /* in the data */
    {FILE_LENGTH, (4 << 20) + 1, NULL}, /* there, too */
    {FILE_LENGTH, 104, "file offset 104"},
    {104, 104, NULL}, /* behind it */
    {105, 104, "file offset 104"},
    {(3 << 20) + 70000, (3 << 20) + 69999, "file offset 3215727"},
    {FILE_LENGTH, FILE_LENGTH - 1, "file offset 5242879"},
};

static void test_beginning(void)
{
    struct store *store = make_store();

    for (size_t i = 0; i < N_ELEMENTS(beginnings); i++) {
        int fd = test_file();
        struct error err;
        char message[200];

        TEST("a beginning is compared, but for its data");
        CHECK_INT(ftruncate(fd, beginnings[i].file_end + 1), 0);
        CHECK_INT(io_pwrite_full(fd, "table", 5, 100), 0);
        CHECK_INT(io_pwrite_full(fd, "table", 5, 3 << 20), 0);
        CHECK_INT(io_pwrite_full(fd, "!", 1, beginnings[i].at), 0);
        if (beginnings[i].message == NULL) {
            CHECK_OK(beginning_check(&whole, store, beginnings[i].file_end, fd,
                                     "x", &err),
                     &err);
        } else {
            snprintf(message, sizeof message,
                     "destination: x does not hold the beginning of this "
                     "image: it differs at %s",
                     beginnings[i].message);
            CHECK_FAILS(beginning_check(&whole, store, beginnings[i].file_end,
                                        fd, "x", &err),
                        &err, message);
        }
        close(fd);
    }
    store_free(store);
}

static void test_valid(void)
{
    char text[IDENTITY_SPACE + 1];

    TEST("an id has 64 hexadecimal digits");
    memset(text, 'A', sizeof text);
    text[64] = '\0';
    CHECK(identity_is_valid(text));
    text[63] = 'g';
    CHECK(!identity_is_valid(text));
    text[63] = '\0';
    CHECK(!identity_is_valid(text));
    CHECK(!identity_is_valid(""));
}

int main(void)
{
    test_begin();
    test_identity();
    test_known();
    test_beginning();
    test_valid();
    return test_end();
}
