/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the command line to what a command needs to know. */

#include "config.h"

#include "fds.h"
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STREAM = 1 << COMMAND_STREAM, SERVE = 1 << COMMAND_SERVE };

enum option_id {
    OPT_SOURCE,
    OPT_SOURCE_FD,
    OPT_SOURCE_FORMAT,
    OPT_SOURCE_SIZE,
    OPT_IMAGE_FORMAT,
    OPT_DESTINATION,
    OPT_DESTINATION_FD,
    OPT_DESTINATION_FORMAT,
    OPT_DESTINATION_SIZE,
    OPT_PROTOCOL,
    OPT_PREZEROED,
    OPT_LAYOUT,
    OPT_CLUSTER_SIZE,
    OPT_REFCOUNT_BITS,
    OPT_COMPAT,
    OPT_EXTENDED_L2,
    OPT_DIRECT,
    OPT_SPOOL_DIR,
    OPT_SPOOL_LIMIT,
    OPT_PROGRESS,
    OPT_MACHINE,
    OPT_QEMU_IMG,
    OPT_QEMU_IO,
    OPT_QEMU_NBD,
    OPT_VERBOSE,
    OPT_DEBUG,
    OPT_HELP,
    OPT_VERSION,
    OPT_IGNORED,
    OPT_IGNORED_PREFIX,
};

struct option_spec {
    const char *name;
    const char *value; /* its name in the help; NULL: there is none */
    enum option_id id;
    unsigned commands;
    const char *help; /* NULL: accepted, but not shown */
};

/* In the order of the help. */
static const struct option_spec specs[] = {
    {"source", "DISK", OPT_SOURCE, STREAM,
     "the disk: PATH, or DEVICE:IMAGE with hybrid"},
    {"source-format", "FORMAT", OPT_SOURCE_FORMAT, STREAM,
     "raw (default): read the disk and leave out\n"
     "zeroes; hybrid: take data from DEVICE and\n"
     "the allocation map from IMAGE"},
    {"image-format", "FORMAT", OPT_IMAGE_FORMAT, STREAM,
     "of IMAGE; qcow2 by default, never probed"},
    {"source-fd", "FD", OPT_SOURCE_FD, SERVE,
     "the stream; standard input by default"},
    {"source-format", "FORMAT", OPT_SOURCE_FORMAT, SERVE, "qcow2 (default)"},
    {"source-size", "BYTES", OPT_SOURCE_SIZE, SERVE,
     "the exact length of the stream"},
    {"source-protocol", "NAME", OPT_PROTOCOL, STREAM | SERVE,
     "none (default)"},

    {"destination", "WHERE", OPT_DESTINATION, STREAM,
     "stdout: (default), fd:FD, PATH, file://PATH"},
    {"destination-fd", "FD", OPT_DESTINATION_FD, STREAM,
     "a socket, a pipe or a file, by its number or\n"
     "by its UUID in LISTEN_FDNAMES"},
    {"destination-format", "FORMAT", OPT_DESTINATION_FORMAT, STREAM,
     "qcow2 (default)"},
    {"destination", "DISK", OPT_DESTINATION, SERVE,
     "a block device, a file or a new file: PATH or\n"
     "file://PATH"},
    {"destination-format", "FORMAT", OPT_DESTINATION_FORMAT, SERVE,
     "raw (default)"},
    {"destination-size", "BYTES", OPT_DESTINATION_SIZE, SERVE,
     "may be the length of the stream, or anything;\n"
     "what the disk itself measures counts"},
    {"destination-protocol", "NAME", OPT_PROTOCOL, STREAM | SERVE,
     "none (default)"},
    {"prezeroed", NULL, OPT_PREZEROED, SERVE,
     "leave alone what the image does not allocate"},

    {"layout", "LAYOUT", OPT_LAYOUT, STREAM,
     "streamable (default): all metadata, then the\n"
     "data in order; convert: byte for byte what\n"
     "qemu-img convert writes; any: streamable if\n"
     "this QEMU does it, else what it does"},
    {"cluster-size", "BYTES", OPT_CLUSTER_SIZE, STREAM,
     "of the image; 64K by default"},
    {"refcount-bits", "BITS", OPT_REFCOUNT_BITS, STREAM, "16 by default"},
    {"compat", "VERSION", OPT_COMPAT, STREAM, "1.1 (default) or 0.10"},
    {"extended-l2", NULL, OPT_EXTENDED_L2, STREAM,
     "allocate in 32nds of a cluster"},

    {"direct", NULL, OPT_DIRECT, STREAM | SERVE,
     "do not use the page cache for the disk"},
    {"unbuffered", NULL, OPT_DIRECT, STREAM | SERVE, "the same"},
    {"spool-dir", "DIR", OPT_SPOOL_DIR, STREAM | SERVE,
     "for what must be kept for a while; by default\n"
     "$TMPDIR, or /var/tmp"},
    {"spool-limit", "BYTES", OPT_SPOOL_LIMIT, SERVE,
     "fail rather than keep more than this there"},
    {"progress", NULL, OPT_PROGRESS, STREAM | SERVE,
     "show how far the work is"},
    {"machine", NULL, OPT_MACHINE, STREAM | SERVE,
     "show it as three digits for each percent, on\n"
     "standard output"},
    {"qemu-img", "PATH", OPT_QEMU_IMG, STREAM | SERVE,
     "the program to use; by default what\n"
     "$QCOW_TOOL_QEMU_IMG says"},
    {"qemu-io", "PATH", OPT_QEMU_IO, STREAM | SERVE,
     "the same, $QCOW_TOOL_QEMU_IO"},
    {"qemu-nbd", "PATH", OPT_QEMU_NBD, STREAM | SERVE,
     "the same, $QCOW_TOOL_QEMU_NBD"},

    {"verbose", NULL, OPT_VERBOSE, STREAM | SERVE,
     "-v; say at the end what was done"},
    {"debug", NULL, OPT_DEBUG, STREAM | SERVE,
     "show each command that is run, the plan and\n"
     "the map"},
    {"help", NULL, OPT_HELP, STREAM | SERVE, "-h; show this"},
    {"version", NULL, OPT_VERSION, STREAM | SERVE, "show the version"},

    /* What vhd-tool takes, and means nothing here. */
    {"tar-filename-prefix", "PREFIX", OPT_IGNORED_PREFIX, STREAM | SERVE,
     NULL},
    {"path", "PATH", OPT_IGNORED, STREAM | SERVE, NULL},
    {"good-ciphersuites", "LIST", OPT_IGNORED, STREAM | SERVE, NULL},
    {"sni", "NAME", OPT_IGNORED, STREAM | SERVE, NULL},
    {"cert-bundle-path", "PATH", OPT_IGNORED, STREAM | SERVE, NULL},
    {"ignore-checksums", NULL, OPT_IGNORED, STREAM | SERVE, NULL},
    {"verify-dest", NULL, OPT_IGNORED, STREAM | SERVE, NULL},
};

