/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The fds that we were started with, made safe. */

#ifndef QT_TIDY_FDS_H
#define QT_TIDY_FDS_H

#include "base/error.h"

#include <stdbool.h>

/* Makes standard streams that are closed /dev/null, of no use but taken, so
 * that no file of ours is ever mistaken for one; and every other fd that we
 * were started with close on exec: a client's socket must not live on in a
 * child.  Returns 0, or -1 and errno.
 */
int tidy_fds(void);

/* Was it a standard stream that was closed when we were started? */
bool tidy_fds_was_closed(int fd);

/* Fills err for something that could not be written to standard output, as
 * errno says.  Returns -1.
 */
int tidy_fds_stdout_failed(struct error *err);

#endif
