/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a command; the only place that prints an error and exits. */

#include "config.h"

#include "error.h"
#include "io.h"
#include "log.h"
#include "options.h"
#include "signals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2 };

static int run_stream(const struct options *o, struct error *err)
{
    return stream(&o->stream, err);
}

static int run_serve(const struct options *o, struct error *err)
{
    return serve(&o->serve, err);
}

static int (*const run[COMMAND_COUNT])(const struct options *o,
                                       struct error *err) = {
    [COMMAND_STREAM] = run_stream,
    [COMMAND_SERVE] = run_serve,
};

static int fail(const struct options *o, const struct error *err, int status)
{
    if (o->command == COMMAND_NONE)
        log_error("%s", err->msg);
    else
        log_error("%s: %s", options_command_name(o->command), err->msg);
    return status;
}

/* Text that did not reach its reader is a failure, too. */
static int finish_text(void)
{
    if (fflush(stdout) == 0)
        return EXIT_SUCCESS;
    log_error("cannot write to standard output: %s", strerror(errno));
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct options o;
    struct error err;

    log_open("qcow-tool", LOG_ERRORS);
    if (io_tidy_fds() == -1) {
        log_error("cannot look at the open files");
        return EXIT_FAILURE;
    }
    if (options_parse(argc, argv, &o, &err) == -1)
        return fail(&o, &err, EXIT_USAGE);
    if (o.wants_help) {
        options_print_help(o.command);
        return finish_text();
    }
    if (o.wants_version) {
        puts("qcow-tool " PACKAGE_VERSION);
        return finish_text();
    }
    log_open("qcow-tool", o.log_level);
    if (signals_open(&err) == 0 && run[o.command](&o, &err) == 0)
        return EXIT_SUCCESS;
    if (signals_caught() != 0)
        error_set(&err, 0, "ended by signal %d (%s)", signals_caught(),
                  strsignal(signals_caught()));
    fail(&o, &err, EXIT_FAILURE);
    signals_raise_again();
    return EXIT_FAILURE;
}
