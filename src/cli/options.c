/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* From the command line to what a command needs to know. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "cli/arguments.h"
#include "cli/options.h"
#include "cli/outgoing.h"
#include "cli/serving.h"
#include "cli/suggest.h"
#include "cli/value.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Options that only `validate` has; true if it is one of them. */
static bool apply_validate(struct validate_options *o,
                           const struct option_spec *spec, const char *value)
{
    if (spec->id == OPT_STREAM) {
        o->is_stream = true;
        o->stream_path = strcmp(value, "-") == 0 ? NULL : value;
    }
    o->is_json = o->is_json || spec->id == OPT_JSON;
    return spec->id == OPT_STREAM || spec->id == OPT_JSON;
}

/* What several commands have, until they are told apart. */
struct common {
    struct qemu qemu;
    bool is_direct, is_progress, is_machine;
    const char *spool_dir;
    struct outgoing_words source; /* of serve it is the format alone */
};

/* FILE, - or fd:FD. */
static int note_report(struct report_file *file,
                       const struct option_spec *spec, const char *value,
                       struct error *err)
{
    if (strcmp(value, "-") == 0 || strncmp(value, "fd:", 3) == 0)
        return value_parse_fd_or_standard(spec->name, value, STDOUT_FILENO,
                                          &file->fd, err);
    return value_parse_path(spec->name, value, &file->path, err);
}

/* How much is said on standard error, and whether it is asked for at all. */
static void note_wish(struct options *o, enum option_id id)
{
    if (id == OPT_QUIET)
        o->log_level = LOG_ERRORS;
    else if (id == OPT_VERBOSE && o->log_level < LOG_SUMMARY)
        o->log_level = LOG_SUMMARY;
    else if (id == OPT_DEBUG)
        o->log_level = LOG_DEBUG;
    o->wants_help = o->wants_help || id == OPT_HELP;
    o->wants_version = o->wants_version || id == OPT_VERSION;
}

/* Keeps which program of QEMU it is. */
static void note_program(struct qemu *qemu, enum option_id id,
                         const char *value)
{
    const char **program = id == OPT_QEMU_IMG  ? &qemu->img
                           : id == OPT_QEMU_IO ? &qemu->io
                                               : &qemu->nbd;

    *program = value;
}

/* Nothing is the root directory to one call, and no file to another. */
static int refuse_no_path(const struct option_spec *spec, const char *value,
                          struct error *err)
{
    static const char *const paths[] = {"PATH", "FILE", "DIR"};

    if (value == NULL || value[0] != '\0' || spec->id == OPT_IGNORED)
        return 0;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (strcmp(spec->value, paths[i]) == 0)
            return error_set(err, 0, "--%s: the path is empty", spec->name);
    return 0;
}

/* Notes an option.  What it means only together with others is found out in
 * complete.
 */
static int apply(struct options *o, struct common *common,
                 const struct option_spec *spec, const char *value,
                 struct error *err)
{
    int word;

    switch (spec->id) {
    case OPT_SOURCE:
    case OPT_SOURCE_FORMAT:
    case OPT_IMAGE_FORMAT:
    case OPT_RELATIVE_TO:
        return outgoing_note(&common->source, spec, value, err);
    case OPT_PROTOCOL:
        return value_parse_word(spec->name, value, "none", &word, err);
    case OPT_FORCE:
        o->stream.claim = o->serve.destination.claim = CLAIM_FORCE;
        return 0;
    case OPT_DIRECT:
        common->is_direct = true;
        return 0;
    case OPT_SPOOL_DIR:
        common->spool_dir = value;
        return 0;
    case OPT_PROGRESS:
        common->is_progress = true;
        return 0;
    case OPT_MACHINE:
        common->is_machine = true;
        return 0;
    case OPT_STALL_TIMEOUT:
        return value_parse_seconds(spec->name, value, &o->stall_seconds, err);
    case OPT_REPORT:
        return note_report(&o->report_file, spec, value, err);
    case OPT_QEMU_IMG:
    case OPT_QEMU_IO:
    case OPT_QEMU_NBD:
        note_program(&common->qemu, spec->id, value);
        return 0;
    case OPT_SANDBOX:
        return value_parse_sandbox(spec->name, value, &common->qemu, err);
    case OPT_QUIET:
    case OPT_VERBOSE:
    case OPT_DEBUG:
    case OPT_HELP:
    case OPT_VERSION:
        note_wish(o, spec->id);
        return 0;
    case OPT_IGNORED:
    case OPT_IGNORED_PREFIX:
        return 0;
    default:
        if (apply_validate(&o->validate, spec, value))
            return 0;
        return o->command == COMMAND_SERVE
                   ? serving_apply(&o->serve, spec, value, err)
                   : outgoing_apply(&o->stream, spec, value, err);
    }
}

/* A report is not mixed with what else goes out. */
static int check_report(const struct options *o, struct error *err)
{
    const struct sink_address *to = &o->stream.destination;
    int fd = o->report_file.fd;
    bool is_taken = false;

    if (fd == -1)
        return 0;
    if (o->command == COMMAND_STREAM)
        is_taken = sink_address_is_fd(to) && io_is_same(fd, to->fd);
    else if (o->command == COMMAND_SERVE)
        is_taken =
            o->serve.destination.is_stdout && io_is_same(fd, STDOUT_FILENO);
    else
        is_taken = io_is_same(fd, STDOUT_FILENO);
    return is_taken ? error_set(err, 0, "--report: something else goes there")
                    : 0;
}