enum { N_SPECS = sizeof specs / sizeof specs[0] };

static const struct {
    const char *name, *usage, *does;
} commands[] = {
    [COMMAND_STREAM] = {"stream", "stream --source DISK [OPTION]...",
                        "sends a disk as qcow2 into a stream"},
    [COMMAND_SERVE] = {"serve", "serve --destination DISK [OPTION]...",
                       "brings a stream of qcow2 onto a disk"},
};

const char *options_command_name(enum command command)
{
    return commands[command].name;
}

/* text is cut at its newlines and set in a column. */
static void print_column(const char *left, const char *text)
{
    enum { WIDTH = 30 };

    printf("  %-*s", WIDTH - 2, left);
    for (; *text != '\0'; text++) {
        putchar(*text);
        if (*text == '\n')
            printf("%*s", WIDTH, "");
    }
    putchar('\n');
}

void options_print_help(enum command command)
{
    if (command == COMMAND_NONE) {
        puts("Usage: qcow-tool COMMAND [OPTION]...\n"
             "Moves virtual disks as qcow2 over sockets; QEMU does the "
             "qcow2.\n\nCommands:");
        for (int i = 0; i < COMMAND_COUNT; i++)
            print_column(commands[i].name, commands[i].does);
        puts("\nOptions:");
        print_column("--help", "show this, or with a command its options");
        print_column("--version", "show the version");
    } else {
        printf("Usage: qcow-tool %s\nIt %s.\n\nOptions:\n",
               commands[command].usage, commands[command].does);
        for (int i = 0; i < N_SPECS; i++) {
            char left[64];

            if (specs[i].help == NULL || !(specs[i].commands & 1 << command))
                continue;
            snprintf(left, sizeof left, "--%s%s%s", specs[i].name,
                     specs[i].value == NULL ? "" : " ",
                     specs[i].value == NULL ? "" : specs[i].value);
            print_column(left, specs[i].help);
        }
        puts("\nSizes take K, M, G and T.  Accepted as vhd-tool does, and "
             "ignored:");
        for (int i = 0; i < N_SPECS; i++)
            if (specs[i].help == NULL)
                printf("  --%s%s%s\n", specs[i].name,
                       specs[i].value == NULL ? "" : " ",
                       specs[i].value == NULL ? "" : specs[i].value);
        puts("");
    }
    puts("Exit status: 0 done, 1 failed, 2 wrong usage.");
}

