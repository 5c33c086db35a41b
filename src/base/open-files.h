/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Which files another process has open: /proc/PID/fd, proc(5). */

#ifndef QT_OPEN_FILES_H
#define QT_OPEN_FILES_H

#include "base/error.h"
#include "base/io.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Does the process pid have the regular file or block device open that is
 * open as fd here?  False, too, if that cannot be seen.
 */
bool open_files_has(pid_t pid, int fd);

/* Lists what the process pid has open, each file as often as it is open.
 * *list is memory of *count items, which the caller frees, whatever happens;
 * NULL if there is none.  name is the program's, for messages.
 */
int open_files_list(pid_t pid, const char *name, struct io_file_id **list,
                    size_t *count, struct error *err);

#endif
