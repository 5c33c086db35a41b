/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the parser of `qemu-img map`, however its text is cut. */

#include "config.h"

#include "qemu/mapjson.h"
#include "test.h"

#include <inttypes.h>
#include <json-c/json.h>

enum { MAX_ENTRIES = 4 };

/* What the sink was given. */
struct sunk {
    struct mapjson_entry list[MAX_ENTRIES];
    size_t count;
    size_t fail_at; /* the sink refuses the entry of this number, from 1 on */
};

static int sink(void *opaque, const struct mapjson_entry *entry,
                struct error *err)
{
    struct sunk *sunk = opaque;

    if (sunk->count < MAX_ENTRIES)
        sunk->list[sunk->count] = *entry;
    sunk->count++;
    if (sunk->count == sunk->fail_at)
        return error_set(err, 0, "refused at disk offset %" PRIu64,
                         entry->disk_offset);
    return 0;
}

/* How a text can be cut into pieces. */
enum cut {
    WHOLE,
    BYTES,  /* one by one */
    IN_TWO, /* at a given place */
    RANDOMLY,
    N_CUTS,
};

static const char *const cut_names[N_CUTS] = {"at once", "byte by byte",
                                              "in two", "in pieces"};

/* Each piece is fed from memory of its own, with nothing behind it. */
static int feed_piece(struct mapjson *m, const char *text, size_t length,
                      struct error *err)
{
    char *piece = malloc(length > 0 ? length : 1);
    int r;

    test_require(piece != NULL, "malloc");
    memcpy(piece, text, length);
    r = mapjson_feed(m, piece, length, err);
    free(piece);
    return r;
}

static int parse(const char *text, enum cut cut, size_t at, struct sunk *sunk,
                 struct error *err)
{
    size_t length = strlen(text), done = 0;
    struct mapjson *m = mapjson_new(sink, sunk);
    int r = 0;

    test_require(m != NULL, "mapjson_new");
    while (r == 0 && done < length) {
        size_t left = length - done, piece = left;

        if (cut == BYTES)
            piece = 1;
        else if (cut == IN_TWO && done < at)
            piece = at;
        else if (cut == RANDOMLY)
            piece = test_random(left < 20 ? left + 1 : 20);
        r = feed_piece(m, text + done, piece, err);
        done += piece;
    }
    if (r == 0)
        r = mapjson_end(m, err);
    mapjson_free(m);
    return r;
}

static void check_entry(const struct mapjson_entry *actual,
                        const struct mapjson_entry *expected)
{
    CHECK_UINT(actual->disk_offset, expected->disk_offset);
    CHECK_UINT(actual->length, expected->length);
    CHECK_UINT(actual->depth, expected->depth);
    CHECK_INT(actual->has_file_offset, expected->has_file_offset);
    if (expected->has_file_offset)
        CHECK_UINT(actual->file_offset, expected->file_offset);
    CHECK_INT(actual->is_data, expected->is_data);
    CHECK_INT(actual->is_zero, expected->is_zero);
    CHECK_INT(actual->is_compressed, expected->is_compressed);
}

/* The members that must be there; depth is 0, and it is no data. */
#define START(start, length)                                                  \
    "\"start\": " start ", \"length\": " length ", \"depth\": 0, "            \
    "\"zero\": true, \"data\": false"

#define HOLE(offset, size)                                                    \
    {                                                                         \
        .disk_offset = offset, .length = size, .is_zero = true                \
    }

