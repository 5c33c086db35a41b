/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the commands that make QEMU lay an image out. */

#include "config.h"

#include "check-script.h"

/* ------------------------------------------------------------- geometry */

static const struct {
    const char *name;
    enum layout layout;
    struct qcow2_options options;
    uint64_t disk_size;
    struct extent data[MAX_LIST];
    uint64_t clusters, windows, base_size, create_size;
} geometries[] = {
    {"an empty disk has nothing",
     LAYOUT_STREAMABLE,
     {K(64), 16, false, false},
     M(1),
     {{0}},
     0,
     0,
     M(512),
     M(1)},
    {"a byte makes a cluster and a window",
     LAYOUT_STREAMABLE,
     {K(64), 16, false, false},
     G(1),
     {{M(600), 1}},
     1,
     1,
     G(1),
     G(1)},
    {"ranges that share a cluster are counted once",
     LAYOUT_STREAMABLE,
     {K(64), 16, false, false},
     G(2),
     {{0, 1}, {K(64) - 1, 2}, {K(128) - 1, 1}, {M(512) - 1, 2}},
     4,
     2,
     G(2),
     G(2)},
    {"subclusters count as their cluster",
     LAYOUT_STREAMABLE,
     {K(16), 16, false, true},
     M(40),
     {{K(1), 1}, {K(3), 1}, {M(16), K(17)}},
     3,
     2,
     M(48),
     M(40)},
    /* A block of 512 bytes has 256 refcounts.  247 clusters of data are 4
     * windows; with 4 L2 tables, one for the cut, L1 and the 3 that each
     * image begins with (header, refcount table and block) they fill it.
     */
    {"what one refcount block can count needs no more",
     LAYOUT_STREAMABLE,
     {512, 16, false, false},
     K(256),
     {{0, 247 * 512}},
     247,
     4,
     K(256),
     K(256)},
    {"a cluster more grows the disk by what there is, and three",
     LAYOUT_STREAMABLE,
     {512, 16, false, false},
     K(256),
     {{0, 248 * 512}},
     248,
     4,
     K(256),
     K(256) + (248 + 4 + 3) * 512},
    {"any layout grows as well",
     LAYOUT_ANY,
     {512, 16, false, false},
     K(256),
     {{0, 248 * 512}},
     248,
     4,
     K(256),
     K(256) + (248 + 4 + 3) * 512},
    {"convert never grows the disk",
     LAYOUT_CONVERT,
     {512, 16, false, false},
     K(256),
     {{0, K(256)}},
     512,
     8,
     K(256),
     K(256)},
    {"a disk grows from its last whole window",
     LAYOUT_STREAMABLE,
     {512, 16, false, false},
     K(200) + 512,
     {{0, K(128)}},
     256,
     4,
     K(224),
     K(224) + (256 + 4 + 3) * 512},
    {"refcounts of 1 bit are 16 times as many",
     LAYOUT_STREAMABLE,
     {512, 1, false, false},
     K(256),
     {{0, K(256)}},
     512,
     8,
     K(256),
     K(256)},
    {"refcounts of 64 bits are few",
     LAYOUT_STREAMABLE,
     {512, 64, false, false},
     K(256),
     {{0, K(32)}},
     64,
     1,
     K(256),
     K(256) + (64 + 1 + 3) * 512},
    {"an empty disk never grows, however large",
     LAYOUT_STREAMABLE,
     {512, 64, false, false},
     G(64),
     {{0}},
     0,
     0,
     G(64),
     G(64)},
};

