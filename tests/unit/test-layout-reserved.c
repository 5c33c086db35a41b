/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the commands of the way to a streamable layout that costs little. */

#include "config.h"

#include "check-script.h"

static const struct {
    const char *name;
    struct qcow2_options options;
    uint64_t disk_size;
    struct extent data[MAX_LIST], zeroes[MAX_LIST];
    bool is_l1_first;
    const char *lines[MAX_LINES];
} scripts[] = {
    {"one refcount block needs no reservation",
     {K(64), 16, false, false},
     G(1),
     {{0, K(64)}, {M(600), M(2)}},
     {{0}},
     true,
     {"write -q -z 0 65536", "write -q -z 629145600 65536",
      "write -q -P 0 0 65536", "write -q -P 0 629145600 524288",
      "write -q -P 0 629669888 524288", "write -q -P 0 630194176 524288",
      "write -q -P 0 630718464 524288"}},
    /* Small ones are written once the disk reaches over them. */
    {"extents of 8 MiB and more are preallocated",
     {K(64), 16, false, false},
     M(100),
     {{K(64), K(64)}, {M(1), M(8)}, {M(20), K(64)}, {M(30), M(9)}, {M(50), 1}},
     {{0}},
     true,
     {"write -q -z 65536 65536", "run without a disk", "truncate 1048576",
      "write -q -P 0 65536 65536", "truncate -m metadata 9437184",
      "truncate 31457280", "write -q -P 0 20971520 65536",
      "truncate -m metadata 40894464", "truncate 104857600",
      "write -q -P 0 52428800 65536"}},
    {"a disk that is one extent is preallocated at once",
     {K(64), 16, false, false},
     M(100) + 512,
     {{0, M(100) + 512}},
     {{0}},
     true,
     {"write -q -z 0 65536", "run without a disk",
      "truncate -m metadata 104858112"}},
    {"behind the last extent the disk gets its size",
     {K(64), 16, false, false},
     M(100),
     {{0, M(50)}},
     {{M(60), K(64)}},
     true,
     {"write -q -z 0 65536", "write -q -z 62914560 65536",
      "run without a disk", "truncate -m metadata 52428800",
      "truncate 104857600"}},
    {"with subclusters all is written",
     {K(16), 16, false, true},
     M(16),
     {{0, M(8)}},
     {{0}},
     true,
     {"write -q -z 0 512", "write -q -P 0 0 524288",
      "write -q -P 0 524288 524288", "write -q -P 0 1048576 524288",
      "write -q -P 0 1572864 524288", "write -q -P 0 2097152 524288",
      "write -q -P 0 2621440 524288", "write -q -P 0 3145728 524288",
      "write -q -P 0 3670016 524288", "write -q -P 0 4194304 524288",
      "write -q -P 0 4718592 524288", "write -q -P 0 5242880 524288",
      "write -q -P 0 5767168 524288", "write -q -P 0 6291456 524288",
      "write -q -P 0 6815744 524288", "write -q -P 0 7340032 524288",
      "write -q -P 0 7864320 524288"}},
    /* 4 KiB: windows of 2 MiB, and 512 refcounts of 64 bits in a block.  L1
     * of 1 window grows to 3, and so moves: nothing is needed before it.
     */
    {"a reservation comes first, and L1 moves as the disk gets its size",
     {K(4), 64, false, false},
     M(6),
     {{0, M(1)}, {M(3), M(1)}},
     {{0}},
     true,
     {"truncate -m falloc 2101248", "run", "truncate 6291456",
      "write -q -z 0 4096", "write -q -z 3145728 4096",
      "write -q -P 0 0 524288", "write -q -P 0 524288 524288",
      "write -q -P 0 3145728 524288", "write -q -P 0 3670016 524288"}},
    {"a full disk has a plug behind its end, which is cut off",
     {K(4), 64, false, false},
     M(4),
     {{0, M(4)}},
     {{0}},
     true,
     {"truncate -m falloc 4198400", "run", "truncate 4198400",
      "write -q -z 4194304 4096", "write -q -z 0 4096",
      "write -q -z 2097152 4096", "write -q -P 0 0 524288",
      "write -q -P 0 524288 524288", "write -q -P 0 1048576 524288",
      "write -q -P 0 1572864 524288", "write -q -P 0 2097152 524288",
      "write -q -P 0 2621440 524288", "write -q -P 0 3145728 524288",
      "write -q -P 0 3670016 524288", "truncate 4194304"}},
    {"version 2 makes plugs as it makes all tables",
     {K(4), 16, true, false},
     M(8),
     {{0, M(8)}},
     {{0}},
     true,
     {"truncate -m falloc 8392704", "run", "truncate 8392704",
      "write -q -P 0 8388608 4096", "discard -q 8388608 4096",
      "write -q -P 0 0 4096", "discard -q 0 4096",
      "write -q -P 0 2097152 4096", "discard -q 2097152 4096",
      "write -q -P 0 4194304 4096", "discard -q 4194304 4096",
      "write -q -P 0 6291456 4096", "discard -q 6291456 4096",
      "run without a disk", "truncate -m metadata 8388608", "truncate 8392704",
      "truncate 8388608"}},
    /* 512: windows of 32 KiB, and 64 of them for each cluster of L1. */
    {"where a large L1 moves the last windows are plugs, if they are empty",
     {512, 16, false, false},
     M(4),
     {{0, K(128)}},
     {{0}},
     true,
     {"truncate -m falloc 132608", "run", "truncate 4194304",
      "write -q -z 4096000 512", "write -q -z 4128768 512",
      "write -q -z 4161536 512", "write -q -z 0 512", "write -q -z 32768 512",
      "write -q -z 65536 512", "write -q -z 98304 512",
      "write -q -P 0 0 131072", "truncate 4096000", "truncate 4194304"}},
    /* The disk ends in a window that has no table, and to cut it makes one. */
    {"if they are not, windows behind the disk are",
     {512, 16, false, false},
     M(4) - 512,
     {{0, K(128)}, {M(4) - K(64), 512}},
     {{0}},
     true,
     {"truncate -m falloc 134144", "run", "truncate 4260352",
      "write -q -z 4194304 512", "write -q -z 4227072 512",
      "write -q -z 4259840 512", "write -q -z 0 512", "write -q -z 32768 512",
      "write -q -z 65536 512", "write -q -z 98304 512",
      "write -q -z 4128768 512", "write -q -z 4193792 512",
      "write -q -P 0 0 131072", "write -q -P 0 4128768 512",
      "truncate 4193792"}},
    {"a largest disk that is in use to its end has no plug",
     {512, 16, false, false},
     G(128),
     {{0, K(128)}, {G(128) - 512, 512}},
     {{0}},
     false,
     {"truncate -m falloc 33178624", "run", "truncate 137438953472",
      "write -q -z 0 512", "write -q -z 32768 512", "write -q -z 65536 512",
      "write -q -z 98304 512", "write -q -z 137438952960 512",
      "write -q -P 0 0 131072", "write -q -P 0 137438952960 512"}},
};

