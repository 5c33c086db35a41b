/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests names for QEMU, and the units its images are made of. */

#include "config.h"

#include "qemu/lack.h"
#include "qemu/qemu.h"
#include "test.h"

#include <errno.h>
#include <limits.h>

static void test_bridge_node(void)
{
    char node[QEMU_NODE_SPACE];

    TEST("the node of a bridge is JSON that names its fd");
    qemu_bridge_node(node, 7, 4096);
    CHECK_STR(node, "json:{\"driver\":\"qcow2\","
                    "\"l2-cache-entry-size\":4096,\"backing\":null,"
                    "\"file\":{\"driver\":\"nbd\",\"server\":"
                    "{\"type\":\"fd\",\"str\":\"7\"}}}");

    TEST("the node of any fd has room");
    qemu_bridge_node(node, INT_MAX, 65536);
    CHECK(strstr(node, "\"2147483647\"}}}") != NULL);
}

static void test_map_node(void)
{
    char node[QEMU_NODE_SPACE];

    TEST("below an image that is mapped there are zeroes");
    qemu_map_node(node, 7, 0, 0, 0);
    CHECK_STR(node, "json:{\"driver\":\"raw\",\"offset\":0,\"file\":"
                    "{\"driver\":\"qcow2\",\"backing\":"
                    "{\"driver\":\"null-co\",\"size\":4611686018427387904,"
                    "\"read-zeroes\":true},"
                    "\"file\":{\"driver\":\"nbd\",\"server\":"
                    "{\"type\":\"fd\",\"str\":\"7\"}}}}");

    TEST("a part of a disk is a raw disk in it, of any size");
    qemu_map_node(node, INT_MAX, INT64_MAX - 511, INT64_MAX - 511, 65536);
    CHECK(strstr(node, "json:{\"driver\":\"raw\","
                       "\"offset\":9223372036854775296,"
                       "\"size\":9223372036854775296,\"file\":{"
                       "\"driver\":\"qcow2\","
                       "\"l2-cache-entry-size\":65536,") == node);
    CHECK(strstr(node, "\"2147483647\"}}}}") != NULL);
}

static const struct {
    const char *name, *path, *file_name;
} file_names[] = {
    {"an absolute path is itself", "/dev/sda", "/dev/sda"},
    {"a colon behind a slash is harmless", "/a/nbd:b", "/a/nbd:b"},
    {"a relative path is said to be one", "a", "./a"},
    {"a protocol's name is no protocol", "nbd:localhost:1",
     "./nbd:localhost:1"},
    {"json: is no node", "json:{}", "./json:{}"},
    {"a path that begins with a dash is no option", "-c", "./-c"},
    {"blanks and quotes stay", "a b'\"\\", "./a b'\"\\"},
};

static void test_file_name(void)
{
    for (size_t i = 0; i < N_ELEMENTS(file_names); i++) {
        char *file_name = qemu_file_name(file_names[i].path);

        TEST(file_names[i].name);
        CHECK_STR(file_name, file_names[i].file_name);
        free(file_name);
    }
}

#define ZSTD                                                                  \
    "QEMU: this qemu-img cannot read what is compressed with zstd (some "     \
    "can, from 5.1 on)"
#define EXTENDED "QEMU: this qemu-img knows no extended L2 entries (since 5.2)"

/* As 4.2.1 and 7.0.0 say it. */
static const struct {
    const char *name, *said;
    const char *named; /* NULL: it is something else */
} lacks[] = {
    {"zstd, if that was left out",
     "QEMU: qemu-img: qcow2: unknown compression type: 1", ZSTD},
    {"zstd, as the image calls it",
     "QEMU: qemu-img: Unsupported qcow2 feature(s): compression type", ZSTD},
    {"zstd, by its bit",
     "QEMU: qemu-img: Unsupported qcow2 feature(s): Unknown incompatible "
     "feature: 8",
     ZSTD},
    {"zstd before another, by their bits",
     "QEMU: qemu-img: Unsupported qcow2 feature(s): Unknown incompatible "
     "feature: 18",
     ZSTD},
    {"extended L2 entries, by their bit",
     "QEMU: qemu-img: Unsupported qcow2 feature(s): Unknown incompatible "
     "feature: 10",
     EXTENDED},
    {"extended L2 entries, to be made",
     "QEMU: qemu-img: /proc/self/fd/7: Invalid parameter 'extended_l2'",
     EXTENDED},
    {"a format", "QEMU: qemu-img: Unknown driver 'vhdx'",
     "QEMU: this qemu-img was built without the driver 'vhdx'"},
    {"a format that is not allowed",
     "QEMU: qemu-img: Driver 'vdi' is not whitelisted",
     "QEMU: this qemu-img was built without the driver 'vdi'"},
    {"a format with a name of any length is as QEMU said it",
     "QEMU: qemu-img: Unknown driver 'abcdefghijabcdefghijabcdefghijab'",
     NULL},
    {"a bit that nobody knows is as QEMU said it",
     "QEMU: qemu-img: Unsupported qcow2 feature(s): Unknown incompatible "
     "feature: 28",
     NULL},
    {"a broken image is as QEMU said it",
     "QEMU: qemu-img: Active L1 table offset invalid", NULL},
};

