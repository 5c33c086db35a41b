/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The part of the cage that denies files: Landlock (landlock(7)). */

#ifndef QT_CAGE_FILES_H
#define QT_CAGE_FILES_H

#include "base/cage-rules.h"

#include <stdbool.h>

/* What may be reached besides files. */
enum cage_reach {
    CAGE_ALONE,     /* no TCP (Linux 6.7), no UNIX socket without a file, no
                     * signals to others (6.12) */
    CAGE_CONNECTED, /* only no signals to others */

    /* Us, who have programs to end. */
    CAGE_OURSELVES, /* no TCP */
    CAGE_OURSELVES_CONNECTED,
};

/* Does this kernel have Landlock? */
bool cage_files_can_enter(void);

/* For this thread, and those and the children that it starts: from then on
 * nothing but these files can be opened.  What is not there does not matter.
 * no_new_privs must be set.  It takes no lock and no memory.  Returns 0, or
 * what the errno is.
 */
int cage_files_enter(const struct cage_rules *rules, enum cage_reach reach);

#endif
