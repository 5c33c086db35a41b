/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The variables that a child gets. */

#ifndef QT_ENVIRONMENT_H
#define QT_ENVIRONMENT_H

#include "base/cage.h"
#include "base/error.h"

#include <stdbool.h>

enum { ENVIRONMENT_PID_DIGITS = 20 };

struct environment {
    char pid[sizeof "LISTEN_PID=" + ENVIRONMENT_PID_DIGITS];
    char **variables; /* to be freed; NULL: as ours */
};

/* Before fork.  has_listener: it gets a listening socket as its fd 3, which
 * sd_listen_fds(3) finds by variables.
 */
int environment_make(const struct cage *cage, bool has_listener,
                     struct environment *environment, struct error *err);

/* In the child, which alone knows its LISTEN_PID: makes them those that exec
 * takes.
 */
void environment_enter(struct environment *environment);

#endif
