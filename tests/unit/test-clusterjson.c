/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what is read from `qcow-stream-tool read_headers`. */

#include "config.h"

#include "base/cleanup.h"
#include "qemu/clusterjson.h"
#include "test.h"

#include <inttypes.h>

#define DISK "{\"virtual_size\":1048576,\"cluster_bits\":16,\"data_clusters\":"

/* What a text means: "SIZE: DISK-OFFSET+LENGTH ..." */
static const struct {
    const char *name, *text, *meaning;
} cases[] = {
    {"numbers, as xapi prints them", DISK "[0,3,15]}",
     "1048576: 0+65536 196608+65536 983040+65536"},
    {"pairs, as XCP-ng prints them", DISK "[[0,1],[4,4],[14,15]]}",
     "1048576: 0+131072 262144+65536 917504+131072"},
    {"those that follow each other are one range", DISK "[2,3,4,[5,6],7]}",
     "1048576: 131072+393216"},
    {"no cluster is data", DISK "[]}", "1048576:"},
    {"an order that is the file's", DISK "[9,8,3,2,15,0]}",
     "1048576: 0+65536 131072+131072 524288+131072 983040+65536"},
    {"clusters that come twice, and pairs that overlap",
     DISK "[3,3,[1,4],[2,3],[4,5]]}", "1048576: 65536+327680"},
    {"spaces and line ends",
     " {\n\"virtual_size\" : 1048576 , \"cluster_bits\":\t16,\r\n"
     "\"data_clusters\" : [ 1 , [ 2 , 3 ] ] } \n",
     "1048576: 65536+196608"},
    {"members in another order",
     "{\"data_clusters\":[1],\"cluster_bits\":9,\"virtual_size\":1024}",
     "1024: 512+512"},
    {"members that nobody knows",
     "{\"a\":[1,{\"b\":\"}]\"}],\"virtual_size\":512,\"c\":null,"
     "\"cluster_bits\":21,\"d\":{},\"data_clusters\":[0],\"e\":-1.5}",
     "512: 0+512"},
    {"a last cluster in part",
     "{\"virtual_size\":3000832,\"cluster_bits\":16,\"data_clusters\":[45]}",
     "3000832: 2949120+51712"},
    {"the last cluster of a large disk",
     "{\"virtual_size\":17592186044416,\"cluster_bits\":16,"
     "\"data_clusters\":[268435455]}",
     "17592186044416: 17592185978880+65536"},
    {"an empty disk",
     "{\"virtual_size\":0,\"cluster_bits\":16,\"data_clusters\":[]}", "0:"},
};

#define EARLY "the JSON of clusters ends early"
#define UNEXPECTED(c) "unexpected '" c "' in the JSON of clusters"

