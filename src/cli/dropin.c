/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The programs that xapi calls today, which this one can stand in for. */

#include "config.h"

#include "base/io.h"
#include "cli/dropin.h"
#include "cli/value.h"
#include "nbd/store.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name, *help;
} programs[] = {
    [DROPIN_STREAM_TOOL] =
        {"qcow-stream-tool",
         "Usage: qcow-stream-tool [stream_decode] DEVICE\n"
         "   or: qcow-stream-tool read_headers IMAGE\n"
         "Brings qcow2 from standard input onto DEVICE, and leaves alone what "
         "the image\ndoes not allocate.  As qcow-tool serve --prezeroed, "
         "and with --progress --machine\nif standard output is a pipe.\n\n"
         "With read_headers it tells, as JSON, which clusters of the qcow2 "
         "IMAGE and its\nbacking files hold data."},
    [DROPIN_TO_STDOUT] =
        {"qcow2-to-stdout",
         "Usage: qcow2-to-stdout DEVICE [OPTION]...\n"
         "Sends DEVICE as qcow2 to standard output.  As qcow-tool stream.\n\n"
         "  --output FD                 send it there, and progress, three "
         "digits a\n"
         "                              percent, to standard output\n"
         "  --diff DEVICE               send only what differs from it\n"
         "  --json-header               standard input has what qcow-stream-"
         "tool\n"
         "                              read_headers tells of the image below "
         "DEVICE\n"
         "  --json-header-diff FD       the same of what is below the other\n"
         "  --json-header-map FD        qemu-img map and info, with\n"
         "  --json-header-info FD       --output=json, of what is below "
         "DEVICE\n"
         "  --json-header-diff-map FD   the same of what is below the other\n"
         "  --json-header-diff-info FD\n"
         "  -c, --cluster-size BYTES    64K by default\n"
         "  -r, --refcount-bits BITS    by default the most, up to 16, with "
         "which\n"
         "                              xapi's own importer takes the "
         "image"},
};

/* What xapi calls by default. */
static const char to_stdout_suffix[] = ".py";

enum dropin dropin_find(const char *argv0)
{
    const char *slash = argv0 == NULL ? NULL : strrchr(argv0, '/');
    const char *name = slash == NULL ? argv0 : slash + 1;
    size_t length;

