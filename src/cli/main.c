/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Runs a command; the only place that prints an error and exits. */

#include "config.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/interruption.h"
#include "base/log.h"
#include "base/own-cage.h"
#include "base/progress.h"
#include "base/signals.h"
#include "base/stall.h"
#include "base/tidy-fds.h"
#include "cli/dropin.h"
#include "cli/help.h"
#include "cli/options.h"
#include "nbd/client.h"
#include "qemu/qemu-img.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2 };

/* What a signal or a stall has ended says so. */
static int explained(int r, struct error *err)
{
    return r == 0 ? 0 : interruption_explain(err);
}

static int run_stream(const struct options *o, struct error *err)
{
    return explained(stream(&o->stream, err), err);
}

static int run_measure(const struct options *o, struct error *err)
{
    return explained(measure(&o->measure, err), err);
}

static int run_validate(const struct options *o, struct error *err)
{
    return explained(validate(&o->validate, err), err);
}

/* It does so itself, before it says what it leaves. */
static int run_serve(const struct options *o, struct error *err)
{
    return serve(&o->serve, err);
}

static int run_headers(const struct options *o, struct error *err)
{
    return explained(headers(&o->headers, err), err);
}

static int (*const run[])(const struct options *o, struct error *err) = {
    [COMMAND_STREAM] = run_stream,     [COMMAND_MEASURE] = run_measure,
    [COMMAND_VALIDATE] = run_validate, [COMMAND_SERVE] = run_serve,
    [COMMAND_HEADERS] = run_headers,
};

/* How we were called. */
struct call {
    enum dropin dropin;
    struct options options;
    struct report report;
};

static void cleanup_call(struct call *call)
{
    options_clear(&call->options);
}

static const char *program_name(const struct call *call)
{
    return call->dropin == DROPIN_NONE ? "qcow-tool"
                                       : dropin_name(call->dropin);
}

static int fail(const struct call *call, const struct error *err, int status)
{
    enum command command = call->options.command;

    if (command == COMMAND_NONE || call->dropin != DROPIN_NONE)
        log_error("%s", err->msg);
    else
        log_error("%s: %s", command_specs[command].name, err->msg);
    return status;
}

/* Text that did not reach its reader is a failure, too. */
static int finish_text(void)
{
    struct error err;

    if (fflush(stdout) == 0)
        return EXIT_SUCCESS;
    tidy_fds_stdout_failed(&err);
    log_error("%s", err.msg);
    return EXIT_FAILURE;
}

static int show_help(const struct call *call)
{
    if (call->dropin != DROPIN_NONE)
        dropin_print_help(call->dropin);
    else
        help_print(call->options.command);
    return finish_text();
}

/* One that is missing is no error here, but what who asks wants to know. */
static void show_qemu_version(const char *program, const char *name)
{
    char version[QEMU_VERSION];
    struct error err;

    if (qemu_read_version(program, name, version, &err) == 0)
        printf("%s %s\n", name, version);
    else
        printf("%s: %s\n", name, err.msg);
}

static int show_version(const struct call *call)
{
    struct qemu qemu = call->options.qemu;
    char libnbd[LIBNBD_VERSION_SPACE];
    struct error err;

    /* It has children, as any command. */
    if (signals_open(&err) == -1)
        return fail(call, &err, EXIT_FAILURE);
    qemu_find(&qemu);
    nbd_client_version(libnbd);
    printf("%s " PACKAGE_VERSION "\nlibnbd %s\n", program_name(call), libnbd);
    show_qemu_version(qemu.img, "qemu-img");
    show_qemu_version(qemu.io, "qemu-io");
    show_qemu_version(qemu.nbd, "qemu-nbd");
    return finish_text();
}

/* What the command did is to be told. */
static int begin_report(struct call *call, struct error *err)
{
    struct options *o = &call->options;

    if (o->report_file.path == NULL && o->report_file.fd == -1)
        return 0;
    report_open(&call->report);
    o->stream.export.report = &call->report;
    o->measure.export.report = &call->report;
    o->validate.export.report = &call->report;
    o->serve.report = &call->report;
    return report_file_open(&o->report_file, err);
}

/* failure is NULL if there was none.  The work is done, or has failed,
 * whatever becomes of the report: so that is no failure.
 */
static void end_report(struct call *call, const struct error *failure)
{
    struct options *o = &call->options;
    struct error err;

    if (o->report_file.fd != -1 &&
        report_file_write(&o->report_file, &call->report,
                          command_specs[o->command].name, &o->qemu, failure,
                          &err) == -1)
        log_error("%s", err.msg);
}

int main(int argc, char **argv)
{
    struct call CLEANUP(call) call = {.dropin = dropin_find(argv[0])};
    struct options *o = &call.options;
    struct error err;

    log_open(program_name(&call), LOG_NOTICES);
    if (tidy_fds() == -1) {
        log_error("cannot tidy the open files: %s%s", strerror(errno),
                  errno == ENOENT ? "; /proc is not mounted" : "");
        return EXIT_FAILURE;
    }
    if (call.dropin == DROPIN_NONE
            ? options_parse(argc, argv, o, &err) == -1
            : dropin_parse(call.dropin, argc, argv, o, &err) == -1)
        return fail(&call, &err,
                    error_is_shortage(err.errnum) ? EXIT_FAILURE : EXIT_USAGE);
    if (o->wants_help)
        return show_help(&call);
    log_open(program_name(&call), o->log_level);
    if (own_cage_begin(o->qemu.sandbox, &err) == -1)
        return fail(&call, &err, EXIT_FAILURE);
    if (o->wants_version)
        return show_version(&call);
    if (begin_report(&call, &err) == -1)
        return fail(&call, &err, EXIT_FAILURE);
    if (signals_open(&err) == 0 &&
        signals_answer_usr1(progress_tell, &err) == 0 &&
        stall_open(o->stall_seconds, &err) == 0 &&
        run[o->command](o, &err) == 0) {
        end_report(&call, NULL);
        return EXIT_SUCCESS;
    }
    fail(&call, &err, EXIT_FAILURE);
    end_report(&call, &err);
    signals_raise_again();
    return EXIT_FAILURE;
}
