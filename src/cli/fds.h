/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Finds the fd that an argument means. */

#ifndef QT_FDS_H
#define QT_FDS_H

#include "base/error.h"

/* text is the number of an open fd, or a UUID: the name that systemd's
 * convention (sd_listen_fds(3): LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PID) gives
 * to one of the fds from 3 on.  The fd stays whoever's it was.
 */
int fds_find(const char *text, int *fd, struct error *err);

/* The same, but a UUID that names no fd is no error: *fd is -1 then. */
int fds_find_if_passed(const char *text, int *fd, struct error *err);

#endif
