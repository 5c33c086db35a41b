/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* From the command line to what a command needs to know. */

#ifndef QT_OPTIONS_H
#define QT_OPTIONS_H

#include "base/error.h"
#include "base/log.h"
#include "cli/option-table.h"
#include "cli/report-file.h"
#include "export/headers.h"
#include "export/measure.h"
#include "export/stream.h"
#include "export/validate.h"
#include "import/serve.h"

/* Sources and destinations are its own: options_clear.  All other strings are
 * argv's and the environment's.
 */
struct options {
    enum command command;
    bool wants_help, wants_version;
    enum log_level log_level;
    struct qemu qemu; /* the programs that the command would run */
    struct report_file report_file;
    unsigned stall_seconds; /* without any movement: too long; 0: never is */
    struct stream_options stream;     /* with COMMAND_STREAM */
    struct measure_options measure;   /* with COMMAND_MEASURE */
    struct validate_options validate; /* with COMMAND_VALIDATE */
    struct serve_options serve;       /* with COMMAND_SERVE */
    struct headers_options headers;   /* with COMMAND_HEADERS */
};

/* Returns -1 for wrong usage, which main ends with exit status 2.
 * options->command is set even then, if it could be told.  options is the
 * caller's to clear, whatever happens.
 */
int options_parse(int argc, char **argv, struct options *options,
                  struct error *err);

/* What a command line without any option means.  What options held before is
 * not freed.
 */
void options_set_defaults(struct options *options);

void options_clear(struct options *options);

#define cleanup_options options_clear /* for CLEANUP(options) */

#endif
