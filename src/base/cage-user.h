/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The part of the cage that takes root's power away. */

#ifndef QT_CAGE_USER_H
#define QT_CAGE_USER_H

#include <stdbool.h>
#include <sys/types.h>

/* Who is no user of ours: QEMU_USER of config.h. */
struct cage_user {
    uid_t uid;
    gid_t gid;
    int errnum; /* there is no such user, and why; 0: there is */
};

/* Looks it up, the first time.  For any thread. */
void cage_user_find(struct cage_user *user);

/* All that follows is for this thread, and without effect unless we are root.
 * It takes no lock and no memory.
 * Each returns 0, or what the errno is.
 */

/* Becomes the user, who is in no other group.  EACCES: the user cannot run
 * program, and nothing is changed.
 */
int cage_user_enter(const struct cage_user *user, const char *program);

/* What is left of root's power: what it may do with a file that is not root's,
 * and what it takes to start a program as another user, and to end it.
 */
enum cage_power {
    CAGE_POWER_NONE,
    CAGE_POWER_READ,
    CAGE_POWER_WRITE,
    CAGE_POWER_START, /* and read */
    CAGE_POWER_START_AND_WRITE,
};

/* Gives up all capabilities beyond power, for good; and, whoever we are, does
 * not hand any on that our caller handed to us.
 */
int cage_user_drop_capabilities(enum cage_power power);

/* Leaves all groups but its own. */
int cage_user_leave_groups(void);

#endif
