/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests where bytes of the disk lie in the files of images. */

#include "config.h"

#include "lists/places.h"
#include "test.h"

/* Disks are drawn as text, a character for each byte:
 *
 *     a b c  in a place, of file 0, 1, 2     d  other data     .  zero
 *
 * What lies at disk offset N is at file offset 100 + N, so that what touches
 * is joined if it is in one file.
 */
enum { LONGEST = 64 };

static void add(struct places *places, const char *picture, char letter)
{
    struct error err;

    for (size_t i = 0; picture[i] != '\0'; i++) {
        const struct place place = {
            .disk_offset = i,
            .length = 1,
            .file_offset = 100 + i,
            .link = letter - 'a',
        };

        if (picture[i] == letter)
            CHECK_OK(places_add(places, &place, &err), &err);
    }
}

static struct extents data_of(const char *picture)
{
    struct extents data = {0};
    struct error err;

    for (size_t i = 0; picture[i] != '\0'; i++)
        if (picture[i] != '.')
            CHECK_OK(extents_append(&data, i, 1, &err), &err);
    return data;
}

static void paint(char drawn[LONGEST + 1], const struct places *places,
                  const struct extents *others)
{
    for (size_t i = 0; i < places->count; i++) {
        const struct place *p = &places->list[i];

        CHECK_UINT(p->file_offset, 100 + p->disk_offset);
        for (uint64_t at = p->disk_offset; at < place_end(p); at++)
            if (CHECK(at < LONGEST) && CHECK_INT(drawn[at], '.'))
                drawn[at] = (char)('a' + p->link);
    }
    for (size_t i = 0; i < others->count; i++) {
        const struct extent *e = &others->list[i];

        for (uint64_t at = e->disk_offset; at < extent_end(e); at++)
            if (CHECK(at < LONGEST) && CHECK_INT(drawn[at], '.'))
                drawn[at] = 'd';
    }
}

static const struct {
    const char *name, *picture, *expected;
    uint64_t shortest;
    size_t count;
} settled[] = {
    {"nothing", "....", "....", 1, 0},
    {"all in one place", "aaaa", "aaaa", 9, 1},
    {"no place at all", ".dd.", ".dd.", 9, 0},
    {"places of several files", "aabba.cc", "aabba.cc", 9, 4},
    {"places and others", "aad.bbd", "aad.bbd", 1, 2},
    {"a short one between others", "dda.dd", "ddd.dd", 2, 0},
    {"one that is long enough", "ddaadd", "ddaadd", 2, 1},
    {"a stretch of several is as long as all of them", "da.b.cd", "da.b.cd", 3,
     3},
    {"a short stretch of several", "da.b.cd", "dd.d.dd", 4, 0},
    {"short ones at both ends stay", "a.ddd.b", "a.ddd.b", 9, 2},
    {"some stay and some go", "aadadbbbdcd.aa", "aadddbbbddd.aa", 3, 3},
};

static void test_settle(void)
{
    for (size_t i = 0; i < N_ELEMENTS(settled); i++) {
        const char *picture = settled[i].picture;
        struct extents data = data_of(picture), others = {0};
        struct places places = {0};
        char drawn[LONGEST + 1] = "";
        struct error err;

        TEST(settled[i].name);
        for (char letter = 'c'; letter >= 'a'; letter--) /* in no order */
            add(&places, picture, letter);
        CHECK_OK(places_settle(&places, &data, settled[i].shortest, &others,
                               &err),
                 &err);
        memset(drawn, '.', strlen(picture));
        paint(drawn, &places, &others);
        CHECK_STR(drawn, settled[i].expected);
        CHECK_UINT(places.count, settled[i].count);
        CHECK_UINT(places_total(&places) + extents_total(&others),
                   extents_total(&data));
        extents_clear(&data);
        extents_clear(&others);
        places_clear(&places);
    }
}

static const struct {
    const char *name;
    struct place next;
    size_t count;
} added[] = {
    {"what goes on on the disk and in the file is one", {10, 5, 110, 0}, 1},
    {"apart on the disk", {11, 5, 110, 0}, 2},
    {"apart in the file", {10, 5, 111, 0}, 2},
    {"in the order of the disk, not of the file", {10, 5, 90, 0}, 2},
    {"in another file", {10, 5, 110, 1}, 2},
};

static void test_add(void)
{
    const struct place first = {.length = 10, .file_offset = 100};

    for (size_t i = 0; i < N_ELEMENTS(added); i++) {
        struct places places = {0};
        struct error err;

        TEST(added[i].name);
        CHECK_OK(places_add(&places, &first, &err), &err);
        CHECK_OK(places_add(&places, &added[i].next, &err), &err);
        CHECK_UINT(places.count, added[i].count);
        CHECK_UINT(places_total(&places), 15);
        places_clear(&places);
    }
}

static void test_overlap(void)
{
    const struct place a = {.disk_offset = 0, .length = 10};
    const struct place b = {.disk_offset = 9, .length = 5, .link = 1};
    struct extents data = {0}, others = {0};
    struct places places = {0};
    struct error err;

    TEST("places that overlap");
    CHECK_OK(places_add(&places, &a, &err), &err);
    CHECK_OK(places_add(&places, &b, &err), &err);
    CHECK_FAILS(
        places_settle(&places, &data, 1, &others, &err), &err,
        "range at disk offset 9 begins before the end of the last, 10");
    extents_clear(&others);
    places_clear(&places);
}

static void test_find(void)
{
    struct places places = {0}, moved = {0};
    struct extents data = data_of("..aa..b."), others = {0};
    static const size_t expected[] = {0, 0, 0, 0, 1, 1, 1, 2};
    struct error err;

    TEST("the one that ends behind an offset");
    CHECK_UINT(places_find(&places, 0), 0);
    add(&places, "..aa..b.", 'b');
    add(&places, "..aa..b.", 'a');
    CHECK_OK(places_settle(&places, &data, 1, &others, &err), &err);
    for (size_t i = 0; i < N_ELEMENTS(expected); i++)
        CHECK_UINT(places_find(&places, i), expected[i]);

    TEST("what is moved is gone where it was");
    places_move(&moved, &places);
    CHECK_UINT(places.count, 0);
    CHECK_UINT(moved.count, 2);
    extents_clear(&data);
    extents_clear(&others);
    places_clear(&moved);
}

int main(void)
{
    test_add();
    test_settle();
    test_overlap();
    test_find();
    return test_end();
}
