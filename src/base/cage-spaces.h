/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The part of the cage that takes the network and files out of sight:
 * namespaces(7).
 */

#ifndef QT_CAGE_SPACES_H
#define QT_CAGE_SPACES_H

#include "base/cage-rules.h"

/* For this thread, and the threads and programs that it starts: a network with
 * nothing in it, and no System V IPC of others.  What is connected stays so.
 * Only root may have that; for others nothing is done.  Returns 0, or what the
 * errno is.
 */
int cage_spaces_leave_network(void);

/* For those as well: no file can be reached by a name but those of the rules;
 * what is open stays so.  Names keep their meaning, relative ones too.  It is
 * for a kernel without Landlock, and coarser: a file can be executed wherever
 * it can be read.  Rules that are an fd are left out.  Only root may have
 * that, and needs CAP_SYS_ADMIN; for others, and if all may be read, nothing
 * is done.  Returns 0, or what the errno is: all files are in sight then.
 */
int cage_spaces_leave_files(const struct cage_rules *rules);

#endif
