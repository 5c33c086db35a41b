/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What a program that we start may do: as little as its work needs. */

#ifndef QT_CAGE_H
#define QT_CAGE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum cage_policy {
    CAGE_AUTO,    /* what this host lacks is left out; --debug says so */
    CAGE_OFF,     /* no cage at all */
    CAGE_REQUIRE, /* what this host lacks is an error */
};

/* What the work of a program needs, beyond its inherited fds.  Pipes and
 * sockets among these are used as they are.  Files and block devices may be
 * opened again, by the name /proc/self/fd/N, to be read.
 */
struct cage_spec {
    enum cage_policy policy;

    /* Files that it may open by their names, to read them. */
    const char *const *names;
    size_t n_names;

    bool may_write;       /* to those inherited files that we may write to */
    bool may_read_all;    /* the names of its files are not known beforehand */
    bool may_connect;     /* it reads over the network, too */
    size_t n_images;      /* that it opens at once: each takes memory */
    unsigned cpu_seconds; /* CPU time that it may use; 0: any */
};

struct cage;

/* Before fork: finds out all that needs memory or a lock.  program is what is
 * going to be executed, as execvp takes it; fds those that are inherited.
 * They and all of spec must outlive the cage.  *cage is NULL with CAGE_OFF.
 */
int cage_make(const struct cage_spec *spec, const char *program,
              const int *fds, size_t n_fds, struct cage **cage,
              struct error *err);

/* NULL is fine, in all that follow. */
void cage_free(struct cage *cage);

/* Does the program get this variable, "NAME=value"? */
bool cage_has_variable(const struct cage *cage, const char *variable);

/* A part of the cage that this host does not have, or the reason why the
 * program cannot be started at all (CAGE_NO_PART).
 */
enum cage_part {
    CAGE_NO_PART,
    CAGE_NO_NEW_PRIVILEGES,
    CAGE_LIMITS,
    CAGE_USER,
    CAGE_CAPABILITIES,
    CAGE_FILES,
    CAGE_CALLS,
    CAGE_PARTS,
};

struct cage_complaint {
    enum cage_part part;
    int errnum;
};

/* In the child, last before exec: from then on only exec, write, exit and
 * what is as harmless can be counted on.  It takes no lock and no memory.
 * Writes a complaint to report_fd for each part that is lacking.  Returns -1
 * with errno if the program must not be started.
 */
int cage_enter(const struct cage *cage, int report_fd);

/* In the parent, with what came from report_fd: says it in --debug, once.
 * With CAGE_REQUIRE it is an error.
 */
int cage_lacks(const struct cage *cage, const struct cage_complaint *complaint,
               struct error *err);

#endif