static int parse_size(const char *name, const char *text, uint64_t *size,
                      struct error *err)
{
    static const char units[] = "KMGT";
    const char *unit;
    char *end;
    unsigned shift = 0;

    errno = 0;
    *size = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0)
        return error_set(err, 0, "--%s: '%s' is not a size", name, text);
    unit = *end == '\0' ? NULL : strchr(units, *end);
    if (unit != NULL) {
        shift = 10 * (unit - units + 1);
        end++;
    }
    if (*end != '\0' || *size > (uint64_t)INT64_MAX >> shift)
        return error_set(err, 0, "--%s: '%s' is not a size", name, text);
    *size <<= shift;
    return 0;
}

/* value must be one of the words in supported, which are separated by ", ";
 * *index is which.
 */
static int parse_word(const char *name, const char *value,
                      const char *supported, int *index, struct error *err)
{
    const char *word = supported;

    for (*index = 0; *word != '\0'; ++*index) {
        size_t length = strcspn(word, ",");

        if (strlen(value) == length && strncmp(word, value, length) == 0)
            return 0;
        word += length;
        word += strspn(word, ", ");
    }
    return error_set(err, 0, "--%s: '%s' is not supported; supported: %s",
                     name, value, supported);
}

/* PATH or file://PATH; another URL is not a file name that anyone means. */
static int parse_path(const char *name, const char *value, const char **path,
                      struct error *err)
{
    const char *colon = strstr(value, "://");

    if (strncmp(value, "file://", 7) == 0)
        value += 7;
    else if (colon != NULL && strcspn(value, "/") > (size_t)(colon - value))
        return error_set(err, 0,
                         "--%s: '%s' is not supported; supported: PATH, "
                         "file://PATH",
                         name, value);
    if (value[0] == '\0')
        return error_set(err, 0, "--%s: the path is empty", name);
    *path = value;
    return 0;
}

static int parse_fd(const char *name, const char *value, int *fd,
                    struct error *err)
{
    if (strncmp(value, "fd:", 3) == 0)
        value += 3;
    if (fds_find(value, fd, err) == -1)
        return error_wrap(err, "--%s", name);
    return 0;
}

static int parse_destination(const char *value, struct stream_options *o,
                             struct error *err)
{
    o->destination = NULL;
    if (strcmp(value, "stdout:") == 0) {
        o->destination_fd = STDOUT_FILENO;
        return 0;
    }
    if (strncmp(value, "fd:", 3) == 0)
        return parse_fd("destination", value, &o->destination_fd, err);
    return parse_path("destination", value, &o->destination, err);
}

/* A power of two from least to most, which range says for people. */
static int parse_power(const char *name, const char *text, uint64_t least,
                       uint64_t most, const char *range, uint64_t *number,
                       struct error *err)
{
    if (parse_size(name, text, number, err) == -1)
        return -1;
    if (*number >= least && *number <= most && (*number & (*number - 1)) == 0)
        return 0;
    return error_set(err, 0, "--%s: '%s' is not a power of two from %s", name,
                     text, range);
}

/* Options that only `stream` has. */
static int take_stream(struct stream_options *o,
                       const struct option_spec *spec, const char *value,
                       struct error *err)
{
    uint64_t number;
    int word = 0;