static void test_lacks(void)
{
    for (size_t i = 0; i < N_ELEMENTS(lacks); i++) {
        struct error err;
        bool is_named = lacks[i].named != NULL;

        TEST(lacks[i].name);
        error_set(&err, 0, "%s", lacks[i].said);
        CHECK_INT(lack_name("/usr/bin/qemu-img", &err), -1);
        CHECK_STR(err.msg, is_named ? lacks[i].named : lacks[i].said);
        CHECK_INT(err.errnum, is_named ? ENOTSUP : 0);
    }
}

/* A table is one cluster; an entry has 8 bytes, or 16 with extended L2. */
static const struct {
    const char *name;
    uint64_t cluster_size;
    bool is_extended_l2;
    uint64_t granule, window;
} geometries[] = {
    {"a table of 512 bytes has 64 entries", 512, false, 512, 32 << 10},
    {"a table of 4 KiB has 512 entries", 4096, false, 4096, 2 << 20},
    {"a table of 64 KiB has 8192 entries", 65536, false, 65536, 512 << 20},
    {"a table of 2 MiB has 262144 entries", 2 << 20, false, 2 << 20,
     UINT64_C(512) << 30},
    {"a table with subclusters has half the entries", 65536, true, 2048,
     256 << 20},
    {"the smallest subcluster has 512 bytes", 16384, true, 512, 16 << 20},
    {"the largest subcluster has 64 KiB", 2 << 20, true, 64 << 10,
     UINT64_C(256) << 30},
};

static void test_geometry(void)
{
    for (size_t i = 0; i < N_ELEMENTS(geometries); i++) {
        struct qcow2_options options = {
            .cluster_size = geometries[i].cluster_size,
            .refcount_bits = 16,
            .is_extended_l2 = geometries[i].is_extended_l2,
        };

        TEST(geometries[i].name);
        CHECK_UINT(qcow2_granule(&options), geometries[i].granule);
        CHECK_UINT(qcow2_window(&options), geometries[i].window);
    }
}

static void test_find(void)
{
    struct qemu qemu = {.io = "given-io"};

    TEST("what is given counts, then the environment");
    setenv("QCOW_TOOL_QEMU_IMG", "environment-img", 1);
    setenv("QCOW_TOOL_QEMU_IO", "environment-io", 1);
    setenv("QCOW_TOOL_QEMU_NBD", "", 1);
    qemu_find(&qemu);
    CHECK_STR(qemu.img, "environment-img");
    CHECK_STR(qemu.io, "given-io");

    TEST("an empty variable is none");
    CHECK_STR(qemu.nbd, QEMU_NBD_PATH);

    TEST("without a variable it is what configure was told");
    unsetenv("QCOW_TOOL_QEMU_IMG");
    unsetenv("QCOW_TOOL_QEMU_IO");
    qemu = (struct qemu){0};
    qemu_find(&qemu);
    CHECK_STR(qemu.img, QEMU_IMG_PATH);
    CHECK_STR(qemu.io, QEMU_IO_PATH);

    TEST(
        "QEMU's memory does not fall to pieces, unless our caller knows best");
    setenv("GLIBC_TUNABLES", "glibc.malloc.check=0", 1);
    qemu_find(&qemu);
    CHECK_STR(getenv("GLIBC_TUNABLES"), "glibc.malloc.check=0");
    unsetenv("GLIBC_TUNABLES");
    qemu_find(&qemu);
    CHECK_STR(getenv("GLIBC_TUNABLES"), "glibc.malloc.tcache_count=0");
}

int main(void)
{
    test_begin();
    test_bridge_node();
    test_map_node();
    test_file_name();
    test_lacks();
    test_geometry();
    test_find();
    return test_end();
}
