/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests lists that grow. */

#include "config.h"

#include "base/vector.h"
#include "test.h"

/* An item whose size is no power of two. */
struct item {
    unsigned char bytes[24];
};

VECTOR_TYPE(items, struct item);
VECTOR_FUNCTIONS(items, struct item, "items");

static void test_grow(void)
{
    enum { MANY = 10000 };
    struct items items = {0};
    size_t grown = 0;
    struct error err;

    TEST("there is room for one more, and what was there stays");
    for (size_t count = 0; count < MANY; count++) {
        size_t before = items.space;
        struct item item;

        memset(item.bytes, (int)(count * 7), sizeof item.bytes);
        CHECK_OK(items_push(&items, item, &err), &err);
        CHECK_UINT(items.count, count + 1);
        CHECK(items.space > count);
        grown += items.space != before;
    }
    for (size_t i = 0; i < MANY; i++)
        for (size_t j = 0; j < sizeof items.list[i].bytes; j++)
            CHECK_INT(items.list[i].bytes[j], (unsigned char)(i * 7));

    TEST("a list rarely grows");
    CHECK(grown < 20);

    TEST("a list that is freed is empty, and can be used again");
    items_free(&items);
    CHECK_UINT(items.count, 0);
    CHECK_OK(items_push(&items, (struct item){{1}}, &err), &err);
    CHECK_INT(items.list[0].bytes[0], 1);
    items_free(&items);
}

static void test_room_left(void)
{
    struct items items = {0};
    struct item *before;
    size_t space;
    struct error err;

    CHECK_OK(items_push(&items, (struct item){{0}}, &err), &err);
    TEST("while there is room a list stays where it is");
    before = items.list;
    space = items.space;
    while (items.count < space) {
        CHECK_OK(items_push(&items, (struct item){{0}}, &err), &err);
        CHECK(items.list == before);
        CHECK_UINT(items.space, space);
    }
    items_free(&items);
}

static void test_reserve(void)
{
    struct items items = {0};
    struct error err;

    TEST("room for many at once is little more than they need");
    CHECK_OK(items_reserve(&items, 8000, &err), &err);
    CHECK_UINT(items.space, 9000);
    CHECK_UINT(items.count, 0);
    CHECK_OK(items_reserve(&items, 9000, &err), &err);
    CHECK_UINT(items.space, 9000);

    TEST("room that is not used is given back");
    for (unsigned char i = 0; i < 3; i++)
        CHECK_OK(items_push(&items, (struct item){{i}}, &err), &err);
    items_shrink(&items);
    CHECK_UINT(items.space, 3);
    for (int i = 0; i < 3; i++)
        CHECK_INT(items.list[i].bytes[0], i);
    items_free(&items);
}

/* With sanitizers, too, what is too much is an error like any other. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void test_no_memory(void)
{
    struct items items = {malloc(sizeof *items.list), 0, 0};
    struct item *before = items.list;
    struct error err = {0};
    char message[128];

    TEST("a list that cannot grow is as it was");
    test_require(items.list != NULL, "malloc");
    items.count = items.space = SIZE_MAX / sizeof *items.list;
    snprintf(message, sizeof message,
             "no memory for %zu items: Cannot allocate memory",
             items.space * 2);
    CHECK_FAILS(items_push(&items, (struct item){{0}}, &err), &err, message);
    CHECK(items.list == before);
    CHECK_UINT(items.space, SIZE_MAX / sizeof *items.list);
    CHECK_UINT(items.count, items.space);
    items_free(&items);
}

int main(void)
{
    test_begin();
    test_grow();
    test_room_left();
    test_reserve();
    test_no_memory();
    return test_end();
}
