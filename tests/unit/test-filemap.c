/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the map from the file to the disk. */

#include "config.h"

#include "lists/filemap.h"
#include "test.h"

/* In the tables a list ends with an empty entry. */
enum { MAX_LIST = 6 };

static size_t count(const struct filemap_entry list[MAX_LIST])
{
    size_t n = 0;

    while (n < MAX_LIST && list[n].length > 0)
        n++;
    return n;
}

static struct filemap_batch build_batch(
    const struct filemap_entry list[MAX_LIST])
{
    struct filemap_batch batch = {0};
    struct error err;

    for (size_t i = 0; i < count(list); i++)
        CHECK_OK(filemap_batch_add(&batch, list[i].file_offset, list[i].length,
                                   list[i].disk_offset, &err),
                 &err);
    return batch;
}

static void check_list(const struct filemap_entry *actual, size_t n,
                       const struct filemap_entry expected[MAX_LIST])
{
    for (size_t i = 0; i < n && i < count(expected); i++) {
        CHECK_UINT(actual[i].file_offset, expected[i].file_offset);
        CHECK_UINT(actual[i].length, expected[i].length);
        CHECK_UINT(actual[i].disk_offset, expected[i].disk_offset);
    }
    CHECK_UINT(n, count(expected));
}

/* Each entry is file offset, length, disk offset. */
static const struct {
    const char *name;
    struct filemap_entry in[MAX_LIST], out[MAX_LIST];
} add_cases[] = {
    {"entries that go on in file and disk are joined",
     {{100, 10, 0}, {110, 5, 10}},
     {{100, 15, 0}}},
    {"entries that go on in the file only stay apart",
     {{100, 10, 0}, {110, 5, 20}},
     {{100, 10, 0}, {110, 5, 20}}},
    {"entries that go on on the disk only stay apart",
     {{100, 10, 0}, {120, 5, 10}},
     {{100, 10, 0}, {120, 5, 10}}},
    {"entries may come in any order",
     {{300, 10, 0}, {100, 10, 10}, {200, 10, 20}},
     {{300, 10, 0}, {100, 10, 10}, {200, 10, 20}}},
    {"an entry may reach the largest offsets",
     {{INT64_MAX - 1, 1, INT64_MAX - 1}},
     {{INT64_MAX - 1, 1, INT64_MAX - 1}}},
};

static const struct {
    const char *name;
    struct filemap_entry bad;
    const char *message;
} add_errors[] = {
    {"an empty entry is refused",
     {1, 0, 2},
     "range at file offset 1, disk offset 2 has the impossible length 0"},
    {"an entry past the largest file offset is refused",
     {INT64_MAX, 1, 2},
     "range at file offset 9223372036854775807, disk offset 2 has the "
     "impossible length 1"},
    {"an entry past the largest disk offset is refused",
     {1, 1, INT64_MAX},
     "range at file offset 1, disk offset 9223372036854775807 has the "
     "impossible length 1"},
    {"a length that wraps around is refused",
     {2, UINT64_MAX, 2},
     "range at file offset 2, disk offset 2 has the impossible length "
     "18446744073709551615"},
    {"an offset that wraps around is refused",
     {UINT64_MAX, 2, 2},
     "range at file offset 18446744073709551615, disk offset 2 has the "
     "impossible length 2"},
};

static void test_add(void)
{
    for (size_t i = 0; i < N_ELEMENTS(add_cases); i++) {
        struct filemap_batch batch;

        TEST(add_cases[i].name);
        batch = build_batch(add_cases[i].in);
        check_list(batch.list, batch.count, add_cases[i].out);
        filemap_batch_clear(&batch);
    }
    for (size_t i = 0; i < N_ELEMENTS(add_errors); i++) {
        const struct filemap_entry *bad = &add_errors[i].bad;
        struct filemap_batch batch = {0};
        struct error err = {0};

        TEST(add_errors[i].name);
        CHECK_FAILS(filemap_batch_add(&batch, bad->file_offset, bad->length,
                                      bad->disk_offset, &err),
                    &err, add_errors[i].message);
        CHECK_UINT(batch.count, 0);
        filemap_batch_clear(&batch);
    }
}

/* First one batch, then the other, is merged into an empty map.  end and
 * total are of the result.
 */
static const struct {
    const char *name;
    struct filemap_entry first[MAX_LIST], second[MAX_LIST], out[MAX_LIST];
    uint64_t end, total;
} merge_cases[] = {
    {"an empty map ends at 0", {{0}}, {{0}}, {{0}}, 0, 0},
    {"a batch is sorted by file offset",
     {{300, 10, 0}, {100, 10, 10}, {200, 10, 20}},
     {{0}},
     {{100, 10, 10}, {200, 10, 20}, {300, 10, 0}},
     310,
     30},
    {"entries of one batch that continue each other are joined",
     {{110, 10, 10}, {100, 10, 0}},
     {{0}},
     {{100, 20, 0}},
     120,
     20},
    {"entries of two batches that continue each other are joined",
     {{100, 10, 0}, {120, 10, 20}},
     {{110, 10, 10}},
     {{100, 30, 0}},
     130,
     30},
    {"a batch may go between, before and behind",
     {{100, 10, 0}, {200, 10, 50}},
     {{300, 1, 60}, {50, 1, 70}, {150, 1, 80}},
     {{50, 1, 70}, {100, 10, 0}, {150, 1, 80}, {200, 10, 50}, {300, 1, 60}},
     301,
     23},
    {"one piece of the disk may be in the file twice",
     {{100, 10, 0}},
     {{200, 10, 0}},
     {{100, 10, 0}, {200, 10, 0}},
     210,
     20},
};

