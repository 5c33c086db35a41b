/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The commands and options that there are. */

#ifndef QT_OPTION_TABLE_H
#define QT_OPTION_TABLE_H

enum command {
    COMMAND_STREAM,
    COMMAND_MEASURE,
    COMMAND_VALIDATE,
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
    OPT_BITMAP,
    OPT_CHANGED_BLOCKS,
    OPT_ZERO_CLUSTERS,
    OPT_DETECT_ZEROES,
    OPT_DESTINATION,
    OPT_DESTINATION_FD,
    OPT_DESTINATION_FORMAT,
    OPT_DESTINATION_OPTIONS,
    OPT_DESTINATION_SIZE,
    OPT_PROTOCOL,
    OPT_PREZEROED,
    OPT_DISCARD,
    OPT_LAYOUT,
    OPT_CLUSTER_SIZE,
    OPT_REFCOUNT_BITS,
    OPT_COMPAT,
    OPT_EXTENDED_L2,
    OPT_OFFSET,
    OPT_LENGTH,
    OPT_FIRST_BYTE_WITHIN,
    OPT_FORCE,
    OPT_EXPECT_ID,
    OPT_EXPECT_LENGTH,
    OPT_DIRECT,
    OPT_SPOOL_DIR,
    OPT_SPOOL_LIMIT,
    OPT_CHECKSUM,
    OPT_STREAM,
    OPT_JSON,
    OPT_PROGRESS,
    OPT_RATE_LIMIT,
    OPT_MACHINE,
    OPT_REPORT,
    OPT_QEMU_IMG,
    OPT_QEMU_IO,
    OPT_QEMU_NBD,
    OPT_QUIET,
    OPT_SANDBOX,
    OPT_STALL_TIMEOUT,
    OPT_VERBOSE,
    OPT_DEBUG,
    OPT_HELP,
    OPT_VERSION,
    OPT_IGNORED,
    OPT_IGNORED_PREFIX,
    OPTION_IDS,
};

/* What stands together in the help, in this order. */
enum option_group {
    GROUP_SOURCE,
    GROUP_DESTINATION,
    GROUP_IMAGE,
    GROUP_TRANSFER,
    GROUP_PROGRESS,
    GROUP_QEMU,
    GROUP_VHD_TOOL,
    GROUP_COUNT,
};

struct option_spec {
    const char *name;
    char letter;       /* its short form, or 0 */
    const char *value; /* its name in the help; NULL: there is none */
    enum option_id id;
    unsigned commands; /* 1 << COMMAND_..., of those that have it */
    enum option_group group;
    const char *help;
};

enum { OPTION_SPECS_MOST = 80 };

extern const struct option_spec option_specs[];
extern const int option_specs_count;

struct command_spec {
    const char *name;  /* "stream", "measure", ... */
    const char *usage; /* what follows the name */
    const char *does;  /* behind "it" */

    /* The option that a word stands for that belongs to no option. */
    enum option_id operand;
};

extern const struct command_spec command_specs[COMMAND_COUNT];

/* COMMAND_NONE if there is none of that name. */
enum command option_find_command(const char *name);

/* The option of a command with this id, or of this name, length bytes long.
 * NULL: there is none.
 */
const struct option_spec *option_find(enum command command, enum option_id id);
const struct option_spec *option_find_name(enum command command,
                                           const char *name, int length);

#endif
