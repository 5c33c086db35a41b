/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what is read from `qemu-img info`. */

#include "config.h"

#include "qemu/infojson.h"
#include "test.h"

static const struct {
    const char *name, *text;
    uint64_t virtual_size;
    const char *backing_file, *full_backing_file, *backing_format;
} cases[] = {
    {"an image alone has no backing file",
     "{\"virtual-size\": 1048576, \"filename\": \"a\", \"format\": \"qcow2\","
     "\"format-specific\": {\"type\": \"qcow2\", \"data\": {}}}\n",
     1 << 20, NULL, NULL, NULL},
    {"a backing file is named as QEMU would open it",
     "{\"virtual-size\": 512, \"backing-filename\": \"base\","
     "\"full-backing-filename\": \"/images/base\","
     "\"backing-filename-format\": \"raw\"}",
     512, "base", "/images/base", "raw"},
    {"a backing file may have its short name only",
     "{\"virtual-size\": 512, \"backing-filename\": \"/base\"}", 512, "/base",
     NULL, NULL},
    {"an empty disk is a disk", "{\"virtual-size\": 0}", 0, NULL, NULL, NULL},
    {"a disk may be large", "{\"virtual-size\": 9223372036854775296}",
     UINT64_C(9223372036854775296), NULL, NULL, NULL},
    {"escapes are understood",
     "{\"virtual-size\": 1, \"full-backing-filename\": "
     "\"\\u0061\\\"b\\\\c\\u00e9\"}",
     1, NULL, "a\"b\\c\xc3\xa9", NULL},
    {"members of other objects do not count",
     "{\"children\": [{\"info\": {\"virtual-size\": 7,"
     "\"backing-filename\": \"b\"}}], \"virtual-size\": 9}",
     9, NULL, NULL, NULL},
    {"nor do names in arrays, nor those of values that lie deeper",
     "{\"virtual-size\": 9, \"a\": [\"backing-filename\", \"b\"],"
     "\"backing-filename\": {\"backing-filename\": \"c\"},"
     "\"format-specific\": {\"backing-filename\": \"d\"}}",
     9, NULL, NULL, NULL},
    {"a string may look like the end",
     "{\"a\": \"}\\\"}\\\\\", \"virtual-size\": 9}", 9, NULL, NULL, NULL},
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
    {"a bracket that closes another is no JSON", "{\"virtual-size\": 1]",
     "image information is not a JSON object"},
    {"a comma too many is no JSON", "{\"virtual-size\": 1,}",
     "image information is not a JSON object"},
    {"a name without quotes is no JSON", "{virtual-size: 1}",
     "image information is not a JSON object"},
    {"a word that means nothing is no JSON", "{\"a\": b}",
     "image information is not a JSON object"},
    {"one object is all", "{\"virtual-size\": 1} {}",
     "there is more behind the image information"},
    {"a size is not negative", "{\"virtual-size\": -512}",
     "image information lacks virtual-size"},
};

/* In pieces of so many bytes. */
static int parse(const char *text, size_t length, size_t piece,
                 struct image_info *info, struct error *err)
{
    struct infojson *j = infojson_new();
    int r = 0;

    test_require(j != NULL, "malloc");
    for (size_t at = 0, n; r == 0 && at < length; at += n) {
        char *copy;

        n = length - at < piece ? length - at : piece;
        copy = malloc(n); /* with nothing behind it */
        test_require(copy != NULL, "malloc");
        memcpy(copy, text + at, n);
        r = infojson_feed(j, copy, n, err);
        free(copy);
    }
    if (r == 0)
        r = infojson_end(j, info, err);
    infojson_free(j);
    return r;
}

static void test_parse(void)
{
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        TEST(cases[i].name);
        for (size_t piece = 1; piece < 300; piece += 13) {
            struct image_info info;
            struct error err;

            if (!CHECK_OK(parse(cases[i].text, strlen(cases[i].text), piece,
                                &info, &err),
                          &err))
                continue;
            CHECK_UINT(info.virtual_size, cases[i].virtual_size);
            CHECK_STR(info.backing_file, cases[i].backing_file);
            CHECK_STR(info.full_backing_file, cases[i].full_backing_file);
            CHECK_STR(info.backing_format, cases[i].backing_format);
            image_info_clear(&info);
            CHECK_STR(info.backing_file, NULL);
        }
    }
    for (size_t i = 0; i < N_ELEMENTS(errors); i++) {
        TEST(errors[i].name);
        for (size_t piece = 1; piece < 300; piece += 13) {
            struct image_info info = {0};
            struct error err = {0};

            CHECK_FAILS(parse(errors[i].text, strlen(errors[i].text), piece,
                              &info, &err),
                        &err, errors[i].message);
        }
    }
}