    for (int i = 0; name != NULL && i < DROPIN_NONE; i++) {
        length = strlen(programs[i].name);
        if (strncmp(name, programs[i].name, length) == 0 &&
            (name[length] == '\0' ||
             (i == DROPIN_TO_STDOUT &&
              strcmp(name + length, to_stdout_suffix) == 0)))
            return i;
    }
    return DROPIN_NONE;
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

enum {
    DIFF = 0x100,
    OUTPUT,
    HEADER,
    HEADER_DIFF,
    MAP,
    INFO,
    DIFF_MAP,
    DIFF_INFO,
    HELP,
    VERSION,
};

/* What options say that means something only together with others. */
struct given {
    const char *base; /* what to compare with; NULL: nothing */
    unsigned options; /* 1 << (option - DIFF) of each */
};

static bool is_given(const struct given *given, int option)
{
    return (given->options & 1U << (option - DIFF)) != 0;
}

static const struct option to_stdout_table[] = {
    {"diff", required_argument, NULL, DIFF},
    {"output", required_argument, NULL, OUTPUT},
    {"json-header", no_argument, NULL, HEADER},
    {"json-header-diff", required_argument, NULL, HEADER_DIFF},
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

/* An fd with a map.  A UUID is left in its place where xapi has none to pass:
 * of a raw disk, compared with one that has an image.
 */
static int parse_map_fd(int option, const char *value, int *fd,
                        struct error *err)
{
    int i = 0;

    while (to_stdout_table[i].val != option)
        i++;
    return value_parse_fd_if_passed(to_stdout_table[i].name, value, fd, err);
}

static int apply_option(struct options *o, struct given *given, int c,
                        struct error *err)
{
    struct export_options *export = &o->stream.export;

    if (c >= DIFF)
        given->options |= 1U << (c - DIFF);
    switch (c) {
    case DIFF:
        given->base = optarg;
        return 0;
    case OUTPUT:
        return value_parse_fd("output", optarg, &o->stream.destination.fd,
                              err);
    case HEADER:
        export->map_fd = STDIN_FILENO;
        export->is_map_of_clusters = true;
        return 0;
    case HEADER_DIFF:
        export->is_base_map_of_clusters = true;
        return parse_map_fd(c, optarg, &export->base_map_fd, err);
    case MAP:
        return parse_map_fd(c, optarg, &export->map_fd, err);
    case INFO:
        return parse_map_fd(c, optarg, &export->info_fd, err);
    case DIFF_MAP:
        return parse_map_fd(c, optarg, &export->base_map_fd, err);
    case DIFF_INFO:
        return parse_map_fd(c, optarg, &export->base_info_fd, err);
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

/* Progress for whoever reads it from standard output; but there is none where
 * that goes into the log, or has the data.  xapi that reads none gives
 * /dev/null to stream_decode, which is no pipe.
 */
static enum progress_mode progress_on_stdout(int data_fd, bool is_asked_for)
{
    struct stat st;

    if (io_is_same(STDOUT_FILENO, STDERR_FILENO) ||
        io_is_same(STDOUT_FILENO, data_fd))
        return PROGRESS_NONE;
    if (is_asked_for ||
        (fstat(STDOUT_FILENO, &st) == 0 && S_ISFIFO(st.st_mode)))
        return PROGRESS_MACHINE;
    return PROGRESS_NONE;
}

/* Which maps there are, and of what. */
static int complete_maps(struct export_options *export,
                         const struct given *given, struct error *err)
{
    if (is_given(given, INFO) && !is_given(given, MAP))
        return error_set(err, 0, "--json-header-info needs --json-header-map");
    if (is_given(given, DIFF_INFO) && !is_given(given, DIFF_MAP))
        return error_set(
            err, 0, "--json-header-diff-info needs --json-header-diff-map");
    if (is_given(given, HEADER) && is_given(given, MAP))
        return error_set(err, 0,
                         "--json-header and --json-header-map are both given");
    if (is_given(given, HEADER_DIFF) && is_given(given, DIFF_MAP))
        return error_set(err, 0,
                         "--json-header-diff and --json-header-diff-map are "
                         "both given");
    if (is_given(given, DIFF_MAP) && given->base == NULL)
        return error_set(err, 0, "--json-header-diff-map needs --diff");
    if (is_given(given, HEADER_DIFF) && given->base == NULL)
        return error_set(err, 0, "--json-header-diff needs --diff");
    if (export->map_fd == -1)
        export->info_fd = -1;
    if (export->base_map_fd == -1)
        export->base_info_fd = -1;
    return 0;
}

static int complete_to_stdout(struct options *o, char **names, int n_names,
                              const struct given *given, struct error *err)
{
    struct export_options *export = &o->stream.export;

    o->command = COMMAND_STREAM;
    if (n_names != 1)
        return error_set(err, 0, "one DEVICE is needed, %d are given",
                         n_names);
    if (complete_maps(export, given, err) == -1 ||
        value_set_device(names[0], &export->source, err) == -1)
        return -1;
    if (is_given(given, OUTPUT))
        o->stream.progress =
            progress_on_stdout(o->stream.destination.fd, true);
    return given->base == NULL
               ? 0
               : value_parse_base("diff", given->base, &export->source,
                                  &export->base, err);
}

/* xapi before 26.0 has no command.  It names a device by its path; any other
 * word is more likely a command that is not spelled right.
 */
static bool is_device(const char *name)
{
    return strchr(name, '/') != NULL || access(name, F_OK) == 0;
}

static int complete_stream_tool(struct options *o, char **names, int n_names,
                                struct error *err)
{
    const char *command = n_names > 0 ? names[0] : "";
    bool is_headers = strcmp(command, "read_headers") == 0;

    o->command = is_headers ? COMMAND_HEADERS : COMMAND_SERVE;
    if (is_headers || strcmp(command, "stream_decode") == 0) {
        names++;
        n_names--;
    } else if (n_names != 1 || !is_device(command)) {
        return n_names == 0 ? error_set(err, 0, "a DEVICE is missing")
                            : error_set(err, 0,
                                        "unknown command '%s'; there are "
                                        "stream_decode and read_headers",
                                        command);
    }
    if (n_names != 1)
        return error_set(err, 0, "one %s is needed, %d are given",
                         is_headers ? "IMAGE" : "DEVICE", n_names);
    o->headers = (struct headers_options){o->serve.qemu, names[0]};
    o->serve.destination.path = names[0];
    o->serve.is_prezeroed = true;
    o->serve.progress = progress_on_stdout(o->serve.source_fd, false);
    return 0;
}

/* What is not as it is for qcow-tool, because xapi cannot ask for it. */
static void set_defaults(struct options *o)
{
    options_set_defaults(o);
    /* It has no way to say --force. */
    o->stream.claim = o->serve.destination.claim = CLAIM_WARN;
    /* Its task would be waited for, and could not be cancelled. */
    o->stall_seconds = 600;
    /* Its own importer may read this. */
    o->stream.export.qcow2.refcount_bits = QCOW2_REFCOUNT_AUTO;
}

/* What our environment says, for a command that is going to run.  A host of
 * xapi has a small root file system.
 */
static int find_surroundings(struct options *o, struct error *err)
{
    qemu_find(&o->stream.export.qemu);
    qemu_find(&o->serve.qemu);
    if (value_find_spool_limit(STORE_HALF_FREE, &o->serve.spool_limit, err) ==
        -1)
        return -1;
    o->stream.export.spool_limit = o->serve.spool_limit;
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
    struct given given = {0};
    int c;

    set_defaults(o);
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
        else if (apply_option(o, &given, c, err) == -1)
            return -1;
    }
    while (optind < argc) /* behind "--" */
        names[n_names++] = argv[optind++];
    if (o->wants_help || o->wants_version)
        return 0;
    if (find_surroundings(o, err) == -1)
        return -1;
    return is_export ? complete_to_stdout(o, names, n_names, &given, err)
                     : complete_stream_tool(o, names, n_names, err);
}