    switch (spec->id) {
    case OPT_SOURCE:
        return parse_path(spec->name, value, &o->source, err);
    case OPT_SOURCE_FORMAT:
        if (parse_word(spec->name, value, "raw, hybrid", &word, err) == -1)
            return -1;
        o->source_format = word;
        return 0;
    case OPT_IMAGE_FORMAT:
        o->image_format = value;
        return parse_word(spec->name, value,
                          "qcow2, raw, vpc, vhdx, vmdk, vdi", &word, err);
    case OPT_DESTINATION:
        return parse_destination(value, o, err);
    case OPT_DESTINATION_FD:
        o->destination = NULL;
        return parse_fd(spec->name, value, &o->destination_fd, err);
    case OPT_DESTINATION_FORMAT:
        return parse_word(spec->name, value, "qcow2", &word, err);
    case OPT_LAYOUT:
        if (parse_word(spec->name, value, "streamable, convert, any", &word,
                       err) == -1)
            return -1;
        o->layout = word; /* the words are in its order */
        return 0;
    case OPT_CLUSTER_SIZE:
        return parse_power(spec->name, value, 512, 2 << 20, "512 to 2M",
                           &o->qcow2.cluster_size, err);
    case OPT_REFCOUNT_BITS:
        if (parse_power(spec->name, value, 1, 64, "1 to 64", &number, err) ==
            -1)
            return -1;
        o->qcow2.refcount_bits = number;
        return 0;
    case OPT_COMPAT:
        if (parse_word(spec->name, value, "1.1, 0.10, v3, v2", &word, err) ==
            -1)
            return -1;
        o->qcow2.is_v2 = word == 1 || word == 3;
        return 0;
    case OPT_EXTENDED_L2:
        o->qcow2.is_extended_l2 = true;
        return 0;
    default:
        return error_set(err, 0, "--%s is not for stream", spec->name);
    }
}

/* Options that only `serve` has. */
static int take_serve(struct serve_options *o, const struct option_spec *spec,
                      const char *value, struct error *err)
{
    int word;

    switch (spec->id) {
    case OPT_SOURCE_FD:
        return parse_fd(spec->name, value, &o->source_fd, err);
    case OPT_SOURCE_FORMAT:
        return parse_word(spec->name, value, "qcow2", &word, err);
    case OPT_SOURCE_SIZE:
        return parse_size(spec->name, value, &o->source_size, err);
    case OPT_DESTINATION:
        return parse_path(spec->name, value, &o->destination, err);
    case OPT_DESTINATION_FORMAT:
        return parse_word(spec->name, value, "raw", &word, err);
    case OPT_DESTINATION_SIZE:
        return parse_size(spec->name, value, &o->size_hint, err);
    case OPT_SPOOL_LIMIT:
        return parse_size(spec->name, value, &o->spool_limit, err);
    case OPT_PREZEROED:
        o->is_prezeroed = true;
        return 0;
    default:
        return error_set(err, 0, "--%s is not for serve", spec->name);
    }
}

/* What both commands have, until they are told apart. */
struct common {
    struct qemu qemu;
    bool is_direct, is_progress, is_machine;
    const char *spool_dir;
};

static int take(struct options *o, struct common *common,
                const struct option_spec *spec, const char *value,
                struct error *err)
{
    int word;

    switch (spec->id) {
    case OPT_PROTOCOL:
        return parse_word(spec->name, value, "none", &word, err);
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
    case OPT_QEMU_IMG:
        common->qemu.img = value;
        return 0;
    case OPT_QEMU_IO:
        common->qemu.io = value;
        return 0;
    case OPT_QEMU_NBD:
        common->qemu.nbd = value;
        return 0;
    case OPT_VERBOSE:
        if (o->log_level < LOG_SUMMARY)
            o->log_level = LOG_SUMMARY;
        return 0;
    case OPT_DEBUG:
        o->log_level = LOG_DEBUG;
        return 0;
    case OPT_HELP:
        o->wants_help = true;
        return 0;
    case OPT_VERSION:
        o->wants_version = true;
        return 0;
    case OPT_IGNORED:
    case OPT_IGNORED_PREFIX:
        return 0;
    default:
        return o->command == COMMAND_STREAM
                   ? take_stream(&o->stream, spec, value, err)
                   : take_serve(&o->serve, spec, value, err);
    }
}

static const char *default_spool_dir(void)
{
    const char *tmpdir = getenv("TMPDIR");

    return tmpdir != NULL && tmpdir[0] != '\0' ? tmpdir : "/var/tmp";
}

/* All options are in: what is missing, what contradicts? */
static int complete(struct options *o, const struct common *common,
                    struct error *err)
{
    const struct qcow2_options *q = &o->stream.qcow2;
    enum progress_mode progress = PROGRESS_NONE;
    const char *colon;

