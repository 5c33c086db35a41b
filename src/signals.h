/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SIGINT, SIGTERM and SIGHUP as a flag and a readable fd. */

#ifndef QT_SIGNALS_H
#define QT_SIGNALS_H

#include "error.h"

/* Notes the signal instead of dying of it, so that children are reaped and
 * new files removed first.  There is no SA_RESTART: what blocks is
 * interrupted.  A signal that the parent told us to ignore stays ignored.
 * SIGPIPE is ignored from here on: a client that left is an errno.
 */
int signals_open(struct error *err);

/* Becomes readable when a signal has been noted, and stays so. */
int signals_fd(void);

/* The number of the first signal noted, or 0. */
int signals_caught(void);

/* For a thread that is not main: all signals go to the main thread. */
void signals_block(void);

/* Between fork and exec: everything as our own parent had it. */
void signals_reset_in_child(void);

/* If a signal was noted, dies of it, so that the exit status tells. */
void signals_raise_again(void);

#endif
