/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The commands and options that there are. */

#include "config.h"

#include "cli/option-table.h"

#include <stddef.h>
#include <string.h>

enum {
    STREAM = 1 << COMMAND_STREAM,
    MEASURE = 1 << COMMAND_MEASURE,
    VALIDATE = 1 << COMMAND_VALIDATE,
    SERVE = 1 << COMMAND_SERVE,
    OUT = STREAM | MEASURE,
    OLD = OUT | SERVE, /* those that callers of vhd-tool may mean */
    IMAGE = OUT | VALIDATE,
    ALL = OLD | VALIDATE,
};

/* In the order of the help, in which a group stands together. */
const struct option_spec option_specs[] = {
#define GROUP GROUP_SOURCE
    {"source", 0, "DISK", OPT_SOURCE, IMAGE, GROUP,
     "the disk, as --source-format says; or DISK\n"
     "alone; - is standard input, if that is a file"},
    {"source-format", 0, "FORMAT", OPT_SOURCE_FORMAT, IMAGE, GROUP,
     "raw (default): PATH, read the disk and leave\n"
     "out zeroes; hybrid: DEVICE:IMAGE, take data\n"
     "from DEVICE and the allocation map from IMAGE;\n"
     "qcow2, vpc, vhdx, vmdk, vdi: PATH, an image\n"
     "file; nbd: an NBD URI; nbdhybrid:\n"
     "DEVICE:NBD-SOCKET:EXPORT:SIZE, data from\n"
     "DEVICE and the map from an NBD export"},
    {"image-format", 0, "FORMAT", OPT_IMAGE_FORMAT, IMAGE, GROUP,
     "of IMAGE; qcow2 by default, never probed"},
    {"relative-to", 0, "BASE", OPT_RELATIVE_TO, OUT, GROUP,
     "send only what differs from BASE: an NBD URI;\n"
     "with hybrid and image files an image of the\n"
     "same format; else a raw disk"},
    {"bitmap", 0, "NAME", OPT_BITMAP, OUT, GROUP,
     "send only what this dirty bitmap marks, which\n"
     "the source's NBD server has (nbd, nbdhybrid)"},
    {"changed-blocks", 0, "FILE", OPT_CHANGED_BLOCKS, OUT, GROUP,
     "send only what has changed: the result of\n"
     "xapi's VDI.list_changed_blocks; or -, or fd:FD"},
    {"zero-clusters", 0, "KIND", OPT_ZERO_CLUSTERS, OUT, GROUP,
     "what is zero here but not in BASE, or has\n"
     "become zero, goes as data (default), or with\n"
     "the zero flag"},
    {"detect-zeroes", 0, NULL, OPT_DETECT_ZEROES, IMAGE, GROUP,
     "leave out zeroes inside of what is allocated"},
    {"stream", 0, "FILE", OPT_STREAM, VALIDATE, GROUP,
     "instead of a source, a stream that has been\n"
     "received; - is standard input"},
    {"source-fd", 0, "FD", OPT_SOURCE_FD, SERVE, GROUP,
     "the stream; standard input by default"},
    {"source-size", 0, "BYTES", OPT_SOURCE_SIZE, SERVE, GROUP,
     "the exact length of the stream"},
#undef GROUP
#define GROUP GROUP_DESTINATION
    {"destination", 0, "WHERE", OPT_DESTINATION, STREAM, GROUP,
     "stdout: or - (default), fd:FD, PATH,\n"
     "file://PATH, unix://PATH, tcp://HOST:PORT"},
    {"destination-fd", 0, "FD", OPT_DESTINATION_FD, STREAM, GROUP,
     "a socket, a pipe or a file, by its number or\n"
     "by its UUID in LISTEN_FDNAMES"},
    {"destination", 0, "DISK", OPT_DESTINATION, SERVE, GROUP,
     "a block device, a file or a new file: PATH or\n"
     "file://PATH; an NBD URI; or DISK alone; - is\n"
     "standard output, if that is a file"},
    {"destination-format", 0, "FORMAT", OPT_DESTINATION_FORMAT, SERVE, GROUP,
     "raw (default): the disk itself; or qcow2, vpc,\n"
     "vhdx, vmdk, vdi: a new image file"},
    {"destination-options", 0, "OPTIONS", OPT_DESTINATION_OPTIONS, SERVE,
     GROUP, "of that image, as qemu-img create -o has them"},
    {"destination-size", 0, "BYTES", OPT_DESTINATION_SIZE, SERVE, GROUP,
     "may be the length of the stream, or anything;\n"
     "what the disk itself measures counts"},
    {"prezeroed", 0, NULL, OPT_PREZEROED, SERVE, GROUP,
     "leave alone what the image does not allocate"},
    {"discard", 0, "WHAT", OPT_DISCARD, SERVE, GROUP,
     "of the space that zeroes take: unmap (default),\n"
     "give it back; ignore, keep it"},
    {"force", 0, NULL, OPT_FORCE, STREAM | SERVE, GROUP,
     "write even to a destination that is in use:\n"
     "mounted, swap, below another device, or open\n"
     "in QEMU or exclusively in another program"},
#undef GROUP
#define GROUP GROUP_IMAGE
    {"layout", 0, "LAYOUT", OPT_LAYOUT, IMAGE, GROUP,
     "streamable (default): all metadata, then the\n"
     "data in order; convert: byte for byte what\n"
     "qemu-img convert writes; any: streamable if\n"
     "this QEMU does it, else what it does"},
    {"cluster-size", 0, "BYTES", OPT_CLUSTER_SIZE, IMAGE, GROUP,
     "64K by default"},
    {"refcount-bits", 0, "BITS", OPT_REFCOUNT_BITS, IMAGE, GROUP,
     "16 by default; auto: the most, up to 16, with\n"
     "which xapi's own importer takes the image"},
    {"compat", 0, "VERSION", OPT_COMPAT, IMAGE, GROUP,
     "1.1 (default) or 0.10"},
    {"extended-l2", 0, NULL, OPT_EXTENDED_L2, IMAGE, GROUP,
     "allocate in 32nds of a cluster"},
#undef GROUP
#define GROUP GROUP_TRANSFER
    {"offset", 0, "BYTES", OPT_OFFSET, OUT, GROUP,
     "begin there in the image, to go on with one\n"
     "that broke off"},
    {"length", 0, "BYTES", OPT_LENGTH, OUT, GROUP,
     "so many bytes of the image are wanted, not all"},
    {"first-byte-within", 0, "SECONDS", OPT_FIRST_BYTE_WITHIN, STREAM, GROUP,
     "send a byte as often as that while the image\n"
     "is planned; 20 by default, 0 for none"},
    {"expect-id", 0, "ID", OPT_EXPECT_ID, OUT, GROUP,
     "fail at once unless it is the image of this\n"
     "id, which measure prints"},
    {"expect-length", 0, "BYTES", OPT_EXPECT_LENGTH, OUT, GROUP,
     "fail at once unless the image is that long"},
    {"direct", 0, NULL, OPT_DIRECT, ALL, GROUP,
     "do not use the page cache for the disk"},
    {"spool-dir", 0, "DIR", OPT_SPOOL_DIR, ALL, GROUP,
     "for what must be kept for a while; by default\n"
     "$QCOW_TOOL_SPOOL_DIR, $TMPDIR or /var/tmp"},
    {"spool-limit", 0, "BYTES", OPT_SPOOL_LIMIT, OLD, GROUP,
     "fail rather than keep more than this there;\n"
     "0, by default or as $QCOW_TOOL_SPOOL_LIMIT\n"
     "says: no limit"},
    {"rate-limit", 0, "BYTES", OPT_RATE_LIMIT, STREAM | SERVE, GROUP,
     "of the stream, no more than this each second;\n"
     "0, by default, is no limit"},
    {"stall-timeout", 0, "SECONDS", OPT_STALL_TIMEOUT, OLD, GROUP,
     "fail when nothing has moved for so long; 0,\n"
     "the default: never"},
    {"checksum", 0, "KIND", OPT_CHECKSUM, STREAM | SERVE, GROUP,
     "sha256: tell that of the stream, in the report\n"
     "and with --verbose"},
#undef GROUP
#define GROUP GROUP_PROGRESS
    {"progress", 0, NULL, OPT_PROGRESS, ALL, GROUP,
     "show how far the work is"},
    {"machine", 0, NULL, OPT_MACHINE, OLD, GROUP,
     "with --progress: as three digits for each\n"
     "percent, on standard output"},
    {"report", 0, "FILE", OPT_REPORT, ALL, GROUP,
     "write there at the end, also after a failure,\n"
     "what was done, as JSON; fd:FD is an open fd"},
    {"json", 0, NULL, OPT_JSON, VALIDATE, GROUP, "print JSON, not a table"},
    {"quiet", 'q', NULL, OPT_QUIET, ALL, GROUP,
     "say nothing but errors, not even warnings"},
    {"verbose", 'v', NULL, OPT_VERBOSE, ALL, GROUP,
     "say at the end what was done"},
    {"debug", 0, NULL, OPT_DEBUG, ALL, GROUP,
     "show each command that is run, the plan and\n"
     "the map"},
    {"help", 'h', NULL, OPT_HELP, ALL, GROUP, "show this"},
    {"version", 'V', NULL, OPT_VERSION, ALL, GROUP, "show the versions"},
#undef GROUP
#define GROUP GROUP_QEMU
    {"qemu-img", 0, "PATH", OPT_QEMU_IMG, ALL, GROUP,
     "the program to use; by default what\n"
     "$QCOW_TOOL_QEMU_IMG says"},
    {"qemu-io", 0, "PATH", OPT_QEMU_IO, ALL, GROUP,
     "the same, $QCOW_TOOL_QEMU_IO"},
    {"qemu-nbd", 0, "PATH", OPT_QEMU_NBD, ALL, GROUP,
     "the same, $QCOW_TOOL_QEMU_NBD"},
    {"sandbox", 0, "WHAT", OPT_SANDBOX, ALL, GROUP,
     "that QEMU runs in: auto (default), all that\n"
     "this host has; require, or fail; off"},
#undef GROUP
#define GROUP GROUP_VHD_TOOL
    {"source-format", 0, "FORMAT", OPT_SOURCE_FORMAT, SERVE, GROUP,
     "of the stream: qcow2 is the only one"},
    {"destination-format", 0, "FORMAT", OPT_DESTINATION_FORMAT, STREAM, GROUP,
     "of the stream: qcow2 is the only one"},
    {"source-protocol", 0, "NAME", OPT_PROTOCOL, OLD, GROUP,
     "none is the only one"},
    {"destination-protocol", 0, "NAME", OPT_PROTOCOL, STREAM | SERVE, GROUP,
     "none is the only one"},
    {"unbuffered", 0, NULL, OPT_DIRECT, OLD, GROUP, "the same as --direct"},
#define IGNORED "ignored"
    {"tar-filename-prefix", 0, "PREFIX", OPT_IGNORED_PREFIX, OLD, GROUP,
     IGNORED},
    {"path", 0, "PATH", OPT_IGNORED, OLD, GROUP, IGNORED},
    {"good-ciphersuites", 0, "LIST", OPT_IGNORED, OLD, GROUP, IGNORED},
    {"sni", 0, "NAME", OPT_IGNORED, OLD, GROUP, IGNORED},
    {"cert-bundle-path", 0, "PATH", OPT_IGNORED, OLD, GROUP, IGNORED},
    {"ignore-checksums", 0, NULL, OPT_IGNORED, OLD, GROUP, IGNORED},
    {"verify-dest", 0, NULL, OPT_IGNORED, OLD, GROUP, IGNORED},
#undef IGNORED
#undef GROUP
};

