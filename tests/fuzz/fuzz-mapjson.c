/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Fuzzes the parser of maps: any text, cut at any place. */

#include "config.h"

#include "qemu/mapjson.h"
#include "text.h"

/* The first byte says how the rest is cut. */
#define ENTRY(start, length, more)                                            \
    "{ \"start\": " start ", \"length\": " length ", \"depth\": 0, "          \
    "\"present\": true, \"zero\": false, \"data\": true" more "}"

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\7[]"),
    FUZZ_SEED("\1[" ENTRY("0", "65536", ", \"offset\": 327680") ",\n" ENTRY(
        "65536", "9223372036854710271", ", \"compressed\": false") "]\n"),
    FUZZ_SEED(
        "\3[" ENTRY("4096", "0", "") "," ENTRY("4096", "1", "") "," ENTRY(
            "4097", "512", ", \"a\": {\"b\": [1, 2.5e3, null]}") "]"),
    FUZZ_SEED("\0\"\\u00e9\\ud83d\\ude00\" -1 1e999 [[[[[{{{{{ NaN /* */ //"),
};

static int sink(void *opaque, const struct mapjson_entry *entry,
                struct error *err)
{
    struct outcome *outcome = opaque;

    (void)err;
    MUST(entry->disk_offset <= INT64_MAX);
    MUST(entry->length <= INT64_MAX - entry->disk_offset);
    MUST(outcome->count == 0 || entry->disk_offset == outcome->end);
    MUST(!entry->has_file_offset || entry->file_offset <= INT64_MAX);
    outcome->end = entry->disk_offset + entry->length;
    outcome_add(outcome, entry->length);
    outcome_add(outcome, entry->depth * 16 + entry->has_file_offset * 8 +
                             entry->is_data * 4 + entry->is_zero * 2 +
                             entry->is_compressed);
    if (entry->has_file_offset)
        outcome_add(outcome, entry->file_offset);
    return 0;
}

static void *begin(struct outcome *outcome)
{
    return mapjson_new(sink, outcome);
}

static int feed(void *parser, const char *text, size_t length,
                struct error *err)
{
    return mapjson_feed(parser, text, length, err);
}

static int end(void *parser, struct outcome *outcome, struct error *err)
{
    (void)outcome;
    return mapjson_end(parser, err);
}

static void end_parser(void *parser)
{
    mapjson_free(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct text_parser parser = {begin, feed, end, end_parser};

    return fuzz_text(&parser, data, size);
}

FUZZ_MAIN(seeds)
