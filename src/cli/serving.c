/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The options of serve, and how they go together. */

#include "config.h"

#include "cli/serving.h"
#include "cli/value.h"

#include <string.h>
#include <unistd.h>

/* An NBD URI, or a path. */
static int parse_destination(const char *name, const char *value,
                             struct destination *d, struct error *err)
{
    struct error not_uri;

    d->path = d->uri = NULL;
    d->is_stdout = strcmp(value, "-") == 0;
    if (value_parse_uri(name, value, &not_uri) == 0) {
        d->uri = value;
        return 0;
    }
    if (value_parse_disk(name, value, STDOUT_FILENO, &d->path, err) == 0)
        return 0;
    if (strstr(value, "://") != NULL && strncmp(value, "file://", 7) != 0)
        error_append(err, ", NBD URIs");
    return -1;
}

/* Is it KEY, or KEY. and more, up to = or the end of the option? */
static bool has_key(const char *option, size_t length, const char *key)
{
    size_t n = strlen(key);

    return length >= n && strncmp(option, key, n) == 0 &&
           (length == n || option[n] == '=' || option[n] == '.');
}

/* Refuses what `qemu-img create -o' takes, but that would not be one file that
 * holds all of the disk, or needs more than we pass on.
 */
static int check_image_options(const struct destination *d, struct error *err)
{
    static const char *const keys[] = {
        "backing_file",
        "backing_fmt",
        "data_file",
        "data_file_raw",
        "encryption",
        "encrypt",
        "size",
        "help",
        "?",
        "",
    };
    /* A VMDK may be several files, or one that can be written only once. */
    bool is_vmdk = strcmp(d->image_format, "vmdk") == 0;

    for (const char *at = d->image_options;; at++) {
        size_t length = strcspn(at, ",");
        bool is_bad = is_vmdk && has_key(at, length, "subformat");

        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
            is_bad = is_bad || has_key(at, length, keys[i]);
        if (is_bad)
            return error_set(err, 0,
                             "--destination-options: '%.*s' is not supported",
                             (int)length, at);
        at += length;
        if (*at == '\0')
            return 0;
    }
}

int serving_apply(struct serve_options *o, const struct option_spec *spec,
                  const char *value, struct error *err)
{
    int word;

    switch (spec->id) {
    case OPT_SOURCE_FD:
        return value_parse_fd_or_standard(spec->name, value, STDIN_FILENO,
                                          &o->source_fd, err);
    case OPT_SOURCE_SIZE:
        return value_parse_size(spec->name, value, &o->source_size, err);
    case OPT_DESTINATION:
        return parse_destination(spec->name, value, &o->destination, err);
    case OPT_DESTINATION_FORMAT:
        if (value_parse_word(spec->name, value,
                             "raw, qcow2, vpc, vhdx, vmdk, vdi", &word,
                             err) == -1)
            return -1;
        o->destination.image_format = word == 0 ? NULL : value;
        return 0;
    case OPT_DESTINATION_OPTIONS:
        o->destination.image_options = value;
        return 0;
    case OPT_DESTINATION_SIZE:
        o->has_size_hint = true;
        return value_parse_size(spec->name, value, &o->size_hint, err);
    case OPT_DISCARD:
        if (value_parse_word(spec->name, value, "unmap, ignore", &word, err) ==
            -1)
            return -1;
        o->destination.keeps_space = word == 1;
        return 0;
    case OPT_SPOOL_LIMIT:
        return value_parse_size(spec->name, value, &o->spool_limit, err);
    case OPT_RATE_LIMIT:
        return value_parse_size(spec->name, value, &o->rate_limit, err);
    case OPT_CHECKSUM:
        o->has_checksum = true;
        return value_parse_word(spec->name, value, "sha256", &word, err);
    case OPT_PREZEROED:
        o->is_prezeroed = true;
        return 0;
    default:
        return error_set(err, 0, "--%s is not for serve", spec->name);
    }
}

int serving_complete(struct serve_options *o, bool is_direct,
                     struct error *err)
{
    struct destination *d = &o->destination;

    if (destination_name(d) == NULL)
        return error_set(err, 0,
                         "a disk is missing: DISK, or --destination DISK");
    d->is_direct = is_direct;
    if (d->image_format == NULL && d->image_options != NULL)
        return error_set(err, 0,
                         "--destination-options are those of an image: "
                         "--destination-format says which");
    if (d->image_options != NULL && check_image_options(d, err) == -1)
        return -1;
    if (d->image_format != NULL && (d->uri != NULL || d->is_stdout))
        return error_set(err, 0,
                         "--destination-format %s: an image is made in a new "
                         "file, which '%s' is not",
                         d->image_format, d->uri != NULL ? d->uri : "-");
    if (is_direct && d->image_format != NULL)
        return error_set(err, 0,
                         "--direct is for a raw disk: QEMU writes an image");
    if (is_direct && d->uri != NULL)
        return error_set(err, 0,
                         "--direct is for a file or a device: whose page "
                         "cache an NBD server uses is its own affair");
    return 0;
}