static const struct {
    const char *name, *text, *message;
} errors[] = {
    {"nothing is none", "", EARLY},
    {"an array is none", "[]", UNEXPECTED("[")},
    {"text is none", "qemu-img: error", UNEXPECTED("q")},
    {"it ends early", DISK "[1,2]", EARLY},
    {"it ends in a number", DISK "[1,2", EARLY},
    {"there is one object", DISK "[]}{}", UNEXPECTED("{")},
    {"a comma is missing", DISK "[1 2]}", UNEXPECTED("2")},
    {"a comma is too many", DISK "[1,]}", UNEXPECTED("]")},
    {"a comma is too many in the object", DISK "[1],}", UNEXPECTED("}")},
    {"a cluster has no sign", DISK "[-1]}", UNEXPECTED("-")},
    {"a cluster has no fraction", DISK "[1.5]}", UNEXPECTED(".")},
    {"a cluster is no text", DISK "[\"1\"]}", UNEXPECTED("\"")},
    {"a pair has two", DISK "[[1]]}", UNEXPECTED("]")},
    {"a pair has no more", DISK "[[1,2,3]]}", UNEXPECTED(",")},
    {"a pair is not deeper", DISK "[[[1,2]]]}", UNEXPECTED("[")},
    {"a pair ascends", DISK "[[2,1]]}",
     "clusters 2 to 1 end before they begin"},
    {"a cluster is on the disk", DISK "[16]}",
     "cluster 16 is behind the end of the disk, which has 16"},
    {"both of a pair are on the disk", DISK "[[3,16]]}",
     "cluster 16 is behind the end of the disk, which has 16"},
    {"a number has a limit", DISK "[9999999999999999999]}",
     "no disk has a cluster 9999999999999999999"},
    {"data_clusters is an array", DISK "1}",
     "data_clusters is not as it has to be"},
    {"a size is a number", "{\"virtual_size\":\"1\"}",
     "virtual_size is not as it has to be"},
    {"a size is not negative", "{\"virtual_size\":-1}",
     "virtual_size is not as it has to be"},
    {"cluster_bits have a lower limit",
     "{\"virtual_size\":0,\"cluster_bits\":8,\"data_clusters\":[]}",
     "cluster_bits is 8"},
    {"cluster_bits have an upper limit",
     "{\"virtual_size\":0,\"cluster_bits\":22,\"data_clusters\":[]}",
     "cluster_bits is 22"},
    {"a size is needed", "{\"cluster_bits\":16,\"data_clusters\":[]}",
     "virtual_size is missing"},
    {"clusters are needed", "{\"virtual_size\":512,\"cluster_bits\":16}",
     "data_clusters is missing"},
    {"a member comes once", "{\"virtual_size\":1,\"virtual_size\":1}",
     "virtual_size comes twice"},
};

/* Feeds text in pieces of so many bytes. */
static int parse(const char *text, size_t piece, char meaning[512],
                 struct error *err)
{
    struct extents CLEANUP(extents) data = {0};
    struct clusterjson *j = clusterjson_new();
    uint64_t size;
    int r = 0;

    test_require(j != NULL, "memory");
    for (size_t left = strlen(text); r == 0 && left > 0;) {
        size_t n = left < piece ? left : piece;

        r = clusterjson_feed(j, text, n, err);
        text += n;
        left -= n;
    }
    if (r == 0)
        r = clusterjson_end(j, &size, &data, err);
    clusterjson_free(j);
    if (r == -1)
        return -1;
    snprintf(meaning, 512, "%" PRIu64 ":", size);
    for (size_t i = 0; i < data.count; i++)
        snprintf(meaning + strlen(meaning), 512 - strlen(meaning),
                 " %" PRIu64 "+%" PRIu64, data.list[i].disk_offset,
                 data.list[i].length);
    return 0;
}

/* What never ends is not kept. */
static void test_long(const char *begin)
{
    struct error err = {0};
    struct clusterjson *j = clusterjson_new();
    int fed = 0;

    TEST("a name or a value that is too long is refused");
    CHECK_OK(clusterjson_feed(j, begin, strlen(begin), &err), &err);
    while (fed < 1000000 && clusterjson_feed(j, "aaaaa", 5, &err) == 0)
        fed += 5;
    CHECK(fed > 65000 && fed < 65536);
    CHECK_STR(err.msg, "a name or value in the JSON of clusters is longer "
                       "than 65536 bytes");
    clusterjson_free(j);
}

int main(void)
{
    static const size_t pieces[] = {1, 2, 7, SIZE_MAX};
    char meaning[512];
    struct error err;

    test_begin();
    for (size_t i = 0; i < N_ELEMENTS(cases); i++)
        for (size_t k = 0; k < N_ELEMENTS(pieces); k++) {
            TEST(cases[i].name);
            if (CHECK_OK(parse(cases[i].text, pieces[k], meaning, &err), &err))
                CHECK_STR(meaning, cases[i].meaning);
        }
    for (size_t i = 0; i < N_ELEMENTS(errors); i++)
        for (size_t k = 0; k < N_ELEMENTS(pieces); k++) {
            TEST(errors[i].name);
            CHECK_FAILS(parse(errors[i].text, pieces[k], meaning, &err), &err,
                        errors[i].message);
        }
    test_long("{\"");
    test_long("{\"virtual_size\":\"");
    clusterjson_free(NULL);
    return test_end();
}
