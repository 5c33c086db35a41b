/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the command line to what a command needs to know. */

#ifndef QT_OPTIONS_H
#define QT_OPTIONS_H

#include "error.h"
#include "log.h"
#include "measure.h"
#include "option-table.h"
#include "serve.h"
#include "stream.h"

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
