/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Listens to a pipe while we do something else, so that it is never full. */

#ifndef QT_LISTENER_H
#define QT_LISTENER_H

#include "base/error.h"
#include "base/last-words.h"

#include <stdbool.h>

struct listener;

/* Reads from fd, which is non-blocking, the caller's, and open until
 * listener_stop, in a thread of its own.
 */
int listener_start(int fd, struct listener **listener, struct error *err);

/* Waits until there is no more to come, timeout_ms at most; a noted signal
 * ends the wait.  Returns whether that is so.
 */
bool listener_wait(struct listener *listener, int timeout_ms);

/* What was said since it was last asked. */
void listener_take(struct listener *listener, struct last_words *words);

/* NULL is fine. */
void listener_stop(struct listener *listener);

#endif