static void test_geometry(void)
{
    for (size_t i = 0; i < N_ELEMENTS(geometries); i++) {
        uint64_t cs = geometries[i].options.cluster_size;
        struct extents data;
        struct layout_plan plan = {
            .layout = geometries[i].layout,
            .options = geometries[i].options,
            .disk_size = geometries[i].disk_size,
            .data = &data,
            .status = &data,
        };
        struct layout_geometry g;

        TEST(geometries[i].name);
        data = build(geometries[i].data);
        layout_measure(&plan, LAYOUT_BY_GROWING, &g);
        CHECK_UINT(g.granule, qcow2_granule(&plan.options));
        CHECK_UINT(g.window, qcow2_window(&plan.options));
        CHECK_UINT(g.data_clusters, geometries[i].clusters);
        CHECK_UINT(g.used_windows, geometries[i].windows);
        CHECK_UINT(g.base_size, geometries[i].base_size);
        CHECK_UINT(g.create_size, geometries[i].create_size);
        CHECK_INT(g.is_grown,
                  geometries[i].create_size != geometries[i].disk_size);
        CHECK(g.store_size > (g.data_clusters + g.used_windows + 4) * cs);
        extents_clear(&data);
    }
}

static void test_scan_granule(void)
{
    const struct qcow2_options plain = {K(64), 16, false, false};
    const struct qcow2_options extended = {K(64), 16, false, true};

    TEST("zeroes are looked for in what is allocated at once");
    CHECK_UINT(layout_scan_granule(LAYOUT_STREAMABLE, &plain), K(64));
    CHECK_UINT(layout_scan_granule(LAYOUT_ANY, &plain), K(64));
    CHECK_UINT(layout_scan_granule(LAYOUT_STREAMABLE, &extended), K(2));

    TEST("convert looks for them in 4 KiB");
    CHECK_UINT(layout_scan_granule(LAYOUT_CONVERT, &plain), K(4));
    CHECK_UINT(layout_scan_granule(LAYOUT_CONVERT, &extended), K(4));
}

/* -------------------------------------------------------------- scripts */

