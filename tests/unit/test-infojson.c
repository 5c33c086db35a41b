/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests what is read from `qemu-img info`. */

#include "config.h"

#include "infojson.h"
#include "test.h"

static const struct {
    const char *name, *text;
    uint64_t virtual_size;
    const char *backing_file, *backing_format;
} cases[] = {
    {"an image alone has no backing file",
     "{\"virtual-size\": 1048576, \"filename\": \"a\", \"format\": \"qcow2\","
     "\"format-specific\": {\"type\": \"qcow2\", \"data\": {}}}\n",
     1 << 20, NULL, NULL},
    {"a backing file is named as QEMU would open it",
     "{\"virtual-size\": 512, \"backing-filename\": \"base\","
     "\"full-backing-filename\": \"/images/base\","
     "\"backing-filename-format\": \"raw\"}",
     512, "/images/base", "raw"},
    {"a backing file may have its short name only",
     "{\"virtual-size\": 512, \"backing-filename\": \"/base\"}", 512, "/base",
     NULL},
    {"an empty disk is a disk", "{\"virtual-size\": 0}", 0, NULL, NULL},
    {"a disk may be large", "{\"virtual-size\": 9223372036854775296}",
     UINT64_C(9223372036854775296), NULL, NULL},
    {"escapes are understood",
     "{\"virtual-size\": 1, \"full-backing-filename\": "
     "\"\\u0061\\\"b\\\\c\\u00e9\"}",
     1, "a\"b\\c\xc3\xa9", NULL},
    {"members of other objects do not count",
     "{\"children\": [{\"info\": {\"virtual-size\": 7,"
     "\"backing-filename\": \"b\"}}], \"virtual-size\": 9}",
     9, NULL, NULL},
};

static const struct {
    const char *name, *text, *message;
} errors[] = {
    {"nothing is no image", "", "image information is not a JSON object"},
    {"an array is no image", "[]", "image information is not a JSON object"},
    {"text is no image", "qemu-img: error",
     "image information is not a JSON object"},
    {"an object that is cut short is no image",
     "{\"virtual-size\": 512, \"filename\": \"a\"",
     "image information is not a JSON object"},
    {"null is no image", "null", "image information is not a JSON object"},
    {"an image has a size", "{\"filename\": \"a\"}",
     "image information lacks virtual-size"},
    {"a size is no text", "{\"virtual-size\": \"512\"}",
     "image information lacks virtual-size"},
    {"a size is not null", "{\"virtual-size\": null}",
     "image information lacks virtual-size"},
    {"a size is no fraction", "{\"virtual-size\": 512.5}",
     "image information lacks virtual-size"},
    {"a size of 2^63 is too much", "{\"virtual-size\": 9223372036854775808}",
     "image information lacks virtual-size"},
    {"a size is not negative", "{\"virtual-size\": -512}",
     "image information lacks virtual-size"},
};

static void test_parse(void)
{
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct infojson info;
        struct error err;

        TEST(cases[i].name);
        if (!CHECK_OK(infojson_parse(cases[i].text, strlen(cases[i].text),
                                     &info, &err),
                      &err))
            continue;
        CHECK_UINT(info.virtual_size, cases[i].virtual_size);
        CHECK_STR(info.backing_file, cases[i].backing_file);
        CHECK_STR(info.backing_format, cases[i].backing_format);
        infojson_clear(&info);
        CHECK_STR(info.backing_file, NULL);
    }
    for (size_t i = 0; i < N_ELEMENTS(errors); i++) {
        struct infojson info;
        struct error err = {0};

        TEST(errors[i].name);
        CHECK_FAILS(infojson_parse(errors[i].text, strlen(errors[i].text),
                                   &info, &err),
                    &err, errors[i].message);
        infojson_clear(&info);
    }
}

/* The text need not end with a zero, and is not read past its length. */
static void test_length(void)
{
    static const char text[] = "{\"virtual-size\": 512}";
    size_t length = sizeof text - 1;
    char *copy = malloc(length);
    struct infojson info;
    struct error err;

    TEST("the length is what counts, not a zero behind it");
    test_require(copy != NULL, "malloc");
    memcpy(copy, text, length);
    if (CHECK_OK(infojson_parse(copy, length, &info, &err), &err))
        CHECK_UINT(info.virtual_size, 512);
    infojson_clear(&info);
    free(copy);
}

int main(void)
{
    test_begin();
    test_parse();
    test_length();
    return test_end();
}
