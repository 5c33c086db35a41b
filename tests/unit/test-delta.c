/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what is sent so that a base becomes another disk. */

#include "config.h"

#include "export/delta.h"
#include "test.h"

/* Disks are drawn as text, a character for each byte.  In what is known of
 * them
 *
 *     d  data        z  allocated, but zeroes        .  nothing
 *
 * and in a delta
 *
 *     D  to be sent  Z  zero, and not on the base    .  the same
 */
enum { LONGEST = 64, RUNS = 3000 };

/* Where picture has one of the letters. */
static struct extents find_letters(const char *picture, const char *letters)
{
    struct extents extents = {0};
    struct error err;

    for (size_t i = 0; picture[i] != '\0'; i++)
        if (strchr(letters, picture[i]) != NULL)
            CHECK_OK(extents_append(&extents, i, 1, &err), &err);
    return extents;
}

static struct delta make_delta(const char *picture)
{
    return (struct delta){find_letters(picture, "D"),
                          find_letters(picture, "Z")};
}

static void paint(char picture[LONGEST + 1], const struct extents *extents,
                  char letter)
{
    for (size_t i = 0; i < extents->count; i++) {
        const struct extent *e = &extents->list[i];

        /* Nothing is painted twice: no byte is both. */
        for (uint64_t at = e->disk_offset; at < extent_end(e); at++)
            if (CHECK(at < LONGEST) && CHECK_INT(picture[at], '.'))
                picture[at] = letter;
    }
}

static void check_delta(const struct delta *delta, const char *expected)
{
    char actual[LONGEST + 1] = "";

    memset(actual, '.', strlen(expected));
    paint(actual, &delta->data, 'D');
    paint(actual, &delta->zeroes, 'Z');
    CHECK_STR(actual, expected);
}

/* picture, its zeroes sent as data. */
static const char *as_data(const char *picture)
{
    static char copy[LONGEST + 1];
    size_t i = 0;

    for (; picture[i] != '\0'; i++)
        copy[i] = picture[i] == 'Z' ? 'D' : picture[i];
    copy[i] = '\0';
    return copy;
}

/* What was allocated above a base, what there is on the disk and on the base,
 * and what is to be sent.
 */
static const struct {
    const char *name, *above, *disk, *base, *delta;
} allocations[] = {
    {
        "without anything new nothing is sent",
        "........",
        "dddddddd",
        "dddddddd",
        "........",
    },
    {
        "new data is sent, whatever was there",
        "..dddd..",
        "..dddd..",
        "....dddd",
        "..DDDD..",
    },
    {
        "new zeroes over data are zeroed",
        "..zzzz..",
        "dd....dd",
        "dddddddd",
        "..ZZZZ..",
    },
    {
        "new zeroes over nothing are the same",
        "..zzzz..",
        "d......d",
        "d......d",
        "........",
    },
    {
        "new zeroes over some data are zeroed there",
        "..zzzz..",
        "dd......",
        "dddd....",
        "..ZZ....",
    },
    {
        "data and zeroes side by side are told apart",
        "zzddzzdd",
        "..dd..dd",
        "dddddddd",
        "ZZDDZZDD",
    },
    {
        "old data is the base's, above it or not",
        "....dd..",
        "dd..dd.d",
        "dd.....d",
        "....DD..",
    },
    {
        "behind the end of a shorter base there are zeroes",
        "zzzzzzdd",
        "......dd",
        "dddd",
        "ZZZZ..DD",
    },
    {
        "a longer base is cut",
        "zzzd",
        "...d",
        "dddddddd",
        "ZZZD",
    },
};

static void test_allocations(void)
{
    for (size_t i = 0; i < N_ELEMENTS(allocations); i++) {
        uint64_t disk_size = strlen(allocations[i].delta);
        struct extents above, data, base_data;
        struct delta delta = {0};
        struct error err;

        TEST(allocations[i].name);
        above = find_letters(allocations[i].above, "dz");
        data = find_letters(allocations[i].disk, "d");
        base_data = find_letters(allocations[i].base, "d");
        CHECK_OK(delta_by_allocation(&above, &data, &base_data, disk_size,
                                     &delta, &err),
                 &err);
        check_delta(&delta, allocations[i].delta);
        CHECK_OK(delta_write_zeroes(&delta, disk_size, &err), &err);
        CHECK_UINT(delta.zeroes.count, 0);
        check_delta(&delta, as_data(allocations[i].delta));
        delta_clear(&delta);
        CHECK_UINT(delta.data.count, 0);
        extents_clear(&above);
        extents_clear(&data);
        extents_clear(&base_data);
    }
}

/* A delta, what is on the disk, and the delta with zeroes marked, in granules
 * of 4 bytes:
 *
 *     0   4   8   12  16
 *     |   |   |   |   |
 */
