/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Fuzzes the parser of maps: any text, cut at any place. */

#include "config.h"

#include "fuzz.h"
#include "qemu/mapjson.h"

#include <string.h>

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

/* What came of a text. */
struct outcome {
    int r;
    uint64_t entries, hash;
    uint64_t disk_end;
};

static int sink(void *opaque, const struct mapjson_entry *entry,
                struct error *err)
{
    struct outcome *outcome = opaque;

    (void)err;
    MUST(entry->disk_offset <= INT64_MAX);
    MUST(entry->length <= INT64_MAX - entry->disk_offset);
    MUST(outcome->entries == 0 || entry->disk_offset == outcome->disk_end);
    MUST(!entry->has_file_offset || entry->file_offset <= INT64_MAX);
    outcome->disk_end = entry->disk_offset + entry->length;
    outcome->entries++;
    outcome->hash = (outcome->hash + entry->length) * 31 + entry->depth * 16 +
                    entry->has_file_offset * 8 + entry->is_data * 4 +
                    entry->is_zero * 2 + entry->is_compressed;
    if (entry->has_file_offset)
        outcome->hash = outcome->hash * 31 + entry->file_offset;
    return 0;
}

/* Fills the error of a call that fails, and leaves it alone otherwise. */
static int check_error(int r, const struct error *err)
{
    MUST(r == 0 || r == -1);
    MUST((r == -1) == (err->msg[0] != '\0'));
    return r;
}

/* In pieces of this length, each from memory with nothing behind it. */
static struct outcome parse(const char *text, size_t size, size_t piece)
{
    struct outcome outcome = {0};
    struct mapjson *m = mapjson_new(sink, &outcome);

    MUST(m != NULL);
    while (size > 0 && outcome.r == 0) {
        size_t length = piece < size ? piece : size;
        char *copy = malloc(length);
        struct error err = {0};

        MUST(copy != NULL);
        memcpy(copy, text, length);
        outcome.r = check_error(mapjson_feed(m, copy, length, &err), &err);
        free(copy);
        text += length;
        size -= length;
    }
    if (outcome.r == 0) {
        struct error err = {0};

        outcome.r = check_error(mapjson_end(m, &err), &err);
    }
    mapjson_free(m);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, cut;

    if (size == 0)
        return 0;
    whole = parse((const char *)data + 1, size - 1, size);
    cut = parse((const char *)data + 1, size - 1, 1 + data[0] % 32);
    /* Not the other way round: json-c (0.16) takes 1-2 for a number if it is
     * cut before the sign.
     */
    if (whole.r == 0) {
        MUST(cut.r == 0);
        MUST(whole.entries == cut.entries);
        MUST(whole.hash == cut.hash);
    }
    return 0;
}

FUZZ_MAIN(seeds)
