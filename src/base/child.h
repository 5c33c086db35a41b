/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The one place that forks: runs a program and never leaves it behind. */

#ifndef QT_CHILD_H
#define QT_CHILD_H

#include "base/cage.h"
#include "base/error.h"
#include "base/io.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child_spec {
    const char *const *argv; /* argv[0] is looked up in PATH */

    /* The fds it gets besides its standard streams, under the numbers they
     * have here.  All others are close on exec (tidy_fds).
     */
    const int *inherit;
    size_t n_inherit;

    /* If not 0, an fd that becomes its fd 3, and is announced as a listening
     * socket (sd_listen_fds(3)).  No inherited fd may have that number then.
     */
    int listen_fd;

    const struct cage_spec *cage; /* what it may do; NULL: what we may */

    /* Bytes that a file may have that it writes or preallocates; 0: as many as
     * ours.  What is more fails with EFBIG.
     */
    uint64_t file_limit;

    int cancel_fd; /* readable: kill it, the work is off; -1 for none */

    /* Fills buf with up to space bytes of standard input, and returns how
     * many; 0 is the end.  NULL: standard input is /dev/null.
     */
    size_t (*feed)(void *opaque, char *buf, size_t space);

    /* Takes the next bytes of standard output.  An error kills the child
     * and becomes child_run's.  NULL: they are dropped.
     */
    int (*consume)(void *opaque, const char *text, size_t length,
                   struct error *err);

    void *opaque; /* for feed and consume, which run in the caller's thread */
};

/* Runs it to its end, and reaps it whatever happens.  Exit status 0 is
 * success; otherwise the error says why, by the last words of the child's
 * standard error if it wrote any.  A noted signal (signals.h) kills it.
 *
 * If we die ourselves the kernel kills it (PR_SET_PDEATHSIG, prctl(2)); as
 * that is bound to the thread, the caller's has to live on until this
 * returns, and it does.
 */
int child_run(const struct child_spec *spec, struct error *err);

struct child;

/* Starts one that goes on while we do something else.  Its standard input is
 * /dev/null, its standard output dropped, and cancel_fd looked at until it has
 * become the program.  It is told from others by its name, argv[0], which must
 * outlive it.  *child is the caller's, until child_stop.  As with child_run
 * the thread that calls this has to outlive it.
 */
int child_start(const struct child_spec *spec, struct child **child,
                struct error *err);

/* Waits for one that is to end by itself, and judges it as child_run does.  It
 * is still to be stopped.
 */
int child_finish(struct child *child, struct error *err);

/* Kills and reaps it, if it has not ended by itself, and frees it.  NULL is
 * fine.
 */
void child_stop(struct child *child);

/* Does it have the regular file or block device open that is open as fd here?
 */
bool child_has_open(const struct child *child, int fd);

/* Which files it has open now: *list is the caller's, whatever happens. */
int child_list_files(const struct child *child, struct io_file_id **list,
                     size_t *count, struct error *err);

/* For when something failed that it was to do, as err says.  Puts the cause
 * behind that, if there is one to be had: the last words of its standard
 * error, or the signal that ended it, or that it ended without a word.  It
 * gets a moment to say or do that.  Returns -1.
 */
int child_blame(struct child *child, struct error *err);

#endif
