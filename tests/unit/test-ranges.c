/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests sets of pieces of a file. */

#include "config.h"

#include "lists/ranges.h"
#include "test.h"

/* In the tables a list ends with an empty range. */
enum { MAX_LIST = 6 };

static size_t count(const struct range list[MAX_LIST])
{
    size_t n = 0;

    while (n < MAX_LIST && list[n].length > 0)
        n++;
    return n;
}

static void unite(struct ranges *set, const struct range list[MAX_LIST])
{
    struct ranges_batch batch = {0};
    struct error err;

    for (size_t i = 0; i < count(list); i++)
        CHECK_OK(ranges_batch_add(&batch, list[i].file_offset, list[i].length,
                                  &err),
                 &err);
    CHECK_OK(ranges_unite(set, &batch, &err), &err);
    CHECK_UINT(batch.count, 0);
    CHECK(batch.list == NULL);
}

#define HIGH (UINT64_C(1) << 56)

/* First one batch, then the other, is united with an empty set. */
static const struct {
    const char *name;
    struct range first[MAX_LIST], second[MAX_LIST], out[MAX_LIST];
} unions[] = {
    {"nothing is nothing", {{0}}, {{0}}, {{0}}},
    {"a batch is sorted",
     {{30, 1}, {10, 1}, {20, 1}},
     {{0}},
     {{10, 1}, {20, 1}, {30, 1}}},
    {"nothing changes nothing", {{10, 5}}, {{0}}, {{10, 5}}},
    {"pieces of one batch that touch are joined",
     {{20, 10}, {10, 10}},
     {{0}},
     {{10, 20}}},
    {"pieces of two batches that touch are joined",
     {{10, 10}, {30, 10}},
     {{20, 10}},
     {{10, 30}}},
    {"pieces a byte apart stay apart",
     {{10, 10}},
     {{21, 10}},
     {{10, 10}, {21, 10}}},
    {"pieces may overlap in one batch",
     {{10, 10}, {15, 10}, {12, 2}},
     {{0}},
     {{10, 15}}},
    {"a piece may begin inside another", {{10, 10}}, {{15, 10}}, {{10, 15}}},
    {"a piece may end inside another", {{10, 10}}, {{5, 10}}, {{5, 15}}},
    {"a piece may lie inside another", {{10, 10}}, {{12, 3}}, {{10, 10}}},
    {"a piece may lie around others",
     {{10, 1}, {20, 1}, {30, 1}},
     {{5, 40}},
     {{5, 40}}},
    {"the same piece twice is one", {{10, 10}}, {{10, 10}}, {{10, 10}}},
    {"the longer of two that begin together counts",
     {{10, 5}, {10, 20}, {10, 1}},
     {{10, 7}},
     {{10, 20}}},
    {"pieces go before, between and behind",
     {{100, 10}, {200, 10}},
     {{300, 1}, {50, 1}, {150, 1}},
     {{50, 1}, {100, 10}, {150, 1}, {200, 10}, {300, 1}}},
    {"a piece that bridges two is one with them",
     {{100, 10}, {200, 10}, {300, 10}},
     {{105, 100}},
     {{100, 110}, {300, 10}}},
    {"the last byte of a huge file has its place",
     {{HIGH - 1, 1}},
     {{0, 1}, {HIGH - 2, 1}},
     {{0, 1}, {HIGH - 2, 2}}},
};

static void test_unions(void)
{
    for (size_t i = 0; i < N_ELEMENTS(unions); i++) {
        struct ranges set = {0};

        TEST(unions[i].name);
        unite(&set, unions[i].first);
        unite(&set, unions[i].second);
        CHECK_UINT(set.count, count(unions[i].out));
        for (size_t j = 0; j < set.count && j < MAX_LIST; j++) {
            CHECK_UINT(set.list[j].file_offset, unions[i].out[j].file_offset);
            CHECK_UINT(set.list[j].length, unions[i].out[j].length);
        }
        ranges_clear(&set);
        CHECK(set.list == NULL);
        CHECK_UINT(set.count, 0);
    }
}

