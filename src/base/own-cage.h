/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What we give up ourselves, once our ends are open. */

#ifndef QT_OWN_CAGE_H
#define QT_OWN_CAGE_H

#include "base/cage.h"
#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* What is still to be done by names; what is open already stays as it is. */
struct own_cage {
    enum cage_policy policy;

    /* Programs that are still to be started, as execvp takes them; NULL ends
     * them.  Unless may_read_all, nothing is read but what they need.
     */
    const char *const *programs;
    bool may_read_all;
    bool may_connect;

    /* A file of ours, that may have to be removed; a directory where files
     * are made.  NULL: no such.
     */
    const char *made_path;
    const char *spool_dir;
};

/* First of all: no core dump with a stranger's data in it, nobody but root
 * reads our memory (/proc/PID/mem), and no program that we start gains
 * privileges.  With CAGE_OFF it is done as well, if it can be.
 */
int own_cage_begin(enum cage_policy policy, struct error *err);

/* For this thread and those that it starts: no file is opened but as own says;
 * as root, no network is there unless own says so, and no power is left but to
 * start programs as another user, and to end them.  no_new_privs must be set.
 * What the host lacks is said by --debug; with CAGE_REQUIRE it is an error.
 */
int own_cage_enter(const struct own_cage *own, struct error *err);

/* A thread that opens no file and starts nothing; else as
 * signals_create_thread.  What the host lacks is said, or is an error, as
 * own_cage_begin was told.
 */
int own_cage_create_thread(pthread_t *thread, void *(*run)(void *),
                           void *opaque, struct error *err);

#endif
