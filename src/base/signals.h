/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What signals do to us, to our threads and to our children. */

#ifndef QT_SIGNALS_H
#define QT_SIGNALS_H

#include "base/error.h"

#include <pthread.h>
#include <signal.h>

/* Whoever starts us may have ignored or blocked any signal.
 *
 * Those that would end us (signal(7): whose default is to terminate) are
 * noted instead, so that children are reaped and new files removed first.
 * There is no SA_RESTART: what blocks is interrupted, and again each second
 * from then on.  One that was ignored stays ignored.  One that was blocked is
 * not any more: a mask that comes with exec is left over from a thread of the
 * caller; who means it ignores.
 *
 * A SIGINT or SIGQUIT that follows another signal ends us at once, whatever
 * we were still about to undo.  Not if it follows within SIGNALS_TWICE_MS:
 * timeout(1) and a terminal's own may send one twice.
 *
 * Signals that mean a fault of ours, as SIGSEGV does, are left alone.  SIGPIPE
 * and SIGXFSZ are ignored: both are an errno.  SIGCHLD is not, whatever the
 * caller did: the kernel would reap our children for us.
 */
enum { SIGNALS_TWICE_MS = 250 };

int signals_open(struct error *err);

/* Calls answer, in a thread of its own, each time that SIGUSR1 comes: it
 * interrupts nothing.  Unless it was ignored; then it stays so.
 */
int signals_answer_usr1(void (*answer)(void), struct error *err);

/* Becomes readable when a signal has been noted, and stays so. */
int signals_fd(void);

/* The number of the first signal noted; until then SIGNALS_GIVEN_UP, if
 * that has happened, or 0.
 */
enum { SIGNALS_GIVEN_UP = -1 };

int signals_caught(void);

/* Ends all that waits, as if a signal had been noted, unless one was.  May be
 * called again, for a call that has begun to block since.  From any thread.
 */
void signals_give_up(void);

/* pthread_create(3) for all threads but main, which alone gets signals. */
int signals_create_thread(pthread_t *thread, void *(*run)(void *),
                          void *opaque);

/* Around a fork: a child must not note what is meant for us. */
void signals_hold(sigset_t *before);
void signals_release(const sigset_t *before);

/* Between fork and exec.  What our own parent ignored is ignored there, and
 * SIGUSR1 and SIGXFSZ are; nothing is blocked, and SIGCHLD has its default.
 */
void signals_reset_in_child(void);

/* If a signal was noted, dies of it, so that the exit status tells. */
void signals_raise_again(void);

#endif