static void test_empty_pieces(void)
{
    struct ranges_batch batch = {0};
    struct error err;

    TEST("an empty piece is left out");
    CHECK_OK(ranges_batch_add(&batch, 10, 0, &err), &err);
    CHECK_UINT(batch.count, 0);
    CHECK_OK(ranges_batch_add(&batch, 10, 1, &err), &err);
    CHECK_OK(ranges_batch_add(&batch, 11, 0, &err), &err);
    CHECK_UINT(batch.count, 1);
    ranges_batch_clear(&batch);
    CHECK(batch.list == NULL);
    ranges_batch_clear(&batch);
}

enum { NONE = -1 };

/* In the set of [10, 20), [30, 31), [100, 200). */
static const struct {
    const char *name;
    struct range piece;
    int64_t first;
} lookups[] = {
    {"a piece before all is not in it", {0, 10}, NONE},
    {"a piece that reaches into the first is", {0, 11}, 10},
    {"a piece that is the first is", {10, 10}, 10},
    {"the last byte of a range is in it", {19, 1}, 19},
    {"the byte behind it is not", {20, 1}, NONE},
    {"a piece between two is not", {20, 10}, NONE},
    {"a piece from one to the next has its first byte", {15, 20}, 15},
    {"a piece from a gap into a range has the range's first", {25, 100}, 30},
    {"a range of a byte is found", {30, 1}, 30},
    {"a piece inside a range is found", {150, 2}, 150},
    {"a piece around all is found", {0, 1000}, 10},
    {"a piece behind all is not", {200, 1000}, NONE},
    {"a piece far behind all is not", {HIGH - 1, 1}, NONE},
    {"an empty piece in a gap is not", {25, 0}, NONE},
    {"an empty piece at a range is not", {10, 0}, NONE},
    {"an empty piece in a range is not", {150, 0}, NONE},
};

static void test_lookups(void)
{
    static const struct range all[MAX_LIST] = {{10, 10}, {30, 1}, {100, 100}};
    struct ranges set = {0};
    uint64_t first = 0;

    TEST("the empty set has nothing");
    CHECK(!ranges_has_any(&set, 0, UINT64_MAX, &first));
    unite(&set, all);
    for (size_t i = 0; i < N_ELEMENTS(lookups); i++) {
        bool is_there;

        TEST(lookups[i].name);
        is_there = ranges_has_any(&set, lookups[i].piece.file_offset,
                                  lookups[i].piece.length, &first);
        CHECK_INT(is_there ? (int64_t)first : NONE, lookups[i].first);
    }
    ranges_clear(&set);
}

/* Against a byte for each: batches of any pieces, and lookups. */
static void test_random_sets(void)
{
    enum { LENGTH = 2000 };
    static bool expected[LENGTH];
    struct ranges set = {0};
    struct error err;

    TEST("a set of random pieces has their bytes, and no others");
    for (int round = 0; round < 100; round++) {
        struct ranges_batch batch = {0};
        uint64_t end = 0;

        for (uint32_t n = test_random(4); n > 0; n--) {
            uint64_t offset = test_random(LENGTH);
            uint64_t length = test_random(20);

            if (length > LENGTH - offset)
                length = LENGTH - offset;
            CHECK_OK(ranges_batch_add(&batch, offset, length, &err), &err);
            memset(expected + offset, true, length);
        }
        CHECK_OK(ranges_unite(&set, &batch, &err), &err);
        for (size_t i = 0; i < set.count; i++) {
            CHECK(set.list[i].length > 0);
            CHECK(i == 0 || set.list[i].file_offset > end);
            end = set.list[i].file_offset + set.list[i].length;
        }
        for (int i = 0; i < 200; i++) {
            uint64_t at = test_random(LENGTH), first = LENGTH;
            uint64_t stop = at + 1 + test_random((uint32_t)(LENGTH - at));

            while (at < stop && !expected[at])
                at++;
            if (!CHECK_INT(ranges_has_any(&set, at, stop - at, &first),
                           at < stop))
                break;
            if (at < stop)
                CHECK_UINT(first, at);
        }
    }
    for (uint64_t at = 0, first; at < LENGTH; at++)
        CHECK_INT(ranges_has_any(&set, at, 1, &first), expected[at]);
    ranges_clear(&set);
}

int main(void)
{
    test_begin();
    test_unions();
    test_empty_pieces();
    test_lookups();
    test_random_sets();
    return test_end();
}