static const struct {
    const char *name;
    enum layout layout;
    struct qcow2_options options;
    uint64_t disk_size;
    struct extent data[MAX_LIST], status[MAX_LIST];
    const char *lines[MAX_LINES];
} scripts[] = {
    {"without data there is nothing to do",
     LAYOUT_STREAMABLE,
     {K(64), 16, false, false},
     M(1),
     {{0}},
     {{0, M(1)}},
     {NULL}},
    /*  0       64K     128K    192K    256K
     *  |ddddddd|       |       |d      |
     */
    {"the L2 table comes first, then the data in whole clusters",
     LAYOUT_STREAMABLE,
     {K(64), 16, false, false},
     M(1),
     {{0, K(64)}, {K(192), 1000}},
     {{0, M(1)}},
     {"write -q -z 0 65536", "write -q -P 0 0 65536",
      "write -q -P 0 196608 65536"}},
    {"the table is made by the first cluster with data",
     LAYOUT_STREAMABLE,
     {K(64), 16, false, false},
     M(1),
     {{K(130), K(100)}},
     {{0, M(1)}},
     {"write -q -z 131072 65536", "write -q -P 0 131072 131072"}},
    {"the last cluster is cut where the disk ends",
     LAYOUT_STREAMABLE,
     {K(64), 16, false, false},
     K(98),
     {{K(70), K(28)}},
     {{0, K(98)}},
     {"write -q -z 65536 34816", "write -q -P 0 65536 34816"}},
    {"data is written in pieces of 512 KiB",
     LAYOUT_STREAMABLE,
     {K(64), 16, false, false},
     M(16),
     {{M(1), M(5)}, {M(8), M(2)}},
     {{0, M(16)}},
     {"write -q -z 1048576 65536", "write -q -P 0 1048576 524288",
      "write -q -P 0 1572864 524288", "write -q -P 0 2097152 524288",
      "write -q -P 0 2621440 524288", "write -q -P 0 3145728 524288",
      "write -q -P 0 3670016 524288", "write -q -P 0 4194304 524288",
      "write -q -P 0 4718592 524288", "write -q -P 0 5242880 524288",
      "write -q -P 0 5767168 524288", "write -q -P 0 8388608 524288",
      "write -q -P 0 8912896 524288", "write -q -P 0 9437184 524288",
      "write -q -P 0 9961472 524288"}},
    {"but in whole clusters",
     LAYOUT_STREAMABLE,
     {M(2), 16, false, false},
     M(16),
     {{M(2), M(4)}},
     {{0, M(16)}},
     {"write -q -z 2097152 2097152", "write -q -P 0 2097152 2097152",
      "write -q -P 0 4194304 2097152"}},
    /* Clusters of 512 bytes have windows of 32 KiB:
     *  0           32K         64K         96K         128K
     *  |--d-----d--|-dd--------|-----------|d----------|
     */
    {"each window with data has a table, and no other",
     LAYOUT_STREAMABLE,
     {512, 16, false, false},
     K(128),
     {{1024, 512}, {K(20), 512}, {K(40), 1024}, {K(96), 1}},
     {{0, K(128)}},
     {"write -q -z 1024 512", "write -q -z 40960 512", "write -q -z 98304 512",
      "write -q -P 0 1024 512", "write -q -P 0 20480 512",
      "write -q -P 0 40960 1024", "write -q -P 0 98304 512"}},
    {"a range across windows makes the tables of both",
     LAYOUT_STREAMABLE,
     {512, 16, false, false},
     K(128),
     {{K(32) - 512, 1024}},
     {{0, K(128)}},
     {"write -q -z 32256 512", "write -q -z 32768 512",
      "write -q -P 0 32256 1024"}},
    {"a range over many windows makes the tables of all",
     LAYOUT_STREAMABLE,
     {512, 16, false, false},
     K(128),
     {{K(30), K(67)}},
     {{0, K(128)}},
     {"write -q -z 30720 512", "write -q -z 32768 512",
      "write -q -z 65536 512", "write -q -z 98304 512",
      "write -q -P 0 30720 68608"}},
    {"version 2 has no zero flag: its tables cost a write and a discard",
     LAYOUT_STREAMABLE,
     {512, 16, true, false},
     K(128),
     {{1024, 512}, {K(40), 1024}},
     {{0, K(128)}},
     {"write -q -P 0 1024 512", "discard -q 1024 512",
      "write -q -P 0 40960 512", "discard -q 40960 512",
      "write -q -P 0 1024 512", "write -q -P 0 40960 1024"}},
    /* Clusters of 16 KiB have subclusters of 512 bytes. */
    {"with subclusters these are what is written",
     LAYOUT_STREAMABLE,
     {K(16), 16, false, true},
     M(40),
     {{1000, 100}, {M(16) + 5000, 1}},
     {{0, M(40)}},
     {"write -q -z 512 512", "write -q -z 16781824 512",
      "write -q -P 0 512 1024", "write -q -P 0 16781824 512"}},
    /* In units of 32 KiB, the windows; the disk ends inside the last one,
     * and is cut there:
     *  0   1   2   3   4   5   6   7
     *  |ddd|ddd|ddd|ddd|   |   |  c|
     */
    {"a disk too large for one refcount block grows, and is cut at last",
     LAYOUT_STREAMABLE,
     {512, 16, false, false},
     K(200) + 512,
     {{0, K(128)}},
     {{0, K(128)}},
     {"truncate 229376", "truncate -m falloc 364032",
      "discard -q 229376 134656", "write -q -z 0 512", "write -q -z 32768 512",
      "write -q -z 65536 512", "write -q -z 98304 512",
      "write -q -z 205312 512", "write -q -P 0 0 131072", "truncate 205312"}},
    {"where data has made a table the cut needs no other",
     LAYOUT_STREAMABLE,
     {512, 16, false, false},
     K(200) + 512,
     {{0, K(127)}, {K(198), 512}},
     {{0, K(200) + 512}},
     {"truncate 229376", "truncate -m falloc 364032",
      "discard -q 229376 134656", "write -q -z 0 512", "write -q -z 32768 512",
      "write -q -z 65536 512", "write -q -z 98304 512",
      "write -q -z 202752 512", "write -q -P 0 0 130048",
      "write -q -P 0 202752 512", "truncate 205312"}},
    {"the cut's table lies behind the last cluster, as far as there is one",
     LAYOUT_STREAMABLE,
     {K(4), 64, false, false},
     M(4) - K(4) - 512,
     {{0, M(2)}},
     {{0, M(2)}},
     {"truncate 4194304", "truncate -m falloc 6307840",
      "discard -q 4194304 2113536", "write -q -z 0 4096",
      "write -q -z 4190208 4096", "write -q -P 0 0 524288",
      "write -q -P 0 524288 524288", "write -q -P 0 1048576 524288",
      "write -q -P 0 1572864 524288", "truncate 4189696"}},
    {"a disk that ends in the last cluster of a window needs no cut's table",
     LAYOUT_STREAMABLE,
     {K(4), 64, false, false},
     M(4) - 512,
     {{0, M(2)}},
     {{0, M(2)}},
     {"truncate 4194304", "truncate -m falloc 6307840",
      "discard -q 4194304 2113536", "write -q -z 0 4096",
      "write -q -P 0 0 524288", "write -q -P 0 524288 524288",
      "write -q -P 0 1048576 524288", "write -q -P 0 1572864 524288",
      "truncate 4193792"}},
    {"version 2 makes the cut's table as it makes all",
     LAYOUT_STREAMABLE,
     {512, 16, true, false},
     K(200) + 512,
     {{0, K(32)}, {K(32), K(96)}},
     {{0, K(128)}},
     {"truncate 229376", "truncate -m falloc 364032",
      "discard -q 229376 134656", "write -q -P 0 0 512", "discard -q 0 512",
      "write -q -P 0 32768 512", "discard -q 32768 512",
      "write -q -P 0 65536 512", "discard -q 65536 512",
      "write -q -P 0 98304 512", "discard -q 98304 512",
      "write -q -P 0 205312 512", "discard -q 205312 512",
      "write -q -P 0 0 131072", "truncate 205312"}},
    {"any layout is made the same way",
     LAYOUT_ANY,
     {512, 16, false, false},
     K(256),
     {{0, K(128)}},
     {{0, K(128)}},
     {"truncate 262144", "truncate -m falloc 396800",
      "discard -q 262144 134656", "write -q -z 0 512", "write -q -z 32768 512",
      "write -q -z 65536 512", "write -q -z 98304 512",
      "write -q -P 0 0 131072", "truncate 262144"}},

    {"convert writes the data and nothing else",
     LAYOUT_CONVERT,
     {512, 16, false, false},
     K(256),
     {{0, K(128)}, {K(200), 512}},
     {{0, K(256)}},
     {"write -q -P 0 0 131072", "write -q -P 0 204800 512"}},
    {"convert without data does nothing",
     LAYOUT_CONVERT,
     {K(64), 16, false, false},
     M(1),
     {{0}},
     {{0}},
     {NULL}},
    {"convert writes sectors, not clusters",
     LAYOUT_CONVERT,
     {K(64), 16, false, false},
     M(1),
     {{100, 100}, {K(4), K(4)}, {K(12), 1000}},
     {{0, M(1)}},
     {"write -q -P 0 0 512", "write -q -P 0 4096 4096",
      "write -q -P 0 12288 1024"}},
    /* Buffers begin where block status does:
     *  0    1M   2M   3M   4M   5M   6M
     *  |    ssssssssssssssssssss     |
     *  |    |  ddddddddddddd   |     |
     *  |    ^ buffer  ^ buffer |     |
     */
    {"convert cuts 2 MiB behind where the status range begins",
     LAYOUT_CONVERT,
     {K(64), 16, false, false},
     M(8),
     {{K(1536), M(3)}},
     {{M(1), M(4)}},
     {"write -q -P 0 1572864 1572864", "write -q -P 0 3145728 1572864"}},
    {"convert cuts behind each status range's own beginning",
     LAYOUT_CONVERT,
     {K(64), 16, false, false},
     M(16),
     {{0, K(4)}, {M(1), M(3)}, {M(9), M(3)}},
     {{0, K(8)}, {M(1), M(4)}, {M(8), M(8)}},
     {"write -q -P 0 0 4096", "write -q -P 0 1048576 2097152",
      "write -q -P 0 3145728 1048576", "write -q -P 0 9437184 1048576",
      "write -q -P 0 10485760 2097152"}},
    {"convert passes status ranges without data",
     LAYOUT_CONVERT,
     {K(64), 16, false, false},
     M(16),
     {{M(9), M(2)}},
     {{0, K(4)}, {M(1), M(1)}, {M(9), M(3)}},
     {"write -q -P 0 9437184 2097152"}},
    {"convert's last write is cut where the disk ends",
     LAYOUT_CONVERT,
     {K(64), 16, false, false},
     M(2) + 512,
     {{0, M(2) + 512}},
     {{0, M(2) + 512}},
     {"write -q -P 0 0 2097152", "write -q -P 0 2097152 512"}},
};