static void test_scripts(void)
{
    for (size_t i = 0; i < N_ELEMENTS(scripts); i++) {
        uint64_t cs = scripts[i].options.cluster_size;
        struct extents data, zeroes;
        struct layout_plan plan = {
            .layout = LAYOUT_STREAMABLE,
            .options = scripts[i].options,
            .disk_size = scripts[i].disk_size,
            .data = &data,
            .status = &data,
            .zeroes = &zeroes,
        };
        struct layout_geometry g;

        TEST(scripts[i].name);
        data = build(scripts[i].data);
        zeroes = build(scripts[i].zeroes);
        check_script_of(&plan, LAYOUT_BY_RESERVING, scripts[i].lines);
        layout_measure(&plan, LAYOUT_BY_RESERVING, &g);
        CHECK_INT(g.is_l1_first, scripts[i].is_l1_first);
        CHECK(g.store_size > (g.data_clusters + g.used_windows + 4) * cs);
        /* No room for the data, or it would not fail. */
        if (g.is_reserved)
            CHECK(g.room_size < g.reserve_size + 4 * cs);
        extents_clear(&data);
        extents_clear(&zeroes);
    }
}

static void test_convert(void)
{
    const struct extent list[MAX_LIST] = {{0, M(2)}};
    const char *const lines[MAX_LINES] = {"write -q -P 0 0 2097152"};
    struct extents data = build(list);
    struct layout_plan plan = {
        .layout = LAYOUT_CONVERT,
        .options = {512, 16, false, false},
        .disk_size = M(2),
        .data = &data,
        .status = &data,
    };

    TEST("convert is the same whichever way");
    check_script_of(&plan, LAYOUT_BY_RESERVING, lines);
    extents_clear(&data);
}

int main(void)
{
    test_begin();
    test_scripts();
    test_convert();
    return test_end();
}
