/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests lists that grow. */

#include "config.h"

#include "base/array.h"
#include "test.h"

/* An item whose size is no power of two. */
struct item {
    unsigned char bytes[24];
};

static void test_grow(void)
{
    enum { MANY = 10000 };
    struct item *list = NULL;
    size_t space = 0, grown = 0;
    struct error err;

    TEST("there is room for one more, and what was there stays");
    for (size_t count = 0; count < MANY; count++) {
        size_t before = space;

        CHECK_OK(array_make_room(&list, count, &space, sizeof *list, "items",
                                 &err),
                 &err);
        CHECK(space > count);
        grown += space != before;
        memset(list[count].bytes, (int)(count * 7), sizeof list[count].bytes);
    }
    for (size_t i = 0; i < MANY; i++)
        for (size_t j = 0; j < sizeof list[i].bytes; j++)
            CHECK_INT(list[i].bytes[j], (unsigned char)(i * 7));

    TEST("a list rarely grows");
    CHECK(grown < 20);
    free(list);
}

static void test_room_left(void)
{
    struct item *list = NULL, *before;
    size_t space = 0, space_before;
    struct error err;

    CHECK_OK(array_make_room(&list, 0, &space, sizeof *list, "items", &err),
             &err);
    TEST("while there is room a list stays where it is");
    before = list;
    space_before = space;
    for (size_t count = 0; count < space_before; count++) {
        CHECK_OK(array_make_room(&list, count, &space, sizeof *list, "items",
                                 &err),
                 &err);
        CHECK(list == before);
        CHECK_UINT(space, space_before);
    }
    free(list);
}

/* With sanitizers, too, what is too much is an error like any other. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void test_no_memory(void)
{
    struct item *list = malloc(sizeof *list), *before = list;
    size_t space = SIZE_MAX / sizeof *list, space_before = space;
    struct error err = {0};
    char message[128];

    TEST("a list that cannot grow is as it was");
    test_require(list != NULL, "malloc");
    snprintf(message, sizeof message,
             "no memory for %zu items: Cannot allocate memory", space * 2);
    CHECK_FAILS(array_make_room(&list, space, &space, sizeof *list, "items",
                                &err),
                &err, message);
    CHECK(list == before);
    CHECK_UINT(space, space_before);
    free(list);
}

int main(void)
{
    test_begin();
    test_grow();
    test_room_left();
    test_no_memory();
    return test_end();
}