static const struct {
    const char *name, *delta, *disk, *marked;
} markings[] = {
    {
        "nothing stays nothing",
        "........",
        "dddd....",
        "........",
    },
    {
        "data stays data, and as much of it",
        ".D..DDDD",
        ".d..dddd",
        ".D..DDDD",
    },
    {
        "a whole granule is marked",
        "....ZZZZ",
        "dddd....",
        "....ZZZZ",
    },
    {
        "some granules are marked, and nothing between them",
        "ZZZZZZZZ....ZZZZ",
        "........dddd....",
        "ZZZZZZZZ....ZZZZ",
    },
    {
        "a granule that is zero all over is marked as a whole",
        ".....ZZ.",
        "dddd....",
        "....ZZZZ",
    },
    {
        "zeroes across granules mark both",
        "...ZZ...",
        "........",
        "ZZZZZZZZ",
    },
    {
        "what has old data in it goes as data, as a whole",
        "..ZZZZZZ",
        "dd......",
        "DDDDZZZZ",
    },
    {
        "zeroes in what is sent anyway are not marked",
        "DD.ZZZZZ",
        "dd......",
        "DD..ZZZZ",
    },
    {
        "zeroes before and behind data are marked beside it",
        "ZZZZDZZZZZZZ",
        "....d.......",
        "ZZZZD...ZZZZ",
    },
    {
        "a range of zeroes is cut where it goes as data",
        "ZZZZZZ.ZZZZZ",
        "......d.....",
        "ZZZZDDDDZZZZ",
    },
    {
        "the last granule is cut where the disk ends",
        "........ZZ",
        "dddddddd..",
        "........ZZ",
    },
    {
        "the last granule is marked as far as the disk goes",
        ".........Z",
        "dddddddd..",
        "........ZZ",
    },
    {
        "the last granule goes as data as far as the disk goes",
        ".........Z",
        "........d.",
        "........DD",
    },
    {
        "what is said of data behind the end of the disk is not heard",
        "....ZZ",
        "........dddd",
        "....ZZ",
    },
};

static void test_markings(void)
{
    for (size_t i = 0; i < N_ELEMENTS(markings); i++) {
        uint64_t disk_size = strlen(markings[i].delta);
        struct extents data;
        struct delta delta;
        struct error err;

        TEST(markings[i].name);
        data = find_letters(markings[i].disk, "d");
        delta = make_delta(markings[i].delta);
        CHECK_OK(delta_mark_zeroes(&delta, &data, 4, disk_size, &err), &err);
        check_delta(&delta, markings[i].marked);
        delta_clear(&delta);
        extents_clear(&data);
    }
}

/* Letters in runs, as they are on disks. */
static void fill_random(char *picture, size_t length, const char *letters)
{
    char letter = '.';

    for (size_t i = 0; i < length; i++) {
        if (test_random(4) == 0)
            letter = letters[test_random(strlen(letters))];
        picture[i] = letter;
    }
    picture[length] = '\0';
}

static bool has_letter(const char *picture, size_t length, char letter)
{
    return memchr(picture, letter, length) != NULL;
}

/* Granule by granule, what delta_mark_zeroes is to do. */
static void mark_slowly(char *delta, const char *disk, size_t granule)
{
    size_t disk_size = strlen(delta);

    for (size_t at = 0; at < disk_size; at += granule) {
        char *piece = delta + at;
        size_t n = granule < disk_size - at ? granule : disk_size - at;

        if (has_letter(piece, n, 'D')) {
            for (size_t i = 0; i < n; i++)
                piece[i] = piece[i] == 'D' ? 'D' : '.';
        } else if (has_letter(piece, n, 'Z')) {
            memset(piece, has_letter(disk + at, n, 'd') ? 'D' : 'Z', n);
        }
    }
}

static void test_random_markings(void)
{
    TEST("random deltas are marked as by looking at each granule");
    for (int run = 0; run < RUNS; run++) {
        char above[LONGEST + 1], disk[LONGEST + 1], base[LONGEST + 1];
        char expected[LONGEST + 1];
        size_t disk_size = 1 + test_random(LONGEST);
        size_t granule = (size_t)1 << test_random(5);
        struct extents allocated, data, base_data;
        struct delta delta = {0};
        struct error err;

        fill_random(above, disk_size, ".z");
        fill_random(disk, disk_size, ".d");
        fill_random(base, 1 + test_random(LONGEST), ".d");
        for (size_t i = 0; i < disk_size; i++) {
            bool was_data = i < strlen(base) && base[i] == 'd';

            if (above[i] == '.')
                disk[i] = was_data ? 'd' : '.';
            expected[i] = above[i] == '.'  ? '.'
                          : disk[i] == 'd' ? 'D'
                          : was_data       ? 'Z'
                                           : '.';
        }
        expected[disk_size] = '\0';
        allocated = find_letters(above, "z");
        data = find_letters(disk, "d");
        base_data = find_letters(base, "d");
        CHECK_OK(delta_by_allocation(&allocated, &data, &base_data, disk_size,
                                     &delta, &err),
                 &err);
        check_delta(&delta, expected);
        mark_slowly(expected, disk, granule);
        CHECK_OK(delta_mark_zeroes(&delta, &data, granule, disk_size, &err),
                 &err);
        check_delta(&delta, expected);
        delta_clear(&delta);
        extents_clear(&allocated);
        extents_clear(&data);
        extents_clear(&base_data);
    }
}

int main(void)
{
    test_begin();
    test_allocations();
    test_markings();
    test_random_markings();
    return test_end();
}
