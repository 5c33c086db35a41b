/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Fuzzes the parser of image information: any text, cut at any place. */

#include "config.h"

#include "qemu/infojson.h"
#include "text.h"

/* The first byte says how the rest is cut. */
static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\7{\"virtual-size\": 1048576, \"cluster-size\": 65536, "
              "\"format\": \"qcow2\", \"format-specific\": {\"type\": "
              "\"qcow2\", \"data\": {\"compat\": \"1.1\", \"extended-l2\": "
              "true, \"data-file\": \"d.raw\"}}}"),
    FUZZ_SEED(
        "\3{\"backing-filename-format\": \"raw\", \"virtual-size\": 512, "
        "\"backing-filename\": \"b\", \"full-backing-filename\": "
        "\"/d/b\", \"snapshots\": [{\"id\": \"1\", \"vm\": [1, -2.5e3, "
        "null]}]}\n"),
    FUZZ_SEED(
        "\1{\"children\": [{\"name\": \"file\", \"info\": {\"children\": "
        "[], \"virtual-size\": 197120, \"filename\": \"a\\u00e9\\ud83d"
        "\\ude00\\\\\\\"\"}}], \"virtual-size\": 9223372036854775807}"),
    FUZZ_SEED("\0{\"virtual-size\": 1, \"virtual-size\": 2}"),
};

static void *begin(struct outcome *outcome)
{
    (void)outcome;
    return infojson_new();
}

static int feed(void *parser, const char *text, size_t length,
                struct error *err)
{
    return infojson_feed(parser, text, length, err);
}

static void add_text(struct outcome *outcome, const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        outcome_add(outcome, (unsigned char)*text);
    outcome_add(outcome, text == NULL);
}

static int end(void *parser, struct outcome *outcome, struct error *err)
{
    struct image_info info = {0};
    int r = infojson_end(parser, &info, err);

    if (r == -1)
        return -1;
    MUST(info.virtual_size <= INT64_MAX);
    outcome->end = info.virtual_size;
    outcome_add(outcome, info.cluster_size);
    outcome_add(outcome, info.is_extended_l2);
    add_text(outcome, info.data_file);
    add_text(outcome, info.backing_file);
    add_text(outcome, info.full_backing_file);
    add_text(outcome, info.backing_format);
    image_info_clear(&info);
    return 0;
}

static void end_parser(void *parser)
{
    infojson_free(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct text_parser parser = {begin, feed, end, end_parser};

    return fuzz_text(&parser, data, size);
}

FUZZ_MAIN(seeds)
