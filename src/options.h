/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the command line to what a command needs to know. */

#ifndef QT_OPTIONS_H
#define QT_OPTIONS_H

#include "error.h"
#include "log.h"
#include "serve.h"
#include "stream.h"

enum command {
    COMMAND_STREAM,
    COMMAND_SERVE,
    COMMAND_COUNT,
    COMMAND_NONE = COMMAND_COUNT, /* the program itself: help, version */
};

/* The strings are argv's and the environment's. */
struct options {
    enum command command;
    bool wants_help, wants_version;
    enum log_level log_level;
    struct stream_options stream; /* with COMMAND_STREAM */
    struct serve_options serve;   /* with COMMAND_SERVE */
};

/* Returns -1 for what is to exit with 2.  options->command is set even then,
 * if it could be told.
 */
int options_parse(int argc, char **argv, struct options *options,
                  struct error *err);

/* "stream", "serve". */
const char *options_command_name(enum command command);

/* Prints to standard output what --help shows. */
void options_print_help(enum command command);

#endif
