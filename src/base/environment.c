/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The variables that a child gets. */

#include "config.h"

#include "base/environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int environment_make(const struct cage *cage, bool has_listener,
                     struct environment *e, struct error *err)
{
    size_t count = 0;

    *e = (struct environment){.variables = NULL};
    if (cage == NULL && !has_listener)
        return 0;
    while (environ[count] != NULL)
        count++;
    e->variables = calloc(count + 3, sizeof *e->variables);
    if (e->variables == NULL)
        return error_set(err, errno, "no memory for the environment");
    count = 0;
    if (has_listener) {
        e->variables[count++] = (char *)"LISTEN_FDS=1";
        e->variables[count++] = e->pid;
    }
    for (char **v = environ; *v != NULL; v++)
        if (cage_has_variable(cage, *v) &&
            !(has_listener && strncmp(*v, "LISTEN_", 7) == 0))
            e->variables[count++] = *v;
    return 0;
}

/* snprintf is not for here. */
static void set_listen_pid(struct environment *e)
{
    char digits[ENVIRONMENT_PID_DIGITS];
    size_t n = 0, at = strlen("LISTEN_PID=");
    unsigned long pid = getpid();

    memcpy(e->pid, "LISTEN_PID=", at);
    for (; pid != 0; pid /= 10)
        digits[n++] = '0' + pid % 10;
    while (n > 0)
        e->pid[at++] = digits[--n];
    e->pid[at] = '\0';
}

void environment_enter(struct environment *e)
{
    if (e->variables == NULL)
        return;
    set_listen_pid(e);
    environ = e->variables;
}