static const struct {
    const char *name, *text;
    size_t count;
    struct mapjson_entry entries[MAX_ENTRIES];
} cases[] = {
    {"an empty map has no entries", "[]", 0, {{0}}},
    {"blanks are no entries", " \n[\t\r\n ] \n", 0, {{0}}},
    {"what QEMU 7.2 prints",
     "[{ \"start\": 0, \"length\": 65536, \"depth\": 0, \"present\": true, "
     "\"zero\": false, \"data\": true, \"offset\": 327680},\n"
     "{ \"start\": 65536, \"length\": 1048576, \"depth\": 1, \"present\": "
     "false, \"zero\": true, \"data\": false}]\n",
     2,
     {{.length = 65536,
       .file_offset = 327680,
       .has_file_offset = true,
       .is_data = true},
      {.disk_offset = 65536, .length = 1048576, .depth = 1, .is_zero = true}}},
    {"what QEMU 8.2 prints of compressed clusters",
     "[{ \"start\": 0, \"length\": 65536, \"depth\": 0, \"present\": true, "
     "\"zero\": false, \"data\": true, \"compressed\": true},\n"
     "{ \"start\": 65536, \"length\": 512, \"depth\": 0, \"present\": true, "
     "\"zero\": false, \"data\": true, \"compressed\": false, \"offset\": "
     "65536}]\n",
     2,
     {{.length = 65536, .is_data = true, .is_compressed = true},
      {.disk_offset = 65536,
       .length = 512,
       .file_offset = 65536,
       .has_file_offset = true,
       .is_data = true}}},
    {"what QEMU 5 prints lacks present",
     "[{\"start\":0,\"length\":1,\"depth\":0,\"zero\":false,\"data\":true},"
     "{\"start\":1,\"length\":1,\"depth\":1,\"zero\":true,\"data\":false,"
     "\"offset\":9}]",
     2,
     {{.length = 1, .is_data = true},
      {.disk_offset = 1,
       .length = 1,
       .depth = 1,
       .file_offset = 9,
       .has_file_offset = true,
       .is_zero = true}}},
    {"a part of a disk begins anywhere",
     "[{" START("4096", "512") "}, {" START("4608", "1") "}]",
     2,
     {HOLE(4096, 512), HOLE(4608, 1)}},
    {"members that are not known do not count",
     "[{\"filename\": \"}],[{\\\"\\\\\", \"more\": {\"a\": [1, {\"b\": 2}], "
     "\"start\": 9}, " START("0", "512") "}]",
     1,
     {HOLE(0, 512)}},
    {"an offset that is null is none",
     "[{" START("0", "512") ", \"offset\": null}]",
     1,
     {HOLE(0, 512)}},
    {"the largest disk ends at 2^63 - 1",
     "[{" START("0", "9223372036854775806") "},"
                                            "{" START("9223372036854775806",
                                                      "1") "}]",
     2,
     {HOLE(0, INT64_MAX - 1), HOLE(INT64_MAX - 1, 1)}},
};

#define LACKS(number)                                                         \
    "map entry " number " lacks start, length, depth, data or zero"

