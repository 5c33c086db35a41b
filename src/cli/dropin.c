/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The programs that xapi calls today, which this one can stand in for. */

#include "config.h"

#include "cli/dropin.h"
#include "cli/value.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *help;
} programs[] = {
    [DROPIN_STREAM_TOOL] =
        {"qcow-stream-tool",
         "Usage: qcow-stream-tool stream_decode DEVICE\n"
         "Brings qcow2 from standard input onto DEVICE, and leaves alone what "
         "the image\ndoes not allocate.  As qcow-tool serve --prezeroed."},
    [DROPIN_TO_STDOUT] =
        {"qcow2-to-stdout",
         "Usage: qcow2-to-stdout DEVICE [OPTION]...\n"
         "Sends DEVICE as qcow2 to standard output.  As qcow-tool stream.\n\n"
         "  --diff DEVICE               send only what differs from it\n"
         "  --json-header-map FD        qemu-img map and info, with\n"
         "  --json-header-info FD       --output=json, of what is below "
         "DEVICE\n"
         "  --json-header-diff-map FD   the same of what is below the other\n"
         "  --json-header-diff-info FD\n"
         "  -c, --cluster-size BYTES    64K by default\n"
         "  -r, --refcount-bits BITS    16 by default"},
};

enum dropin dropin_find(const char *argv0)
{
    const char *slash = argv0 == NULL ? NULL : strrchr(argv0, '/');
    const char *name = slash == NULL ? argv0 : slash + 1;
    int i = 0;

    while (i < DROPIN_NONE &&
           (name == NULL || strcmp(name, programs[i].name) != 0))
        i++;
    return i;
}

const char *dropin_name(enum dropin dropin)
{
    return programs[dropin].name;
}

void dropin_print_help(enum dropin dropin)
{
    puts(programs[dropin].help);
    puts("\nExit status: 0 done, 1 failed, 2 wrong usage.");
}

enum { IS_NAME = 1 }; /* of getopt_long: no option */

enum { DIFF = 0x100, MAP, INFO, DIFF_MAP, DIFF_INFO, HELP, VERSION };

static const struct option to_stdout_table[] = {
    {"diff", required_argument, NULL, DIFF},
    {"json-header-map", required_argument, NULL, MAP},
    {"json-header-info", required_argument, NULL, INFO},
    {"json-header-diff-map", required_argument, NULL, DIFF_MAP},
    {"json-header-diff-info", required_argument, NULL, DIFF_INFO},
    {"cluster-size", required_argument, NULL, 'c'},
    {"refcount-bits", required_argument, NULL, 'r'},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {NULL, 0, NULL, 0},
};

static const struct option stream_tool_table[] = {
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {NULL, 0, NULL, 0},
};

/* *base is what to compare with, as it was given. */
static int apply_option(struct options *o, const char **base, int c,
                        struct error *err)
{
    struct export_options *export = &o->stream.export;

    switch (c) {
    case DIFF:
        *base = optarg;
        return 0;
    case MAP:
        return value_parse_fd("json-header-map", optarg, &export->map_fd, err);
    case INFO:
        return value_parse_fd("json-header-info", optarg, &export->info_fd,
                              err);
    case DIFF_MAP:
        return value_parse_fd("json-header-diff-map", optarg,
                              &export->base_map_fd, err);
    case DIFF_INFO:
        return value_parse_fd("json-header-diff-info", optarg,
                              &export->base_info_fd, err);
    case 'c':
        return value_parse_cluster_size("cluster-size", optarg, &export->qcow2,
                                        err);
    case 'r':
        return value_parse_refcount_bits("refcount-bits", optarg,
                                         &export->qcow2, err);
    case 'h':
    case HELP:
        o->wants_help = true;
        return 0;
    default:
        o->wants_version = true;
        return 0;
    }
}

static int complete_to_stdout(struct options *o, char **names, int n_names,
                              const char *base, struct error *err)
{
    struct export_options *export = &o->stream.export;

    o->command = COMMAND_STREAM;
    if (n_names != 1)
        return error_set(err, 0, "one DEVICE is needed, %d are given",
                         n_names);
    if (export->info_fd != -1 && export->map_fd == -1)
        return error_set(err, 0, "--json-header-info needs --json-header-map");
    if (export->base_info_fd != -1 && export->base_map_fd == -1)
        return error_set(
            err, 0, "--json-header-diff-info needs --json-header-diff-map");
    if (export->base_map_fd != -1 && base == NULL)
        return error_set(err, 0, "--json-header-diff-map needs --diff");
    if (value_set_device(names[0], &export->source, err) == -1)
        return -1;
    return base == NULL ? 0
                        : value_parse_base("diff", base, &export->source,
                                           &export->base, err);
}

static int complete_stream_tool(struct options *o, char **names, int n_names,
                                struct error *err)
{
    o->command = COMMAND_SERVE;
    if (n_names == 0 || strcmp(names[0], "stream_decode") != 0)
        return error_set(err, 0,
                         "unknown command '%s'; the only one is "
                         "stream_decode",
                         n_names == 0 ? "" : names[0]);
    if (n_names != 2)
        return error_set(err, 0, "one DEVICE is needed, %d are given",
                         n_names - 1);
    o->serve.destination = names[1];
    o->serve.is_prezeroed = true;
    return 0;
}

/* xapi has options behind the DEVICE, whatever POSIXLY_CORRECT says: so each
 * word comes in its order (the "-", getopt_long(3)), and what is no option is
 * moved to argv[1] and on.
 */
int dropin_parse(enum dropin dropin, int argc, char **argv, struct options *o,
                 struct error *err)
{
    bool is_export = dropin == DROPIN_TO_STDOUT;
    char **names = argv + 1;
    int n_names = 0;
    const char *base = NULL;
    int c;

    options_set_defaults(o);
    /* Who calls cannot be told of --force. */
    o->stream.claim = o->serve.claim = CLAIM_WARN;
    opterr = 0;
    optind = 0;
    while ((c = getopt_long(argc, argv, is_export ? "-:c:r:h" : "-:h",
                            is_export ? to_stdout_table : stream_tool_table,
                            NULL)) != -1) {
        if (c == ':')
            return error_set(err, 0, "%s needs a value", argv[optind - 1]);
        if (c == '?' && optopt >= DIFF)
            return error_set(err, 0, "%s: no value is taken",
                             argv[optind - 1]);
        if (c == '?' && optopt != 0)
            return error_set(err, 0, "unknown option '-%c'", optopt);
        if (c == '?')
            return error_set(err, 0, "unknown option '%s'", argv[optind - 1]);
        if (c == IS_NAME)
            names[n_names++] = optarg;
        else if (apply_option(o, &base, c, err) == -1)
            return -1;
    }
    while (optind < argc) /* behind "--" */
        names[n_names++] = argv[optind++];
    if (o->wants_help || o->wants_version)
        return 0;
    qemu_find(&o->stream.export.qemu);
    qemu_find(&o->serve.qemu);
    return is_export ? complete_to_stdout(o, names, n_names, base, err)
                     : complete_stream_tool(o, names, n_names, err);
}
