/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The programs that xapi calls today, which this one can stand in for. */

#ifndef QT_DROPIN_H
#define QT_DROPIN_H

#include "base/error.h"
#include "cli/options.h"

/* Their calls, as the versions of xapi make them (HACKING.md: what xapi
 * calls):
 *
 *     qcow-stream-tool [stream_decode] DEVICE
 *     qcow-stream-tool read_headers IMAGE
 *     qcow2-to-stdout DEVICE [--diff BASE-DEVICE]
 *         [--json-header] [--json-header-diff FD]
 *         [--json-header-map FD --json-header-info FD]
 *         [--json-header-diff-map FD --json-header-diff-info FD]
 *         [--output FD] [-c CLUSTER-SIZE] [-r REFCOUNT-BITS]
 */
enum dropin {
    DROPIN_STREAM_TOOL,
    DROPIN_TO_STDOUT,
    DROPIN_NONE, /* not under such a name */
};

/* By the last part of argv[0]; that of the latter may end in ".py". */
enum dropin dropin_find(const char *argv0);

const char *dropin_name(enum dropin dropin);

/* As options_parse. */
int dropin_parse(enum dropin dropin, int argc, char **argv,
                 struct options *options, struct error *err);

void dropin_print_help(enum dropin dropin);

#endif