static const struct {
    const char *name, *text;
    const char *message; /* its beginning: json-c's words are its own */
} errors[] = {
    {"nothing is no map", "", "map ends early, after 0 entries"},
    {"blanks are no map", " \n", "map ends early, after 0 entries"},
    {"a map that is only begun is none", "[",
     "map ends early, after 0 entries"},
    {"a map that ends inside an entry is none", "[{\"start\": 0, \"len",
     "map ends early, after 0 entries"},
    {"a map that ends behind an entry is none", "[{" START("0", "512") "}",
     "map ends early, after 1 entries"},
    {"a map that ends behind a comma is none", "[{" START("0", "512") "}, ",
     "map ends early, after 1 entries"},
    {"text is no map", "qemu-img: error",
     "unexpected 'q' after 0 map entries"},
    {"what cannot be printed is not", "\x01",
     "unexpected '?' after 0 map entries"},
    {"an object alone is no map", "{" START("0", "512") "}",
     "unexpected '{' after 0 map entries"},
    {"a map in a map is none", "[[]]", "unexpected '[' after 0 map entries"},
    {"a number is no entry", "[1]", "unexpected '1' after 0 map entries"},
    {"null is no entry", "[null]", "unexpected 'n' after 0 map entries"},
    {"a map may not begin with a comma", "[,",
     "unexpected ',' after 0 map entries"},
    {"commas may not follow each other", "[{" START("0", "512") "},,",
     "unexpected ',' after 1 map entries"},
    {"a comma may not end a map", "[{" START("0", "512") "},]",
     "unexpected ']' after 1 map entries"},
    {"entries need a comma between them", "[{" START("0", "512") "} {",
     "unexpected '{' after 1 map entries"},
    {"nothing may follow the map", "[] x",
     "unexpected 'x' after 0 map entries"},
    {"a map may not follow a map", "[][]",
     "unexpected '[' after 0 map entries"},

    {"an entry has all that it needs", "[{}]", LACKS("0")},
    {"an entry has a start",
     "[{\"length\": 1, \"depth\": 0, \"zero\": true, \"data\": false}]",
     LACKS("0")},
    {"an entry has a length",
     "[{\"start\": 1, \"depth\": 0, \"zero\": true, \"data\": false}]",
     LACKS("0")},
    {"an entry has a depth",
     "[{\"start\": 0, \"length\": 1, \"zero\": true, \"data\": false}]",
     LACKS("0")},
    {"an entry says if it is zero",
     "[{\"start\": 0, \"length\": 1, \"depth\": 0, \"data\": false}]",
     LACKS("0")},
    {"an entry says if it is data",
     "[{\"start\": 0, \"length\": 1, \"depth\": 0, \"zero\": true}]",
     LACKS("0")},
    {"the number of the entry is told",
     "[{" START("0", "512") "}, {\"start\": 512}]", LACKS("1")},
    {"a start is not negative", "[{" START("-1", "512") "}]", LACKS("0")},
    {"a length is not negative", "[{" START("0", "-512") "}]", LACKS("0")},
    {"a number has no fraction", "[{" START("0.5", "512") "}]", LACKS("0")},
    {"a number has no exponent", "[{" START("0", "1e3") "}]", LACKS("0")},
    {"a number is no text", "[{" START("\"0\"", "512") "}]", LACKS("0")},
    {"a number is not null", "[{" START("null", "512") "}]", LACKS("0")},
    {"2^63 - 1 is too much for a number",
     "[{" START("9223372036854775807", "1") "}]", LACKS("0")},
    {"2^63 is too much for a number",
     "[{" START("0", "9223372036854775808") "}]", LACKS("0")},
    {"a number of many digits is too much",
     "[{" START("0", "99999999999999999999999999999999") "}]", "map entry 0 "},
    {"a flag is no number",
     "[{\"start\": 0, \"length\": 1, \"depth\": 0, \"zero\": 1, \"data\": "
     "false}]",
     LACKS("0")},

    {"a gap between entries is an error",
     "[{" START("0", "512") "}, {" START("513", "512") "}]",
     "map entry 1 begins at disk offset 513, not at 512"},
    {"entries that overlap are an error",
     "[{" START("0", "512") "}, {" START("511", "512") "}]",
     "map entry 1 begins at disk offset 511, not at 512"},
    {"an entry past the largest offset is an error",
     "[{" START("9223372036854775806", "2") "}]",
     "map entry 0 at disk offset 9223372036854775806 has the impossible "
     "length 2"},

    {"an entry is JSON", "[{start: 0}]", "map entry 0 is not JSON: "},
#ifdef JSON_TOKENER_ALLOW_TRAILING_CHARS /* see compat-json.h */
    {"an entry has no comments", "[{/* 0 */}]", "map entry 0 is not JSON: "},
    {"a map has no comments", "[{" START("0", "512") "} /* 0 */ ]",
     "unexpected '/' after 1 map entries"},
#endif
    {"an entry has colons", "[{\"start\" 0}]", "map entry 0 is not JSON: "},
    {"an entry has commas", "[{\"start\": 0 \"length\": 0}]",
     "map entry 0 is not JSON: "},
    {"the brackets of an entry match", "[{\"start\": 0]",
     "map entry 0 is not JSON: "},
    {"an entry is nested no deeper than any map",
     "[{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1", "map entry 0 is not JSON: "},
};

/* After a failure, unless enough has been shown. */
static void show_cut(enum cut cut)
{
    if (test_case_failures <= TEST_SHOWN)
        fprintf(stderr, "    %s\n", cut_names[cut]);
}

static void check_case(size_t i, enum cut cut, size_t at)
{
    struct sunk sunk = {0};
    struct error err = {0};

    if (!CHECK_OK(parse(cases[i].text, cut, at, &sunk, &err), &err) ||
        !CHECK_UINT(sunk.count, cases[i].count)) {
        show_cut(cut);
        return;
    }
    for (size_t j = 0; j < sunk.count; j++)
        check_entry(&sunk.list[j], &cases[i].entries[j]);
}

static void check_error(size_t i, enum cut cut, size_t at)
{
    struct sunk sunk = {0};
    struct error err = {0};
    size_t length = strlen(errors[i].message);

    CHECK_INT(parse(errors[i].text, cut, at, &sunk, &err), -1);
    if (length > 0 && errors[i].message[length - 1] == ' ')
        err.msg[length] = '\0';
    if (!CHECK_STR(err.msg, errors[i].message))
        show_cut(cut);
}

static void in_all_ways(void (*check)(size_t i, enum cut cut, size_t at),
                        size_t i, size_t length)
{
    check(i, WHOLE, 0);
    check(i, BYTES, 0);
    for (size_t at = 1; at < length; at++)
        check(i, IN_TWO, at);
    for (int run = 0; run < 20; run++)
        check(i, RANDOMLY, 0);
}

