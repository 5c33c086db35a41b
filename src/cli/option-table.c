/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands and options that there are, and the help that shows them. */

#include "config.h"

#include "cli/option-table.h"

#include <stdio.h>

enum {
    STREAM = 1 << COMMAND_STREAM,
    MEASURE = 1 << COMMAND_MEASURE,
    SERVE = 1 << COMMAND_SERVE,
    OUT = STREAM | MEASURE,
    ALL = OUT | SERVE,
};

/* In the order of the help. */
const struct option_spec option_specs[] = {
    {"source", "DISK", OPT_SOURCE, OUT, "the disk: see --source-format"},
    {"source-format", "FORMAT", OPT_SOURCE_FORMAT, OUT,
     "raw (default): PATH, read the disk and leave\n"
     "out zeroes; hybrid: DEVICE:IMAGE, take data\n"
     "from DEVICE and the allocation map from IMAGE;\n"
     "qcow2, vpc, vhdx, vmdk, vdi: PATH, an image\n"
     "file; nbd: an NBD URI; nbdhybrid:\n"
     "DEVICE:NBD-SOCKET:EXPORT:SIZE, data from\n"
     "DEVICE and the map from an NBD export"},
    {"image-format", "FORMAT", OPT_IMAGE_FORMAT, OUT,
     "of IMAGE; qcow2 by default, never probed"},
    {"relative-to", "BASE", OPT_RELATIVE_TO, OUT,
     "send only what differs from BASE: an NBD URI;\n"
     "with hybrid and image files an image of the\n"
     "same format; else a raw disk"},
    {"zero-clusters", "KIND", OPT_ZERO_CLUSTERS, OUT,
     "what is zero here but not in BASE goes as\n"
     "data (default), or with the zero flag"},
    {"detect-zeroes", NULL, OPT_DETECT_ZEROES, OUT,
     "leave out zeroes inside of what is allocated"},
    {"source-fd", "FD", OPT_SOURCE_FD, SERVE,
     "the stream; standard input by default"},
    {"source-format", "FORMAT", OPT_SOURCE_FORMAT, SERVE, "qcow2 (default)"},
    {"source-size", "BYTES", OPT_SOURCE_SIZE, SERVE,
     "the exact length of the stream"},
    {"source-protocol", "NAME", OPT_PROTOCOL, ALL, "none (default)"},

    {"destination", "WHERE", OPT_DESTINATION, STREAM,
     "stdout: (default), fd:FD, PATH, file://PATH,\n"
     "unix://PATH, tcp://HOST:PORT"},
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

    {"layout", "LAYOUT", OPT_LAYOUT, OUT,
     "streamable (default): all metadata, then the\n"
     "data in order; convert: byte for byte what\n"
     "qemu-img convert writes; any: streamable if\n"
     "this QEMU does it, else what it does"},
    {"cluster-size", "BYTES", OPT_CLUSTER_SIZE, OUT,
     "of the image; 64K by default"},
    {"refcount-bits", "BITS", OPT_REFCOUNT_BITS, OUT,
     "16 by default; auto: the most, up to 16, with\n"
     "which xapi's own importer takes the image"},
    {"compat", "VERSION", OPT_COMPAT, OUT, "1.1 (default) or 0.10"},
    {"extended-l2", NULL, OPT_EXTENDED_L2, OUT,
     "allocate in 32nds of a cluster"},

    {"offset", "BYTES", OPT_OFFSET, STREAM,
     "begin there in the image, to go on with one\n"
     "that broke off"},
    {"expect-id", "ID", OPT_EXPECT_ID, OUT,
     "fail at once unless it is the image of this\n"
     "id, which measure prints"},
    {"expect-length", "BYTES", OPT_EXPECT_LENGTH, OUT,
     "fail at once unless the image is that long"},

    {"force", NULL, OPT_FORCE, STREAM | SERVE,
     "write even to a destination that is in use:\n"
     "mounted, swap, below another device, or open\n"
     "in QEMU or exclusively in another program"},
    {"direct", NULL, OPT_DIRECT, ALL,
     "do not use the page cache for the disk"},
    {"unbuffered", NULL, OPT_DIRECT, ALL, "the same"},
    {"spool-dir", "DIR", OPT_SPOOL_DIR, ALL,
     "for what must be kept for a while; by default\n"
     "$QCOW_TOOL_SPOOL_DIR, $TMPDIR or /var/tmp"},
    {"spool-limit", "BYTES", OPT_SPOOL_LIMIT, ALL,
     "fail rather than keep more than this there;\n"
     "0, by default or as $QCOW_TOOL_SPOOL_LIMIT\n"
     "says: no limit"},
    {"progress", NULL, OPT_PROGRESS, ALL, "show how far the work is"},
    {"machine", NULL, OPT_MACHINE, ALL,
     "show it as three digits for each percent, on\n"
     "standard output"},
    {"qemu-img", "PATH", OPT_QEMU_IMG, ALL,
     "the program to use; by default what\n"
     "$QCOW_TOOL_QEMU_IMG says"},
    {"qemu-io", "PATH", OPT_QEMU_IO, ALL, "the same, $QCOW_TOOL_QEMU_IO"},
    {"qemu-nbd", "PATH", OPT_QEMU_NBD, ALL, "the same, $QCOW_TOOL_QEMU_NBD"},

    {"verbose", NULL, OPT_VERBOSE, ALL, "-v; say at the end what was done"},
    {"debug", NULL, OPT_DEBUG, ALL,
     "show each command that is run, the plan and\n"
     "the map"},
    {"help", NULL, OPT_HELP, ALL, "-h; show this"},
    {"version", NULL, OPT_VERSION, ALL, "show the version"},

    /* What vhd-tool takes, and means nothing here. */
    {"tar-filename-prefix", "PREFIX", OPT_IGNORED_PREFIX, ALL, NULL},
    {"path", "PATH", OPT_IGNORED, ALL, NULL},
    {"good-ciphersuites", "LIST", OPT_IGNORED, ALL, NULL},
    {"sni", "NAME", OPT_IGNORED, ALL, NULL},
    {"cert-bundle-path", "PATH", OPT_IGNORED, ALL, NULL},
    {"ignore-checksums", NULL, OPT_IGNORED, ALL, NULL},
    {"verify-dest", NULL, OPT_IGNORED, ALL, NULL},
};