    if (common->is_progress)
        progress = common->is_machine ? PROGRESS_MACHINE : PROGRESS_BAR;
    o->stream.qemu = o->serve.qemu = common->qemu;
    o->stream.is_direct = o->serve.is_direct = common->is_direct;
    o->stream.spool_dir = o->serve.spool_dir = common->spool_dir;
    o->stream.progress = o->serve.progress = progress;

    if (o->command == COMMAND_SERVE) {
        if (o->serve.destination == NULL)
            return error_set(err, 0, "--destination is missing");
        return 0;
    }
    if (o->stream.source == NULL)
        return error_set(err, 0, "--source is missing");
    colon = strchr(o->stream.source, ':');
    if (o->stream.source_format == SOURCE_HYBRID &&
        (colon == NULL || colon == o->stream.source || colon[1] == '\0'))
        return error_set(err, 0,
                         "--source: '%s' is not DEVICE:IMAGE, as hybrid "
                         "wants it",
                         o->stream.source);
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

/* getopt_long's table for one command; each option's val is its index in
 * specs, from 0x100 on.
 */
static void make_table(enum command command, struct option *table)
{
    for (int i = 0; i < N_SPECS; i++) {
        int has_arg = no_argument;

        if (!(specs[i].commands & 1 << command))
            continue;
        if (specs[i].id == OPT_IGNORED_PREFIX)
            has_arg = optional_argument;
        else if (specs[i].value != NULL)
            has_arg = required_argument;
        *table++ = (struct option){specs[i].name, has_arg, NULL, 0x100 + i};
    }
    *table = (struct option){0};
}

/* xapi gives the prefix as an argument of its own, which may be empty, and
 * an operator may leave it out: it is there unless an option follows.
 */
static void skip_prefix(int argc, char **argv)
{
    if (optarg == NULL && optind < argc && argv[optind][0] != '-')
        optind++;
}

static int parse_command(int argc, char **argv, struct options *o,
                         struct error *err)
{
    struct common common = {.spool_dir = default_spool_dir()};
    struct option table[N_SPECS + 1];
    int c;

    make_table(o->command, table);
    opterr = 0;
    optind = 0;
    while ((c = getopt_long(argc, argv, "+:hv", table, NULL)) != -1) {
        const struct option_spec *spec;

        if (c == ':')
            return error_set(err, 0, "%s needs a value", argv[optind - 1]);
        if (c == '?' && optopt >= 0x100)
            return error_set(err, 0, "--%s takes no value",
                             specs[optopt - 0x100].name);
        if (c == '?' && optopt != 0)
            return error_set(err, 0, "unknown option '-%c'", optopt);
        if (c == '?')
            return error_set(err, 0, "unknown option '%s'", argv[optind - 1]);
        if (c == 'h')
            o->wants_help = true;
        if (c == 'v' && o->log_level < LOG_SUMMARY)
            o->log_level = LOG_SUMMARY;
        if (c == 'h' || c == 'v')
            continue;
        spec = &specs[c - 0x100];
        if (spec->id == OPT_IGNORED_PREFIX)
            skip_prefix(argc, argv);
        if (take(o, &common, spec, optarg, err) == -1)
            return -1;
    }
    if (o->wants_help || o->wants_version)
        return 0;
    if (optind < argc)
        return error_set(err, 0, "unexpected argument '%s'", argv[optind]);
    qemu_find(&common.qemu);
    return complete(o, &common, err);
}

int options_parse(int argc, char **argv, struct options *o, struct error *err)
{
    const char *word = argc > 1 ? argv[1] : "";

    *o = (struct options){
        .command = COMMAND_NONE,
        .stream = {.image_format = "qcow2",
                   .destination_fd = STDOUT_FILENO,
                   .qcow2 = {.cluster_size = 64 << 10, .refcount_bits = 16}},
        .serve = {.source_fd = STDIN_FILENO},
    };
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(word, commands[i].name) == 0)
            o->command = i;
    if (o->command != COMMAND_NONE)
        return parse_command(argc - 1, argv + 1, o, err);
    o->wants_help = strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
    o->wants_version = strcmp(word, "--version") == 0;
    if (o->wants_help || o->wants_version)
        return 0;
    if (word[0] == '\0')
        return error_set(err, 0,
                         "a command is missing: stream or serve (see --help)");
    return error_set(err, 0,
                     "unknown %s '%s'; the commands are stream and serve",
                     word[0] == '-' ? "option" : "command", word);
}
