/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the commands that make QEMU mark ranges of an image as zeroes. */

#include "config.h"

#include "check-script.h"

static const struct {
    const char *name;
    enum layout layout;
    struct qcow2_options options;
    uint64_t disk_size;
    struct extent data[MAX_LIST], zeroes[MAX_LIST];
    uint64_t windows; /* with data, and with zeroes */
    const char *lines[MAX_LINES];
} scripts[] = {
    {"zeroes alone need a table, and no data",
     LAYOUT_STREAMABLE,
     {K(64), 16, false, false},
     M(1),
     {{0}},
     {{K(64), K(128)}},
     1,
     {"write -q -z 65536 65536", "write -q -z 65536 131072"}},
    /* Clusters of 512 bytes have windows of 32 KiB:
     *  0           32K         64K         96K         128K
     *  |--z-----d--|-----------|-d-----z---|zz---------|
     */
    {"zeroes and data share the table of a window",
     LAYOUT_STREAMABLE,
     {512, 16, false, false},
     K(128),
     {{K(20), 512}, {K(66), 512}},
     {{1024, 512}, {K(80), 512}, {K(96), 1024}},
     5,
     {"write -q -z 1024 512", "write -q -z 67584 512", "write -q -z 98304 512",
      "write -q -z 1024 512", "write -q -z 81920 512",
      "write -q -z 98304 1024", "write -q -P 0 20480 512",
      "write -q -P 0 67584 512"}},
    {"zeroes over many windows make the tables of all",
     LAYOUT_STREAMABLE,
     {512, 16, false, false},
     K(128),
     {{0}},
     {{K(30), K(67)}},
     4,
     {"write -q -z 30720 512", "write -q -z 32768 512",
      "write -q -z 65536 512", "write -q -z 98304 512",
      "write -q -z 30720 68608"}},
    {"zeroes and data may touch",
     LAYOUT_STREAMABLE,
     {K(64), 16, false, false},
     M(1),
     {{0, K(64)}, {K(128), K(64)}},
     {{K(64), K(64)}, {K(192), K(64)}},
     2,
     {"write -q -z 0 65536", "write -q -z 65536 65536",
      "write -q -z 196608 65536", "write -q -P 0 0 65536",
      "write -q -P 0 131072 65536"}},
    /* Clusters of 16 KiB have subclusters of 512 bytes. */
    {"subclusters are marked by themselves",
     LAYOUT_STREAMABLE,
     {K(16), 16, false, true},
     M(40),
     {{1000, 100}},
     {{K(2), 512}, {M(16) + 1536, K(32)}},
     3,
     {"write -q -z 512 512", "write -q -z 16778752 512",
      "write -q -z 2048 512", "write -q -z 16778752 32768",
      "write -q -P 0 512 1024"}},
    {"the last cluster is marked as far as the disk goes",
     LAYOUT_STREAMABLE,
     {K(64), 16, false, false},
     K(98),
     {{0}},
     {{K(64), K(34)}},
     1,
     {"write -q -z 65536 34816", "write -q -z 65536 34816"}},
    {"any layout is made the same way",
     LAYOUT_ANY,
     {K(64), 16, false, false},
     M(1),
     {{0, 1}},
     {{K(64), K(64)}},
     2,
     {"write -q -z 0 65536", "write -q -z 65536 65536",
      "write -q -P 0 0 65536"}},
    {"convert marks zeroes first, and makes no tables",
     LAYOUT_CONVERT,
     {K(64), 16, false, false},
     M(1),
     {{0, K(64)}, {K(192), 512}},
     {{K(64), K(64)}, {K(256), K(64)}},
     2,
     {"write -q -z 65536 65536", "write -q -z 262144 65536",
      "write -q -P 0 0 65536", "write -q -P 0 196608 512"}},
    {"convert may have zeroes alone",
     LAYOUT_CONVERT,
     {K(64), 16, false, false},
     M(1),
     {{0}},
     {{0, M(1)}},
     1,
     {"write -q -z 0 1048576"}},

    /* Blocks of 4 KiB have 512 refcounts of 64 bits, and windows are 2 MiB:
     * two of data and tables fill one.  The disk ends in its last cluster:
     *  0       2M      4M - 512
     *  |dddddddd|     zzz|
     */
    {"on a disk that has grown the last cluster is whole",
     LAYOUT_STREAMABLE,
     {K(4), 64, false, false},
     M(4) - 512,
     {{0, M(2)}},
     {{M(4) - K(8), K(8) - 512}},
     2,
     {"truncate 4194304", "truncate -m falloc 6311936",
      "discard -q 4194304 2117632", "write -q -z 0 4096",
      "write -q -z 4186112 4096", "write -q -z 4186112 8192",
      "write -q -P 0 0 524288", "write -q -P 0 524288 524288",
      "write -q -P 0 1048576 524288", "write -q -P 0 1572864 524288",
      "truncate 4193792"}},
    {"zeroes make the table that the cut needs",
     LAYOUT_STREAMABLE,
     {K(4), 64, false, false},
     M(4) - K(64),
     {{0, M(2)}},
     {{M(3), K(4)}},
     2,
     {"truncate 4194304", "truncate -m falloc 6311936",
      "discard -q 4194304 2117632", "write -q -z 0 4096",
      "write -q -z 3145728 4096", "write -q -z 3145728 4096",
      "write -q -P 0 0 524288", "write -q -P 0 524288 524288",
      "write -q -P 0 1048576 524288", "write -q -P 0 1572864 524288",
      "truncate 4128768"}},
    {"zeroes elsewhere do not make the table that the cut needs",
     LAYOUT_STREAMABLE,
     {K(4), 64, false, false},
     M(6) - K(64),
     {{0, M(2)}},
     {{M(3), K(4)}},
     2,
     {"truncate 6291456", "truncate -m falloc 8409088",
      "discard -q 6291456 2117632", "write -q -z 0 4096",
      "write -q -z 3145728 4096", "write -q -z 6225920 4096",
      "write -q -z 3145728 4096", "write -q -P 0 0 524288",
      "write -q -P 0 524288 524288", "write -q -P 0 1048576 524288",
      "write -q -P 0 1572864 524288", "truncate 6225920"}},
};