_Static_assert(sizeof option_specs / sizeof option_specs[0] <=
                   OPTION_SPECS_MOST,
               "OPTION_SPECS_MOST is too small");

const int option_specs_count = sizeof option_specs / sizeof option_specs[0];

const struct command_spec command_specs[COMMAND_COUNT] = {
    [COMMAND_STREAM] = {"stream", "DISK [OPTION]... > IMAGE.qcow2",
                        "sends a disk as qcow2 into a stream", OPT_SOURCE},
    [COMMAND_MEASURE] = {"measure", "DISK [OPTION]...",
                         "tells how long that stream is going to be",
                         OPT_SOURCE},
    [COMMAND_VALIDATE] = {"validate", "DISK [OPTION]... | --stream FILE",
                          "proves that a stream is QEMU's own", OPT_SOURCE},
    [COMMAND_SERVE] = {"serve", "DISK [OPTION]... < IMAGE.qcow2",
                       "brings a stream of qcow2 onto a disk",
                       OPT_DESTINATION},
};

enum command option_find_command(const char *name)
{
    int i = 0;

    while (i < COMMAND_COUNT && strcmp(name, command_specs[i].name) != 0)
        i++;
    return i;
}

const struct option_spec *option_find(enum command command, enum option_id id)
{
    for (int i = 0; i < option_specs_count; i++)
        if (option_specs[i].id == id &&
            option_specs[i].commands & 1 << command)
            return &option_specs[i];
    return NULL;
}

const struct option_spec *option_find_name(enum command command,
                                           const char *name, int length)
{
    for (int i = 0; i < option_specs_count; i++)
        if (option_specs[i].commands & 1 << command &&
            strncmp(option_specs[i].name, name, length) == 0 &&
            option_specs[i].name[length] == '\0')
            return &option_specs[i];
    return NULL;
}
