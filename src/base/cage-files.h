/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The part of the cage that denies files: Landlock (landlock(7)). */

#ifndef QT_CAGE_FILES_H
#define QT_CAGE_FILES_H

#include <stdbool.h>
#include <stddef.h>

/* What may be done with a file, or with all that is below a directory. */
enum cage_right {
    CAGE_READ = 1 << 0,
    CAGE_WRITE = 1 << 1,
    CAGE_EXECUTE = 1 << 2,
};

struct cage_file {
    const char *name; /* NULL: it is fd */
    int fd;
    unsigned rights; /* enum cage_right */
};

/* In the child: nothing but the files can be opened from then on, what is not
 * there does not matter.  Unless may_connect, nothing is connected or bound by
 * TCP (Linux 6.7), nor by a UNIX socket without a file (6.12).  no_new_privs
 * must be set.  Returns 0, or what the errno is.
 */
int cage_files_enter(const struct cage_file *files, size_t count,
                     bool may_connect);

#endif