/* All options are in: what is missing, what contradicts? */
static int complete(struct options *o, const struct common *common,
                    struct error *err)
{
    struct export_options *export = &o->stream.export;
    enum progress_mode progress = PROGRESS_NONE;
    const char *format = common->source.format;
    int word;

    if (common->is_progress)
        progress = common->is_machine ? PROGRESS_MACHINE : PROGRESS_BAR;
    o->stream.progress = o->measure.progress = o->serve.progress = progress;
    o->validate.progress = progress;
    export->qemu = o->serve.qemu = common->qemu;
    export->is_direct = common->is_direct;
    /* Programs that call us know what they have. */
    export->is_raw_for_sure = progress == PROGRESS_MACHINE;
    export->spool_dir = o->serve.spool_dir = common->spool_dir;

    if (check_report(o, err) == -1)
        return -1;
    if (o->command == COMMAND_SERVE) {
        if (format != NULL && value_parse_word("source-format", format,
                                               "qcow2", &word, err) == -1)
            return -1;
        return serving_complete(&o->serve, common->is_direct, err);
    }
    if (!o->validate.is_stream &&
        outgoing_complete(export, &common->source, err) == -1)
        return -1;
    if (o->command == COMMAND_MEASURE)
        o->measure.export = *export;
    else if (o->command == COMMAND_VALIDATE)
        o->validate.export = *export;
    if (o->command != COMMAND_STREAM)
        export->source = export->base = (struct export_source){0};
    export->must_be_stable =
        (export->piece.file_offset > 0 || export->piece.length > 0) &&
        export->expected_id == NULL;
    return 0;
}

/* What is known while the command line is walked over. */
struct parsing {
    struct options *options;
    struct common common;
};

static int take(void *opaque, const struct option_spec *spec,
                const char *value, struct error *err)
{
    struct parsing *parsing = opaque;

    if (refuse_no_path(spec, value, err) == -1)
        return -1;
    return apply(parsing->options, &parsing->common, spec, value, err);
}

static int parse_command(int argc, char **argv, struct options *o,
                         struct error *err)
{
    struct parsing parsing = {
        .options = o,
        .common =
            {
                .spool_dir = value_find_spool_dir(),
                .source = {.image_format = "qcow2"},
            },
    };
    bool is_asked;

    if (value_find_spool_limit(0, &o->serve.spool_limit, err) == -1)
        return -1;
    o->stream.export.spool_limit = o->serve.spool_limit;
    if (arguments_walk(o->command, argc, argv, take, &parsing, &is_asked,
                       err) == -1)
        return -1;
    qemu_find(&parsing.common.qemu);
    o->qemu = parsing.common.qemu;
    if (is_asked)
        return 0;
    return complete(o, &parsing.common, err);
}

void options_set_defaults(struct options *o)
{
    *o = (struct options){
        .command = COMMAND_NONE,
        .log_level = LOG_NOTICES,
        .report_file = {.fd = -1},
        .stream =
            {
                .export =
                    {
                        .map_fd = -1,
                        .info_fd = -1,
                        .base_map_fd = -1,
                        .base_info_fd = -1,
                        .changes = {.blocks_fd = -1},
                        .is_raw_for_sure = true,
                        .qcow2 = {.cluster_size = 64 << 10,
                                  .refcount_bits = 16},
                        .spool_dir = value_find_spool_dir(),
                    },
                .destination = {.fd = STDOUT_FILENO},
                .first_byte_within = STREAM_FIRST_BYTE_WITHIN,
            },
        .serve = {.source_fd = STDIN_FILENO,
                  .spool_dir = value_find_spool_dir()},
    };
    o->measure.export = o->validate.export = o->stream.export;
}

void options_clear(struct options *o)
{
    export_source_clear(&o->stream.export.source);
    export_source_clear(&o->stream.export.base);
    export_source_clear(&o->measure.export.source);
    export_source_clear(&o->measure.export.base);
    export_source_clear(&o->validate.export.source);
    sink_address_clear(&o->stream.destination);
}

/* argv[0] is "help". */
static int parse_help(int argc, char **argv, struct options *o,
                      struct error *err)
{
    o->wants_help = true;
    if (argc == 1)
        return 0;
    o->command = option_find_command(argv[1]);
    if (o->command == COMMAND_NONE)
        return suggest_command(argv[1], err);
    if (argc > 2)
        return error_set(err, 0, "unexpected argument '%s'", argv[2]);
    return 0;
}

/* An option where the command should be. */
static int refuse_option(int argc, char **argv, struct error *err)
{
    for (int i = 2; i < argc; i++)
        if (option_find_command(argv[i]) != COMMAND_NONE)
            return error_set(err, 0,
                             "the command comes before its options: qcow-tool "
                             "%s %s",
                             argv[i], argv[1]);
    return error_set(err, 0, "unknown option '%s'; see qcow-tool --help",
                     argv[1]);
}

int options_parse(int argc, char **argv, struct options *o, struct error *err)
{
    const char *word = argc > 1 ? argv[1] : "";

    options_set_defaults(o);
    o->command = option_find_command(word);
    if (o->command != COMMAND_NONE)
        return parse_command(argc - 1, argv + 1, o, err);
    if (strcmp(word, "help") == 0)
        return parse_help(argc - 1, argv + 1, o, err);
    o->wants_help = strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
    o->wants_version =
        strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0;
    if (o->wants_help || o->wants_version)
        return 0;
    if (word[0] == '\0')
        return error_set(err, 0, "a command is missing; see qcow-tool --help");
    return word[0] == '-' ? refuse_option(argc, argv, err)
                          : suggest_command(word, err);
}
