/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What of a file has been written, as its file system has it on disk. */

#ifndef QT_FIEMAP_H
#define QT_FIEMAP_H

#include "base/error.h"
#include "lists/ranges.h"

#include <stdbool.h>

/* Adds to written, which is empty, where fd's file holds what was written to
 * it.  All else reads as zeroes: it is a hole, or was allocated and not
 * written since.  What is still in the page cache is flushed first.  Unlike
 * what SEEK_DATA finds (lseek(2)), this does not depend on what has been read
 * before.  If the file system cannot tell, or it is no regular file, *is_known
 * is false.  (Documentation/filesystems/fiemap.rst of Linux.)
 */
int fiemap_find_written(int fd, struct ranges *written, bool *is_known,
                        struct error *err);

#endif