static void test_tables(void)
{
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        TEST(cases[i].name);
        in_all_ways(check_case, i, strlen(cases[i].text));
    }
    for (size_t i = 0; i < N_ELEMENTS(errors); i++) {
        TEST(errors[i].name);
        in_all_ways(check_error, i, strlen(errors[i].text));
    }
}

static void test_sink_fails(void)
{
    struct sunk sunk = {.fail_at = 2};
    struct error err = {0};

    TEST("an error of who takes the entries ends it");
    CHECK_FAILS(parse("[{" START("0", "512") "}, {" START(
                          "512", "512") "}, {" START("1024", "512") "}]",
                      WHOLE, 0, &sunk, &err),
                &err, "refused at disk offset 512");
    CHECK_UINT(sunk.count, 2);
}

/* Where it stands, and where the text is cut, makes no difference. */
static void test_zero_byte(void)
{
    static const struct {
        const char *text;
        size_t length;
    } texts[] = {
        {"\0[]", 3},
        {"[\0]", 3},
        {"[]\0", 3},
        {"[{\"start\": 0,\0 \"length\": 512}]", 30},
        {"[{" START("0", "512\0") "}]", sizeof START("0", "512\0") + 3},
    };

    TEST("a zero byte is no part of a map");
    for (size_t i = 0; i < N_ELEMENTS(texts); i++)
        for (size_t at = 0; at <= texts[i].length; at++) {
            struct sunk sunk = {0};
            struct error err = {0};
            struct mapjson *m = mapjson_new(sink, &sunk);
            int r;

            test_require(m != NULL, "mapjson_new");
            r = feed_piece(m, texts[i].text, at, &err);
            if (r == 0)
                r = feed_piece(m, texts[i].text + at, texts[i].length - at,
                               &err);
            CHECK_INT(r, -1);
            CHECK(err.msg[0] != '\0');
            CHECK_UINT(sunk.count, 0);
            mapjson_free(m);
        }
}

static void test_nothing(void)
{
    struct sunk sunk = {0};
    struct error err = {0};
    struct mapjson *m = mapjson_new(sink, &sunk);

    TEST("nothing can be fed, at any time");
    CHECK_OK(mapjson_feed(m, NULL, 0, &err), &err);
    CHECK_OK(mapjson_feed(m, "[", 1, &err), &err);
    CHECK_OK(mapjson_feed(m, "", 0, &err), &err);
    CHECK_OK(mapjson_feed(m, "]", 1, &err), &err);
    CHECK_OK(mapjson_feed(m, "", 0, &err), &err);
    CHECK_OK(mapjson_end(m, &err), &err);
    mapjson_free(m);
    mapjson_free(NULL);
}

/* Longer than what json-c is given at once, and in one piece. */
static void test_many(void)
{
    enum { MANY = 20000, SPACE = MANY * 120 };
    struct sunk sunk = {0};
    struct error err = {0};
    struct mapjson *m = mapjson_new(sink, &sunk);
    char *text = malloc(SPACE);
    size_t length = 1;

    TEST("megabytes of text can come in one piece");
    test_require(m != NULL && text != NULL, "malloc");
    text[0] = '[';
    for (uint64_t i = 0; i < MANY; i++)
        length += snprintf(text + length, SPACE - length,
                           "%s{" START("%" PRIu64, "4096") "}",
                           i == 0 ? "" : ",\n", i * 4096);
    text[length++] = ']';
    CHECK_OK(mapjson_feed(m, text, length, &err), &err);
    CHECK_OK(mapjson_end(m, &err), &err);
    CHECK_UINT(sunk.count, MANY);
    mapjson_free(m);
    free(text);
}

/* What never ends is not kept. */
static void test_long(void)
{
    static const char begin[] = "[{\"start\":\"", spaces[] = "[{";
    const char *const begins[] = {begin, spaces};

    for (int i = 0; i < 2; i++) {
        struct sunk sunk = {0};
        struct error err = {0};
        struct mapjson *m = mapjson_new(sink, &sunk);
        int fed = 0;

        TEST("an entry that is too long is refused");
        CHECK_OK(mapjson_feed(m, begins[i], strlen(begins[i]), &err), &err);
        while (fed < 100000 && mapjson_feed(m, "     ", 5, &err) == 0)
            fed += 5;
        CHECK(fed > 4000 && fed < 4096);
        CHECK_STR(err.msg, "map entry 0 is longer than 4096 bytes");
        mapjson_free(m);
    }
}

int main(void)
{
    test_begin();
    test_tables();
    test_sink_fails();
    test_zero_byte();
    test_nothing();
    test_many();
    test_long();
    return test_end();
}
