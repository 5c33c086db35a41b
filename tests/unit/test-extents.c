/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests lists of disk ranges. */

#include "config.h"

#include "lists/extents.h"
#include "test.h"

#include <inttypes.h>

/* In the tables a list ends with an empty range. */
enum { MAX_LIST = 6 };

static struct extents build(const struct extent list[MAX_LIST])
{
    struct extents extents = {0};
    struct error err;

    for (size_t i = 0; i < MAX_LIST && list[i].length > 0; i++)
        CHECK_OK(extents_append(&extents, list[i].disk_offset, list[i].length,
                                &err),
                 &err);
    return extents;
}

/* Compares with a list as it stands, not as append would have it. */
static void check_list(const struct extents *extents,
                       const struct extent expected[MAX_LIST])
{
    size_t n = 0;

    for (; n < MAX_LIST && expected[n].length > 0; n++) {
        if (n >= extents->count)
            continue;
        CHECK_UINT(extents->list[n].disk_offset, expected[n].disk_offset);
        CHECK_UINT(extents->list[n].length, expected[n].length);
    }
    CHECK_UINT(extents->count, n);
}

static const struct {
    const char *name;
    struct extent in[MAX_LIST], out[MAX_LIST];
} append_cases[] = {
    {"ranges apart stay apart", {{0, 1}, {2, 3}}, {{0, 1}, {2, 3}}},
    {"ranges that touch are joined", {{5, 5}, {10, 1}}, {{5, 6}}},
    {"three ranges that touch are joined",
     {{0, 512}, {512, 512}, {1024, 512}},
     {{0, 1536}}},
    {"a range may reach the largest offset",
     {{INT64_MAX - 1, 1}},
     {{INT64_MAX - 1, 1}}},
    {"a range may cover all offsets", {{0, INT64_MAX}}, {{0, INT64_MAX}}},
};

static const struct {
    const char *name;
    struct extent before[MAX_LIST], bad;
    const char *message;
} append_errors[] = {
    {"an empty range is refused",
     {{0}},
     {7, 0},
     "range at disk offset 7 has the impossible length 0"},
    {"a range past the largest offset is refused",
     {{0}},
     {INT64_MAX, 1},
     "range at disk offset 9223372036854775807 has the impossible length 1"},
    {"a length that wraps around is refused",
     {{0}},
     {10, UINT64_MAX - 4},
     "range at disk offset 10 has the impossible length "
     "18446744073709551611"},
    {"a range that begins inside the last one is refused",
     {{10, 10}},
     {19, 10},
     "range at disk offset 19 begins before the end of the last, 20"},
    {"a range before the last one is refused",
     {{10, 10}, {30, 10}},
     {5, 1},
     "range at disk offset 5 begins before the end of the last, 40"},
    {"a range twice is refused",
     {{10, 10}},
     {10, 10},
     "range at disk offset 10 begins before the end of the last, 20"},
};

static void test_append(void)
{
    for (size_t i = 0; i < N_ELEMENTS(append_cases); i++) {
        struct extents extents;

        TEST(append_cases[i].name);
        extents = build(append_cases[i].in);
        check_list(&extents, append_cases[i].out);
        extents_clear(&extents);
    }
    for (size_t i = 0; i < N_ELEMENTS(append_errors); i++) {
        const struct extent *bad = &append_errors[i].bad;
        struct error err = {0};
        struct extents extents;

        TEST(append_errors[i].name);
        extents = build(append_errors[i].before);
        CHECK_FAILS(extents_append(&extents, bad->disk_offset, bad->length,
                                   &err),
                    &err, append_errors[i].message);
        check_list(&extents, append_errors[i].before); /* as it was */
        extents_clear(&extents);
    }
}

static void test_many(void)
{
    enum { MANY = 10000 };
    struct extents extents = {0};
    struct error err;

    TEST("a list grows as it must");
    for (uint64_t i = 0; i < MANY; i++)
        CHECK_OK(extents_append(&extents, i * 10, 3, &err), &err);
    CHECK_UINT(extents.count, MANY);
    CHECK_UINT(extents_total(&extents), 3 * MANY);
    CHECK_UINT(extents.list[MANY - 1].disk_offset, 10 * (MANY - 1));

    TEST("a list can be cleared, and used again");
    extents_clear(&extents);
    CHECK_UINT(extents.count, 0);
    CHECK_UINT(extents_total(&extents), 0);
    CHECK_OK(extents_append(&extents, 0, 1, &err), &err);
    extents_clear(&extents);
}

