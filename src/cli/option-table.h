/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands and options that there are, and the help that shows them. */

#ifndef QT_OPTION_TABLE_H
#define QT_OPTION_TABLE_H

enum command {
    COMMAND_STREAM,
    COMMAND_MEASURE,
    COMMAND_SERVE,
    COMMAND_COUNT,
    COMMAND_NONE = COMMAND_COUNT, /* the program itself: help, version */
    COMMAND_HEADERS,              /* qcow-stream-tool's read_headers */
};

enum option_id {
    OPT_SOURCE,
    OPT_SOURCE_FD,
    OPT_SOURCE_FORMAT,
    OPT_SOURCE_SIZE,
    OPT_IMAGE_FORMAT,
    OPT_RELATIVE_TO,
    OPT_ZERO_CLUSTERS,
    OPT_DETECT_ZEROES,
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
    OPT_OFFSET,
    OPT_FORCE,
    OPT_EXPECT_ID,
    OPT_EXPECT_LENGTH,
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
    unsigned commands; /* 1 << COMMAND_..., of those that have it */
    const char *help;  /* NULL: accepted, but not shown */
};

enum { OPTION_SPECS_MOST = 80 };

extern const struct option_spec option_specs[];
extern const int option_specs_count;

/* "stream", "measure", "serve". */
const char *option_command_name(enum command command);

/* Prints to standard output what --help shows. */
void option_print_help(enum command command);

#endif