_Static_assert(sizeof option_specs / sizeof option_specs[0] <=
                   OPTION_SPECS_MOST,
               "OPTION_SPECS_MOST is too small");

const int option_specs_count = sizeof option_specs / sizeof option_specs[0];

static const struct {
    const char *name, *usage, *does;
} commands[] = {
    [COMMAND_STREAM] = {"stream", "stream --source DISK [OPTION]...",
                        "sends a disk as qcow2 into a stream"},
    [COMMAND_MEASURE] = {"measure", "measure --source DISK [OPTION]...",
                         "tells how long that stream is going to be"},
    [COMMAND_SERVE] = {"serve", "serve --destination DISK [OPTION]...",
                       "brings a stream of qcow2 onto a disk"},
};

const char *option_command_name(enum command command)
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

void option_print_help(enum command command)
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
        for (int i = 0; i < option_specs_count; i++) {
            char left[64];

            if (option_specs[i].help == NULL ||
                !(option_specs[i].commands & 1 << command))
                continue;
            snprintf(left, sizeof left, "--%s%s%s", option_specs[i].name,
                     option_specs[i].value == NULL ? "" : " ",
                     option_specs[i].value == NULL ? ""
                                                   : option_specs[i].value);
            print_column(left, option_specs[i].help);
        }
        puts("\nSizes take K, M, G and T.  Accepted as vhd-tool does, and "
             "ignored:");
        for (int i = 0; i < option_specs_count; i++)
            if (option_specs[i].help == NULL)
                printf("  --%s%s%s\n", option_specs[i].name,
                       option_specs[i].value == NULL ? "" : " ",
                       option_specs[i].value == NULL ? ""
                                                     : option_specs[i].value);
        puts("");
    }
    puts("Exit status: 0 done, 1 failed, 2 wrong usage.");
}