static void test_scripts(void)
{
    for (size_t i = 0; i < N_ELEMENTS(scripts); i++) {
        struct extents data, status;
        struct layout_plan plan = {
            .layout = scripts[i].layout,
            .options = scripts[i].options,
            .disk_size = scripts[i].disk_size,
            .data = &data,
            .status = &status,
        };

        TEST(scripts[i].name);
        data = build(scripts[i].data);
        status = build(scripts[i].status);
        check_script(&plan, scripts[i].lines);
        extents_clear(&data);
        extents_clear(&status);
    }
}

/* 2 GiB of data on a disk of that size, in clusters of 64 KiB: 32768 of them
 * and 4 windows.
 */
static void test_large(void)
{
    static const char *const head[] = {
        "truncate 2147483648",
        "truncate -m falloc 4295426048",
        "discard -q 2147483648 1073741824",
        "discard -q 3221225472 1073741824",
        "discard -q 4294967296 458752",
        "write -q -z 0 65536",
        "write -q -z 536870912 65536",
        "write -q -z 1073741824 65536",
        "write -q -z 1610612736 65536",
    };
    const struct extent list[MAX_LIST] = {{0, G(2)}};
    struct extents data = build(list);
    struct layout_plan plan = {
        .options = {K(64), 16, false, false},
        .disk_size = G(2),
        .data = &data,
        .status = &data,
    };
    struct layout_geometry geometry;
    struct layout_script script;
    char line[QEMU_IO_LINE], expected[QEMU_IO_LINE];
    struct error err;

    TEST("a large discard is cut into pieces of 1 GiB");
    layout_measure(&plan, LAYOUT_BY_GROWING, &geometry);
    CHECK_OK(layout_script_open(&plan, &geometry, &script, &err), &err);
    for (size_t i = 0; i < N_ELEMENTS(head); i++) {
        CHECK(layout_script_next(&script, line));
        CHECK_STR(line, head[i]);
    }
    for (uint64_t at = 0; at < G(2); at += K(512)) {
        snprintf(expected, sizeof expected, "write -q -P 0 %" PRIu64 " %d", at,
                 512 << 10);
        CHECK(layout_script_next(&script, line));
        CHECK_STR(line, expected);
    }
    CHECK(layout_script_next(&script, line));
    CHECK_STR(line, "truncate 2147483648");
    CHECK(!layout_script_next(&script, line));
    layout_script_close(&script);
    extents_clear(&data);
}

int main(void)
{
    test_begin();
    test_geometry();
    test_scan_granule();
    test_scripts();
    test_large();
    return test_end();
}