/*     granule 10, limit 35
 *     0         10        20        30   35
 *     |----xx---|---------|--------x|x----|
 */
static const struct {
    const char *name;
    uint64_t granule, limit;
    struct extent in[MAX_LIST], out[MAX_LIST];
} widen_cases[] = {
    {"nothing stays nothing", 10, 100, {{0}}, {{0}}},
    {"a range inside a granule becomes the granule",
     10,
     100,
     {{14, 2}},
     {{10, 10}}},
    {"a range of whole granules stays", 10, 100, {{20, 30}}, {{20, 30}}},
    {"a range is widened at both of its ends", 10, 100, {{9, 12}}, {{0, 30}}},
    {"ranges in one granule become one",
     10,
     100,
     {{1, 1}, {3, 1}, {8, 1}},
     {{0, 10}}},
    {"ranges whose granules touch become one",
     10,
     100,
     {{4, 2}, {15, 1}},
     {{0, 20}}},
    {"ranges that share a granule become one",
     10,
     100,
     {{5, 10}, {18, 10}},
     {{0, 30}}},
    {"granules apart stay apart",
     10,
     100,
     {{4, 2}, {25, 1}},
     {{0, 10}, {20, 10}}},
    {"the last granule is cut at the limit",
     10,
     35,
     {{4, 2}, {29, 2}},
     {{0, 10}, {20, 15}}},
    {"what is behind the limit is left out",
     10,
     35,
     {{4, 2}, {40, 5}, {50, 10}},
     {{0, 10}}},
    {"a granule behind the limit counts for its part before it",
     10,
     35,
     {{35, 5}},
     {{30, 5}}},
    {"a range across the limit is cut", 1, 35, {{30, 10}}, {{30, 5}}},
    {"a granule of 1 changes nothing",
     1,
     99,
     {{3, 4}, {8, 1}},
     {{3, 4}, {8, 1}}},
    {"the largest offset can be widened",
     UINT64_C(2) << 20,
     INT64_MAX,
     {{INT64_MAX - 1, 1}},
     {{INT64_MAX / (2 << 20) * (2 << 20), INT64_MAX % (2 << 20)}}},
};

static void test_widen(void)
{
    for (size_t i = 0; i < N_ELEMENTS(widen_cases); i++) {
        struct extents in, out = {0};
        struct error err;

        TEST(widen_cases[i].name);
        in = build(widen_cases[i].in);
        CHECK_OK(extents_widen(&in, widen_cases[i].granule,
                               widen_cases[i].limit, &out, &err),
                 &err);
        check_list(&out, widen_cases[i].out);
        extents_clear(&in);
        extents_clear(&out);
    }
}

/* Lists that have something in common:
 *
 *     0         10        20        30
 *  a  =====     =====     =====
 *  b     =====  =====       ==========
 */
