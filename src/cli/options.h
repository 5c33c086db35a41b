/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the command line to what a command needs to know. */

#ifndef QT_OPTIONS_H
#define QT_OPTIONS_H

#include "base/error.h"
#include "base/log.h"
#include "export/measure.h"
#include "cli/option-table.h"
#include "import/serve.h"
#include "export/stream.h"

/* The strings are argv's and the environment's. */
struct options {
    enum command command;
    bool wants_help, wants_version;
    enum log_level log_level;
    struct stream_options stream;   /* with COMMAND_STREAM */
    struct measure_options measure; /* with COMMAND_MEASURE */
    struct serve_options serve;     /* with COMMAND_SERVE */
};

/* Returns -1 for what is to exit with 2.  options->command is set even then,
 * if it could be told.
 */
int options_parse(int argc, char **argv, struct options *options,
                  struct error *err);

/* What nobody has said otherwise about. */
void options_set_defaults(struct options *options);

#endif