static void test_specific(void)
{
    static const char text[] =
        "{\"cluster-size\": 65536, \"format-specific\": {\"type\": \"qcow2\","
        "\"data\": {\"extended-l2\": true, \"data-file\": \"data.raw\","
        "\"bitmaps\": [{\"data-file\": \"no\"}]}}, \"virtual-size\": 1}";
    struct image_info info;
    struct error err;

    TEST("what is said of a qcow2 image");
    if (!CHECK_OK(parse(text, sizeof text - 1, 7, &info, &err), &err))
        return;
    CHECK_UINT(info.cluster_size, 65536);
    CHECK(info.is_extended_l2);
    CHECK_STR(info.data_file, "data.raw");
    image_info_clear(&info);
}

/* Checks which file is said to have the disk of a VMDK in these parts. */
static void check_parts(const char *parts, const char *expected)
{
    char text[400];
    struct image_info info;
    struct error err;

    snprintf(text, sizeof text,
             "{\"virtual-size\": 1, \"filename\": \"x.vmdk\", "
             "\"format-specific\": {\"type\": \"vmdk\", \"data\": {"
             "\"cid\": 1, \"extents\": %s}}, \"format\": \"FLAT\"}",
             parts);
    if (!CHECK_OK(parse(text, strlen(text), 7, &info, &err), &err))
        return;
    CHECK_STR(info.data_file, expected);
    image_info_clear(&info);
}

static void test_parts(void)
{
    static const char flat[] =
        "{\"virtual-size\": 1, \"filename\": \"x-flat.vmdk\", "
        "\"format\": \"FLAT\"}";
    char text[200];

    TEST("a VMDK of one flat part has its disk there");
    snprintf(text, sizeof text, "[%s]", flat);
    check_parts(text, "x-flat.vmdk");
    check_parts("[{\"format\": \"VMFS\", \"filename\": \"x-flat.vmdk\"}]",
                "x-flat.vmdk");

    TEST("one of several parts, of none, or of a sparse one has not");
    snprintf(text, sizeof text, "[%s, %s]", flat, flat);
    check_parts(text, NULL);
    check_parts("[]", NULL);
    check_parts("[{\"filename\": \"x.vmdk\", \"format\": \"SPARSE\"}]", NULL);

    TEST("what only looks like a part is none");
    check_parts(flat, NULL);
    check_parts("[{\"format\": \"FLAT\"}]", NULL);
    check_parts("[{\"x\": {\"filename\": \"x\", \"format\": \"FLAT\"}}]",
                NULL);
}

/* size bytes of text, with a name in it of so many. */
static char *make_text(size_t size, size_t name_length, size_t *length)
{
    char *text = malloc(size + name_length + 400);
    size_t n;

    test_require(text != NULL, "malloc");
    n = sprintf(text, "{\"snapshots\": [");
    while (n < size)
        n += sprintf(text + n,
                     "{\"name\": \"%0200zu\", \"vm-state-size\": 0},", n);
    n += sprintf(text + n, "{}], \"backing-filename\": \"");
    memset(text + n, 'x', name_length);
    n += name_length;
    n += sprintf(text + n, "\", \"virtual-size\": 512}");
    *length = n;
    return text;
}

static void test_long(void)
{
    size_t length;
    char *text = make_text(2 << 20, 60000, &length);
    struct image_info info;
    struct error err = {0};

    TEST("text of megabytes is passed over");
    if (CHECK_OK(parse(text, length, 65536, &info, &err), &err)) {
        CHECK_UINT(info.virtual_size, 512);
        CHECK_UINT(strlen(info.backing_file), 60000);
        image_info_clear(&info);
    }
    free(text);

    TEST("a name that is asked for has to end somewhere");
    text = make_text(100, 70000, &length);
    CHECK_FAILS(parse(text, length, 65536, &info, &err), &err,
                "a name in the image information is over 65536 bytes long");
    free(text);
}

int main(void)
{
    test_begin();
    test_parse();
    test_specific();
    test_parts();
    test_long();
    return test_end();
}
