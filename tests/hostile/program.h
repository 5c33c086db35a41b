/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Programs that are given a broken image. */

#ifndef QT_HOSTILE_PROGRAM_H
#define QT_HOSTILE_PROGRAM_H

#include <stdbool.h>
#include <sys/resource.h>

/* Runs a program in the current directory, with the file `image' there as its
 * standard input and its standard error in the file `said'.  SIGCHLD has to be
 * blocked.  Returns its wait status, or -1 if it had to be killed, because it
 * took a minute.
 */
int program_run(const char **argv, struct rusage *usage);

/* Kills whoever outlived the program, who has become our child.  Was there
 * anybody?
 */
bool program_kill_left(void);

#endif
