/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Calls of the programs that this one stands in for, for their tests. */

#ifndef QT_DROPIN_CALL_H
#define QT_DROPIN_CALL_H

#include "cli/dropin.h"
#include "command-line.h"

#include <fcntl.h>

/* Standard output while a call is parsed, and standard error; -1: as it is. */
static int parse_stdout = -1, parse_stderr = -1;

/* Exchanges fd with what is open as number; -1: does nothing. */
static inline void exchange(int *fd, int number)
{
    int was = *fd == -1 ? -1 : dup(number);

    if (*fd == -1)
        return;
    test_require(was != -1 && dup2(*fd, number) != -1 && dup2(was, *fd) != -1,
                 "dup2");
    close(was);
}

/* args, which end with NULL, are those behind the program's name. */
static inline int parse_dropin(enum dropin dropin,
                               const char *const args[MAX_ARGS],
                               struct options *o, struct error *err)
{
    char *argv[MAX_ARGS + 2] = {(char *)dropin_name(dropin)};
    int argc = 1, r;

    while (argc <= MAX_ARGS && args[argc - 1] != NULL) {
        argv[argc] = (char *)args[argc - 1];
        argc++;
    }
    exchange(&parse_stdout, STDOUT_FILENO);
    exchange(&parse_stderr, STDERR_FILENO);
    r = dropin_parse(dropin, argc, argv, o, err);
    exchange(&parse_stderr, STDERR_FILENO);
    exchange(&parse_stdout, STDOUT_FILENO);
    return r;
}

/* What is not as it is for a drop-in without options. */
static inline const char *describe_rest(const struct options *o)
{
    static char out[SPACE];
    static const char *const usual[] = {" refcount=auto", " limit=half"};

    snprintf(out, sizeof out, "%s", describe(o));
    for (size_t i = 0; i < N_ELEMENTS(usual); i++) {
        char *found = strstr(out, usual[i]);

        if (found != NULL)
            memmove(found, found + strlen(usual[i]),
                    strlen(found + strlen(usual[i])) + 1);
    }
    return out;
}

/* Standard output is /dev/null, as xapi gives it; the image goes to a pipe. */
static inline void prepare_output(void)
{
    int null = open("/dev/null", O_WRONLY), ends[2];

    test_require(null != -1 && pipe(ends) == 0, "/dev/null, a pipe");
    parse_stdout = fcntl(null, F_DUPFD, 20);
    test_require(parse_stdout != -1 && dup2(ends[1], OPEN_FD) == OPEN_FD,
                 "dup2");
    close(null);
    for (int i = 0; i < 2; i++)
        if (ends[i] != OPEN_FD)
            close(ends[i]);
    close(CLOSED_FD);
}

#endif