static const struct {
    const char *name;
    uint64_t limit;
    struct extent a[MAX_LIST], b[MAX_LIST];
    struct extent both[MAX_LIST], either[MAX_LIST], without[MAX_LIST];
} combine_cases[] = {
    {"of nothing comes nothing", 100, {{0}}, {{0}}, {{0}}, {{0}}, {{0}}},
    {"nothing takes nothing away",
     100,
     {{5, 5}},
     {{0}},
     {{0}},
     {{5, 5}},
     {{5, 5}}},
    {"from nothing nothing is taken away",
     100,
     {{0}},
     {{5, 5}},
     {{0}},
     {{5, 5}},
     {{0}}},
    {"a list and itself",
     100,
     {{5, 5}, {20, 5}},
     {{5, 5}, {20, 5}},
     {{5, 5}, {20, 5}},
     {{5, 5}, {20, 5}},
     {{0}}},
    {"lists that have something in common",
     100,
     {{0, 5}, {10, 5}, {20, 5}},
     {{3, 5}, {10, 5}, {22, 10}},
     {{3, 2}, {10, 5}, {22, 3}},
     {{0, 8}, {10, 5}, {20, 12}},
     {{0, 3}, {20, 2}}},
    {"lists that have nothing in common",
     100,
     {{0, 5}, {20, 5}},
     {{10, 5}, {30, 5}},
     {{0}},
     {{0, 5}, {10, 5}, {20, 5}, {30, 5}},
     {{0, 5}, {20, 5}}},
    {"ranges that touch are joined",
     100,
     {{0, 5}, {10, 5}},
     {{5, 5}, {15, 5}},
     {{0}},
     {{0, 20}},
     {{0, 5}, {10, 5}}},
    {"a range in another cuts it in two",
     100,
     {{0, 30}},
     {{10, 10}},
     {{10, 10}},
     {{0, 30}},
     {{0, 10}, {20, 10}}},
    {"ranges in another leave what is between",
     100,
     {{0, 30}},
     {{0, 5}, {10, 5}, {25, 5}},
     {{0, 5}, {10, 5}, {25, 5}},
     {{0, 30}},
     {{5, 5}, {15, 10}}},
    {"a range over others leaves nothing",
     100,
     {{5, 5}, {15, 5}},
     {{0, 30}},
     {{5, 5}, {15, 5}},
     {{0, 30}},
     {{0}}},
    {"what is behind the limit is left out",
     12,
     {{0, 5}, {10, 5}, {20, 5}},
     {{3, 5}, {11, 5}, {22, 10}},
     {{3, 2}, {11, 1}},
     {{0, 8}, {10, 2}},
     {{0, 3}, {10, 1}}},
    {"a limit of 0 leaves nothing",
     0,
     {{0, 5}},
     {{3, 5}},
     {{0}},
     {{0}},
     {{0}}},
    {"all offsets can be had",
     INT64_MAX,
     {{0, INT64_MAX}},
     {{INT64_MAX - 1, 1}},
     {{INT64_MAX - 1, 1}},
     {{0, INT64_MAX}},
     {{0, INT64_MAX - 1}}},
};

static void test_combine(void)
{
    for (size_t i = 0; i < N_ELEMENTS(combine_cases); i++) {
        const struct extent *const expected[] = {
            [EXTENTS_BOTH] = combine_cases[i].both,
            [EXTENTS_EITHER] = combine_cases[i].either,
            [EXTENTS_WITHOUT] = combine_cases[i].without,
        };
        struct extents a, b;

        TEST(combine_cases[i].name);
        a = build(combine_cases[i].a);
        b = build(combine_cases[i].b);
        for (size_t op = 0; op < N_ELEMENTS(expected); op++) {
            struct extents out = {0};
            struct error err;

            CHECK_OK(extents_combine(&a, op, &b, combine_cases[i].limit, &out,
                                     &err),
                     &err);
            check_list(&out, expected[op]);
            extents_clear(&out);
        }
        extents_clear(&a);
        extents_clear(&b);
    }
}

static void test_move(void)
{
    const struct extent first[MAX_LIST] = {{0, 5}, {7, 2}};
    const struct extent second[MAX_LIST] = {{9, 1}};
    struct extents from = build(first), to = build(second);
    struct error err;

    TEST("a list that is moved is there, and nowhere else");
    extents_move(&to, &from);
    check_list(&to, first);
    CHECK_UINT(from.count, 0);
    CHECK(from.list == NULL);

    TEST("a list that was moved away can be used again");
    CHECK_OK(extents_append(&from, 3, 4, &err), &err);
    CHECK_UINT(from.count, 1);
    check_list(&to, first);

    TEST("a list becomes empty by moving an empty one");
    extents_clear(&from);
    extents_move(&to, &from);
    CHECK_UINT(to.count, 0);
    extents_clear(&to);
}

static const struct {
    const char *name;
    struct extent a[MAX_LIST], b[MAX_LIST];
    bool is_equal;
    uint64_t differ;
} equal_cases[] = {
    {"nothing is nothing", {{0}}, {{0}}, true, 0},
    {"a list is itself", {{0, 5}, {7, 2}}, {{0, 5}, {7, 2}}, true, 0},
    {"nothing is not something", {{0}}, {{7, 2}}, false, 7},
    {"a range more differs where it begins",
     {{0, 5}},
     {{0, 5}, {7, 2}},
     false,
     7},
    {"a longer range differs where the shorter ends",
     {{0, 5}, {7, 2}},
     {{0, 6}, {7, 2}},
     false,
     5},
    {"an earlier range differs where it begins", {{3, 9}}, {{4, 8}}, false, 3},
    {"a gap differs where it begins", {{0, 10}}, {{0, 4}, {6, 4}}, false, 4},
};

