/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Fuzzes the parser of clusters that are data: any text, cut at any place. */

#include "config.h"

#include "fuzz.h"
#include "qemu/clusterjson.h"

#include <string.h>

/* The first byte says how the rest is cut. */
static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\7{\"virtual_size\":1048576,\"cluster_bits\":16,"
              "\"data_clusters\":[0,1,2,15]}"),
    FUZZ_SEED("\1{\"data_clusters\": [[3, 9], [0, 1], 7],\n"
              "\"virtual_size\":9223372036854775806, \"cluster_bits\":9}\n"),
    FUZZ_SEED("\3{\"a\":[{\"b\":null}],\"virtual_size\":512,\"c\":-1.5e3,"
              "\"cluster_bits\":21,\"data_clusters\":[]}"),
    FUZZ_SEED("\0{\"data_clusters\":[288230376151711743],\"\\u00e9\":\"}\""),
};

/* What came of a text. */
struct outcome {
    int r;
    uint64_t virtual_size, hash;
};

static int check_error(int r, const struct error *err)
{
    MUST(r == 0 || r == -1);
    MUST((r == -1) == (err->msg[0] != '\0'));
    return r;
}

static void check_data(struct outcome *outcome, const struct extents *data)
{
    uint64_t end = 0;

    for (size_t i = 0; i < data->count; i++) {
        const struct extent *e = &data->list[i];

        MUST(i == 0 || e->disk_offset > end);
        MUST(e->length > 0);
        end = extent_end(e);
        MUST(end <= outcome->virtual_size);
        outcome->hash = (outcome->hash + e->disk_offset) * 31 + e->length;
    }
}

/* In pieces of this length, each from memory with nothing behind it. */
static struct outcome parse(const char *text, size_t size, size_t piece)
{
    struct outcome outcome = {0};
    struct clusterjson *j = clusterjson_new();
    struct extents data = {0};

    MUST(j != NULL);
    while (size > 0 && outcome.r == 0) {
        size_t length = piece < size ? piece : size;
        char *copy = malloc(length);
        struct error err = {0};

        MUST(copy != NULL);
        memcpy(copy, text, length);
        outcome.r = check_error(clusterjson_feed(j, copy, length, &err), &err);
        free(copy);
        text += length;
        size -= length;
    }
    if (outcome.r == 0) {
        struct error err = {0};

        outcome.r =
            check_error(clusterjson_end(j, &outcome.virtual_size, &data, &err),
                        &err);
    }
    if (outcome.r == 0)
        check_data(&outcome, &data);
    extents_clear(&data);
    clusterjson_free(j);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, cut;

    if (size == 0)
        return 0;
    whole = parse((const char *)data + 1, size - 1, size);
    cut = parse((const char *)data + 1, size - 1, 1 + data[0] % 32);
    /* Not the other way round: see fuzz-mapjson.c. */
    if (whole.r == 0) {
        MUST(cut.r == 0);
        MUST(whole.virtual_size == cut.virtual_size);
        MUST(whole.hash == cut.hash);
    }
    return 0;
}

FUZZ_MAIN(seeds)