static const struct {
    const char *name;
    struct filemap_entry first[MAX_LIST], second[MAX_LIST];
    const char *message;
} merge_errors[] = {
    {"a file offset twice in one batch is an error",
     {{0}},
     {{100, 10, 0}, {100, 10, 50}},
     NULL}, /* either may be named first */
    {"a file offset twice in two batches is an error",
     {{100, 10, 0}},
     {{100, 10, 50}},
     "file offset 100 is claimed twice, for disk offsets 0 and 50"},
    {"an entry that begins inside another is an error",
     {{100, 10, 1000}},
     {{103, 1, 50}},
     "file offset 103 is claimed twice, for disk offsets 1003 and 50"},
    {"an entry that ends inside another is an error",
     {{100, 10, 0}},
     {{95, 6, 1000}},
     "file offset 100 is claimed twice, for disk offsets 1005 and 0"},
    {"an entry around another is an error",
     {{100, 10, 0}},
     {{50, 500, 1000}},
     "file offset 100 is claimed twice, for disk offsets 1050 and 0"},
    {"the same entry twice is an error",
     {{100, 10, 7}},
     {{100, 10, 7}},
     "file offset 100 is claimed twice, for disk offsets 7 and 7"},
};

static void test_merge(void)
{
    for (size_t i = 0; i < N_ELEMENTS(merge_cases); i++) {
        struct filemap_batch batch;
        struct filemap map = {0};
        struct error err;

        TEST(merge_cases[i].name);
        batch = build_batch(merge_cases[i].first);
        CHECK_OK(filemap_merge(&map, &batch, &err), &err);
        batch = build_batch(merge_cases[i].second);
        CHECK_OK(filemap_merge(&map, &batch, &err), &err);
        CHECK_UINT(batch.count, 0);
        CHECK(batch.list == NULL);
        check_list(map.list, map.count, merge_cases[i].out);
        CHECK_UINT(filemap_end(&map), merge_cases[i].end);
        CHECK_UINT(filemap_total(&map), merge_cases[i].total);
        filemap_clear(&map);
        CHECK_UINT(filemap_end(&map), 0);
    }
    for (size_t i = 0; i < N_ELEMENTS(merge_errors); i++) {
        struct filemap_batch batch;
        struct filemap map = {0};
        struct error err = {0};

        TEST(merge_errors[i].name);
        batch = build_batch(merge_errors[i].first);
        CHECK_OK(filemap_merge(&map, &batch, &err), &err);
        batch = build_batch(merge_errors[i].second);
        CHECK_INT(filemap_merge(&map, &batch, &err), -1);
        if (merge_errors[i].message != NULL)
            CHECK_STR(err.msg, merge_errors[i].message);
        check_list(map.list, map.count, merge_errors[i].first);
        filemap_batch_clear(&batch);
        filemap_clear(&map);
    }
}

/* As many of the first entries are dropped as n says. */
static void test_drop(void)
{
    static const struct filemap_entry all[MAX_LIST] = {{100, 10, 0},
                                                       {200, 10, 50},
                                                       {300, 1, 60}};
    static const struct {
        const char *name;
        size_t n;
        struct filemap_entry left[MAX_LIST];
    } cases[] = {
        {"nothing is dropped of a map",
         0,
         {{100, 10, 0}, {200, 10, 50}, {300, 1, 60}}},
        {"the first entry is dropped", 1, {{200, 10, 50}, {300, 1, 60}}},
        {"all but the last are dropped", 2, {{300, 1, 60}}},
        {"all entries are dropped", 3, {{0}}},
    };
    struct filemap map = {0};

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct filemap_batch batch = build_batch(all);
        struct error err;

        TEST(cases[i].name);
        CHECK_OK(filemap_merge(&map, &batch, &err), &err);
        filemap_drop(&map, cases[i].n);
        check_list(map.list, map.count, cases[i].left);
        filemap_clear(&map);
    }
    TEST("nothing is dropped of an empty map");
    filemap_drop(&map, 0);
    CHECK_UINT(map.count, 0);
}

/* A file of MANY blocks in random order, in batches of random length. */
static void test_many(void)
{
    enum { MANY = 20000, BLOCK = 512 };
    static uint32_t where[MANY]; /* block of the file to block of the disk */
    struct filemap_batch batch = {0};
    struct filemap map = {0};
    struct error err;

    TEST("a map of many batches is sorted, and is what was added");
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t j = test_random(i + 1);

        where[i] = where[j];
        where[j] = i;
    }
    for (uint64_t i = 0; i < MANY; i++) {
        uint64_t file_block = (i * 7919) % MANY; /* all, in another order */

        CHECK_OK(filemap_batch_add(&batch, file_block * BLOCK, BLOCK,
                                   (uint64_t)where[file_block] * BLOCK, &err),
                 &err);
        if (test_random(2000) == 0)
            CHECK_OK(filemap_merge(&map, &batch, &err), &err);
    }
    CHECK_OK(filemap_merge(&map, &batch, &err), &err);
    CHECK_UINT(filemap_total(&map), (uint64_t)MANY * BLOCK);
    CHECK_UINT(filemap_end(&map), (uint64_t)MANY * BLOCK);
    for (size_t i = 0; i < map.count; i++) {
        const struct filemap_entry *e = &map.list[i];

        CHECK(i == 0 || e->file_offset == map.list[i - 1].file_offset +
                                              map.list[i - 1].length);
        for (uint64_t at = 0; at < e->length; at += BLOCK)
            CHECK_UINT(e->disk_offset + at,
                       (uint64_t)where[(e->file_offset + at) / BLOCK] * BLOCK);
    }
    filemap_clear(&map);
}

int main(void)
{
    test_begin();
    test_add();
    test_merge();
    test_drop();
    test_many();
    return test_end();
}
