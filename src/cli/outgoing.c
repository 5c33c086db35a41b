/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* From the command line to what goes out. */

#include "config.h"

#include "cli/outgoing.h"
#include "cli/value.h"
#include "nbd/address.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

int outgoing_note(struct outgoing_words *words, const struct option_spec *spec,
                  const char *value, struct error *err)
{
    int word;

    if (spec->id == OPT_SOURCE)
        words->source = value;
    else if (spec->id == OPT_SOURCE_FORMAT)
        words->format = value;
    else if (spec->id == OPT_RELATIVE_TO)
        words->base = value;
    else
        words->image_format = value;
    if (spec->id != OPT_IMAGE_FORMAT)
        return 0;
    return value_parse_word(spec->name, value,
                            "qcow2, raw, vpc, vhdx, vmdk, vdi", &word, err);
}

static int parse_bitmap(const char *name, struct export_changes *changes,
                        struct error *err)
{
    changes->bitmap = name;
    if (name[0] == '\0')
        return error_set(err, 0, "--bitmap: the name is empty");
    if (strlen(name) > BITMAP_NAME_LONGEST)
        return error_set(err, 0,
                         "--bitmap: the name has %zu bytes, and QEMU has none "
                         "with more than %d",
                         strlen(name), BITMAP_NAME_LONGEST);
    return 0;
}

/* FILE, - or fd:FD. */
static int parse_changed_blocks(const char *name, const char *value,
                                struct export_changes *changes,
                                struct error *err)
{
    if (strcmp(value, "-") == 0 || strncmp(value, "fd:", 3) == 0)
        return value_parse_fd_or_standard(name, value, STDIN_FILENO,
                                          &changes->blocks_fd, err);
    return value_parse_path(name, value, &changes->blocks_path, err);
}

/* Options of what goes out. */
static int apply_export(struct export_options *o,
                        const struct option_spec *spec, const char *value,
                        struct error *err)
{
    int word = 0;

    switch (spec->id) {
    case OPT_ZERO_CLUSTERS:
        if (value_parse_word(spec->name, value, "data, flag", &word, err) ==
            -1)
            return -1;
        o->is_marking_zeroes = word == 1;
        return 0;
    case OPT_BITMAP:
        return parse_bitmap(value, &o->changes, err);
    case OPT_CHANGED_BLOCKS:
        return parse_changed_blocks(spec->name, value, &o->changes, err);
    case OPT_DETECT_ZEROES:
        o->is_detecting_zeroes = true;
        return 0;
    case OPT_LAYOUT:
        if (value_parse_word(spec->name, value, "streamable, convert, any",
                             &word, err) == -1)
            return -1;
        o->layout = word; /* the words are in its order */
        return 0;
    case OPT_CLUSTER_SIZE:
        return value_parse_cluster_size(spec->name, value, &o->qcow2, err);
    case OPT_REFCOUNT_BITS:
        return value_parse_refcount_bits(spec->name, value, &o->qcow2, err);
    case OPT_COMPAT:
        if (value_parse_word(spec->name, value, "1.1, 0.10, v3, v2", &word,
                             err) == -1)
            return -1;
        o->qcow2.is_v2 = word == 1 || word == 3;
        return 0;
    case OPT_EXTENDED_L2:
        o->qcow2.is_extended_l2 = true;
        return 0;
    case OPT_SPOOL_LIMIT:
        return value_parse_size(spec->name, value, &o->spool_limit, err);
    case OPT_OFFSET:
        return value_parse_size(spec->name, value, &o->piece.file_offset, err);
    case OPT_LENGTH:
        return value_parse_length(spec->name, value, &o->piece.length, err);
    case OPT_EXPECT_ID:
        return value_parse_id(spec->name, value, &o->expected_id, err);
    case OPT_EXPECT_LENGTH:
        o->has_expected_length = true;
        return value_parse_size(spec->name, value, &o->expected_length, err);
    default:
        return error_set(err, 0, "--%s is not for this", spec->name);
    }
}

int outgoing_apply(struct stream_options *o, const struct option_spec *spec,
                   const char *value, struct error *err)
{
    int word;

    switch (spec->id) {
    case OPT_DESTINATION:
        return value_parse_destination(spec->name, value, &o->destination,
                                       err);
    case OPT_DESTINATION_FD:
        sink_address_clear(&o->destination);
        return value_parse_fd_or_standard(spec->name, value, STDOUT_FILENO,
                                          &o->destination.fd, err);
    case OPT_DESTINATION_FORMAT:
        return value_parse_word(spec->name, value, "qcow2", &word, err);
    case OPT_RATE_LIMIT:
        return value_parse_size(spec->name, value, &o->rate_limit, err);
    case OPT_CHECKSUM:
        o->has_checksum = true;
        return value_parse_word(spec->name, value, "sha256", &word, err);
    case OPT_FIRST_BYTE_WITHIN:
        return value_parse_seconds(spec->name, value, &o->first_byte_within,
                                   err);
    default:
        return apply_export(&o->export, spec, value, err);
    }
}

/* Does the rest fit to a record of changes? */
static int check_changes(const struct export_options *o,
                         const struct outgoing_words *words, struct error *err)
{
    if (!export_changes_are_known(&o->changes))
        return 0;
    if (o->changes.bitmap != NULL && o->source.kind != EXPORT_NBD &&
        o->source.kind != EXPORT_NBD_HYBRID)
        return error_set(err, 0,
                         "--bitmap: only an NBD server has one, with "
                         "--source-format nbd or nbdhybrid; of an image, "
                         "qemu-nbd -B shows it");
    if (o->is_detecting_zeroes && !o->is_marking_zeroes)
        return error_set(err, 0,
                         "--detect-zeroes: what has changed is sent, be it "
                         "zero or not, unless there is --zero-clusters flag");
    if (o->changes.blocks_fd == STDIN_FILENO &&
        strcmp(words->source, "-") == 0)
        return error_set(err, 0,
                         "--changed-blocks: standard input is the disk");
    return 0;
}

int outgoing_complete(struct export_options *o,
                      const struct outgoing_words *words, struct error *err)
{
    const char *format = words->format;
    struct qcow2_options *q = &o->qcow2;

    if (value_parse_source(format == NULL ? "raw" : format,
                           words->image_format, words->source, &o->source,
                           err) == -1)
        return -1;
    if (words->base != NULL &&
        value_parse_base("relative-to", words->base, &o->source, &o->base,
                         err) == -1)
        return -1;
    if (check_changes(o, words, err) == -1)
        return -1;
    if (q->is_v2 && o->is_marking_zeroes)
        return error_set(err, 0,
                         "--zero-clusters flag: --compat 0.10 has no zero "
                         "flag");
    if (q->is_v2 && q->refcount_bits == QCOW2_REFCOUNT_AUTO)
        q->refcount_bits = 16;
    if (q->is_v2 && (q->is_extended_l2 || q->refcount_bits != 16))
        return error_set(err, 0,
                         "--compat 0.10 has neither --extended-l2 nor "
                         "another --refcount-bits than 16");
    if (q->is_extended_l2 && q->cluster_size < 16 << 10)
        return error_set(err, 0,
                         "--extended-l2 needs a --cluster-size of 16K at "
                         "least");
    return 0;
}