static void test_scripts(void)
{
    for (size_t i = 0; i < N_ELEMENTS(scripts); i++) {
        uint64_t cs = scripts[i].options.cluster_size;
        const struct extent all[MAX_LIST] = {{0, scripts[i].disk_size}};
        struct extents data, status, zeroes;
        struct layout_plan plan = {
            .layout = scripts[i].layout,
            .options = scripts[i].options,
            .disk_size = scripts[i].disk_size,
            .data = &data,
            .status = &status,
            .zeroes = &zeroes,
        };
        struct layout_geometry g;

        TEST(scripts[i].name);
        data = build(scripts[i].data);
        status = build(all);
        zeroes = build(scripts[i].zeroes);
        check_script(&plan, scripts[i].lines);
        layout_measure(&plan, LAYOUT_BY_GROWING, &g);
        CHECK_UINT(g.used_windows, scripts[i].windows);
        CHECK(g.store_size > (g.data_clusters + g.used_windows + 4) * cs);
        extents_clear(&data);
        extents_clear(&status);
        extents_clear(&zeroes);
    }
}

static void test_no_zeroes(void)
{
    const struct extent list[MAX_LIST] = {{K(64), 1}};
    const char *const lines[MAX_LINES] = {"write -q -z 65536 65536",
                                          "write -q -P 0 65536 65536"};
    struct extents data = build(list), none = {0};
    struct layout_plan plan = {
        .options = {K(64), 16, false, false},
        .disk_size = M(1),
        .data = &data,
        .status = &data,
        .zeroes = &none,
    };

    TEST("to mark nothing is as good as not to mark");
    check_script(&plan, lines);
    plan.zeroes = NULL;
    check_script(&plan, lines);
    extents_clear(&data);
}

/* 513 windows of 512 bytes' clusters need more than one refcount block, but
 * nothing comes behind them.
 */
static void test_never_grown(void)
{
    const struct extent list[MAX_LIST] = {{0, M(16) + 512}};
    struct extents zeroes = build(list), none = {0};
    struct layout_plan plan = {
        .options = {512, 16, false, false},
        .disk_size = M(16) + 512,
        .data = &none,
        .status = &none,
        .zeroes = &zeroes,
    };
    struct layout_geometry g;

    TEST("without data no disk grows, whatever tables zeroes need");
    layout_measure(&plan, LAYOUT_BY_GROWING, &g);
    CHECK_UINT(g.used_windows, 513);
    CHECK_UINT(g.data_clusters, 0);
    CHECK(!g.is_grown);
    CHECK_UINT(g.create_size, plan.disk_size);
    CHECK(g.store_size > 520 * 512);
    extents_clear(&zeroes);
}

static void test_large(void)
{
    const struct extent list[MAX_LIST] = {{K(64), G(2) + K(64)},
                                          {G(3), K(64)}};
    const char *const streamable[MAX_LINES] = {
        "write -q -z 65536 65536",      "write -q -z 536870912 65536",
        "write -q -z 1073741824 65536", "write -q -z 1610612736 65536",
        "write -q -z 2147483648 65536", "write -q -z 3221225472 65536",
        "write -q -z 65536 1073741824", "write -q -z 1073807360 1073741824",
        "write -q -z 2147549184 65536", "write -q -z 3221225472 65536",
    };
    const char *const convert[MAX_LINES] = {
        "write -q -z 65536 1073741824",
        "write -q -z 1073807360 1073741824",
        "write -q -z 2147549184 65536",
        "write -q -z 3221225472 65536",
    };
    struct extents zeroes = build(list), none = {0};
    struct layout_plan plan = {
        .options = {K(64), 16, false, false},
        .disk_size = G(4),
        .data = &none,
        .status = &none,
        .zeroes = &zeroes,
    };

    TEST("zeroes are marked in pieces of 1 GiB");
    check_script(&plan, streamable);
    plan.layout = LAYOUT_CONVERT;
    check_script(&plan, convert);
    extents_clear(&zeroes);
}

int main(void)
{
    test_begin();
    test_scripts();
    test_no_zeroes();
    test_never_grown();
    test_large();
    return test_end();
}