static void test_equal(void)
{
    for (size_t i = 0; i < N_ELEMENTS(equal_cases); i++) {
        struct extents a, b;
        uint64_t differ;

        TEST(equal_cases[i].name);
        a = build(equal_cases[i].a);
        b = build(equal_cases[i].b);
        for (int swap = 0; swap < 2; swap++) {
            differ = 0;
            CHECK(extents_is_equal(swap ? &b : &a, swap ? &a : &b, &differ) ==
                  equal_cases[i].is_equal);
            if (!equal_cases[i].is_equal)
                CHECK_UINT(differ, equal_cases[i].differ);
        }
        extents_clear(&a);
        extents_clear(&b);
    }
}

/* Against bitmaps: what is done to a disk of 64 bytes. */
enum { DISK = 64, RUNS = 2000 };

struct bitmap {
    bool is_in[DISK * 2];
};

static struct extents make_random(struct bitmap *map)
{
    struct extents extents = {0};
    struct error err;

    *map = (struct bitmap){{0}};
    for (uint64_t at = test_random(8); at < DISK;) {
        uint64_t length = 1 + test_random(9);

        CHECK_OK(extents_append(&extents, at, length, &err), &err);
        memset(map->is_in + at, true, length);
        at += length + test_random(9);
    }
    return extents;
}

/* The same bytes, and as a list has to be; clears it. */
static void check_bitmap(struct extents *extents, const struct bitmap *map)
{
    struct bitmap actual = {{0}};

    for (size_t i = 0; i < extents->count; i++) {
        const struct extent *e = &extents->list[i];

        if (CHECK(extent_end(e) <= N_ELEMENTS(actual.is_in)))
            memset(actual.is_in + e->disk_offset, true, e->length);
        CHECK(e->length > 0);
        CHECK(i == 0 || extent_end(e - 1) < e->disk_offset);
    }
    for (size_t i = 0; i < N_ELEMENTS(actual.is_in); i++)
        CHECK_INT(actual.is_in[i], map->is_in[i]);
    extents_clear(extents);
}

static void test_random_widened(void)
{
    TEST("random lists are widened as a bitmap would be");
    for (int run = 0; run < RUNS; run++) {
        uint64_t granule = UINT64_C(1) << test_random(5);
        uint64_t limit = 1 + test_random(DISK);
        struct bitmap in_map, expected = {{0}};
        struct extents in = make_random(&in_map), out = {0};
        struct error err;

        for (uint64_t i = 0; i < limit; i++) {
            uint64_t first = i / granule * granule;

            for (uint64_t j = first; j < first + granule; j++)
                expected.is_in[i] = expected.is_in[i] || in_map.is_in[j];
        }
        CHECK_OK(extents_widen(&in, granule, limit, &out, &err), &err);
        check_bitmap(&out, &expected);
        extents_clear(&in);
    }
}

static void test_random_combined(void)
{
    TEST("random lists are combined as bitmaps would be");
    for (int run = 0; run < RUNS; run++) {
        enum extents_op op = run % 3;
        uint64_t limit = test_random(DISK * 2);
        struct bitmap a_map, b_map, expected = {{0}};
        struct extents a = make_random(&a_map), b = make_random(&b_map);
        struct extents out = {0};
        struct error err;

        for (uint64_t i = 0; i < limit; i++) {
            bool in_a = a_map.is_in[i], in_b = b_map.is_in[i];

            expected.is_in[i] = op == EXTENTS_BOTH     ? in_a && in_b
                                : op == EXTENTS_EITHER ? in_a || in_b
                                                       : in_a && !in_b;
        }
        CHECK_OK(extents_combine(&a, op, &b, limit, &out, &err), &err);
        check_bitmap(&out, &expected);
        extents_clear(&a);
        extents_clear(&b);
    }
}

int main(void)
{
    test_begin();
    test_append();
    test_many();
    test_widen();
    test_combine();
    test_move();
    test_equal();
    test_random_widened();
    test_random_combined();
    return test_end();
}
