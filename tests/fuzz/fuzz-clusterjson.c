/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Fuzzes the parser of clusters that are data: any text, cut at any place. */

#include "config.h"

#include "qemu/clusterjson.h"
#include "text.h"

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

static void *begin(struct outcome *outcome)
{
    (void)outcome;
    return clusterjson_new();
}

static int feed(void *parser, const char *text, size_t length,
                struct error *err)
{
    return clusterjson_feed(parser, text, length, err);
}

static int end(void *parser, struct outcome *outcome, struct error *err)
{
    struct extents data = {0};
    int r = clusterjson_end(parser, &outcome->end, &data, err);
    uint64_t last = 0;

    for (size_t i = 0; r == 0 && i < data.count; i++) {
        const struct extent *e = &data.list[i];

        MUST(i == 0 || e->disk_offset > last);
        MUST(e->length > 0);
        last = extent_end(e);
        MUST(last <= outcome->end);
        outcome_add(outcome, e->disk_offset);
        outcome_add(outcome, e->length);
    }
    extents_clear(&data);
    return r;
}

static void end_parser(void *parser)
{
    clusterjson_free(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct text_parser parser = {begin, feed, end, end_parser};

    return fuzz_text(&parser, data, size);
}

FUZZ_MAIN(seeds)
