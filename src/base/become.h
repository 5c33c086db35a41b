/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What a child of ours does until it is another program. */

#ifndef QT_BECOME_H
#define QT_BECOME_H

#include "base/cage.h"
#include "base/child.h"
#include "base/environment.h"

#include <sys/types.h>

/* Becomes the program of spec, in the cage, with the environment; or ends.
 * parent is who forked, in (-1: /dev/null), out (the same) and err are its
 * standard streams.  What went wrong, and what the cage lacks, is written to
 * status_fd, which closes when it has become the program: each a struct
 * cage_complaint.  Only async-signal-safe calls: other threads may have held
 * any lock at the fork.
 */
_Noreturn void become(const struct child_spec *spec, const struct cage *cage,
                      struct environment *environment, pid_t parent, int in,
                      int out, int err, int status_fd);

#endif
