/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The part of the cage that denies system calls: seccomp(2). */

#ifndef QT_CAGE_CALLS_H
#define QT_CAGE_CALLS_H

#include "base/error.h"

struct sock_fprog;

enum cage_calls {
    CAGE_CALLS_OF_TOOL,   /* what a QEMU tool needs; any other is ENOSYS */
    CAGE_CALLS_OF_WRITER, /* the same, and it opens files to write to them */
    CAGE_CALLS_OF_SCRIPT, /* any but dangerous ones, and no socket */
    CAGE_CALLS_OF_CLIENT, /* the same, with sockets */
    CAGE_CALLS_COUNT,
};

/* The filter, made at the first call and kept; NULL if this program was built
 * without libseccomp, or with an error.  For any thread.
 */
int cage_calls_find(enum cage_calls which, const struct sock_fprog **filter,
                    struct error *err);

/* In the child: returns 0, or what the errno is.  no_new_privs must be set. */
int cage_calls_enter(const struct sock_fprog *filter);

#endif
