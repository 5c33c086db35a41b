/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What went wrong, told once: filled where it happens, printed by main. */

#ifndef QT_ERROR_H
#define QT_ERROR_H

#include <stdbool.h>

/* A value in main; everybody else gets a pointer, never NULL.  A function
 * that takes one returns 0 and leaves it alone, or returns -1 with it
 * filled.  Nothing on this path allocates.  A message that is too long loses
 * its middle, most likely the inside of a path: which end it was is in front,
 * and the cause behind.
 */
struct error {
    int errnum; /* errno value of the cause, or 0 */
    char msg[512];
};

/* Fills err; ": " and strerror(errnum) follow the text if errnum is not 0.
 * Returns -1, so that callers can return what it returns.
 */
int error_set(struct error *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "text: " before what err says.  For borders only, where it is not
 * known further down: the end ("source"), the file of a chain, the command.
 * So one message is wrapped three times at the most.  Returns -1.
 */
int error_wrap(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts text, with what separates it, behind what err says.  Returns -1. */
int error_append(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Does that errno value mean that there is no more of something just now:
 * memory, fds?  Then nothing can be told from a failure to look.
 */
bool error_is_shortage(int errnum);

/* Is it of this end: does it begin with "END: "? */
bool error_is_of(const struct error *err, const char *end);

#endif
