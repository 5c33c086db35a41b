/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The one writer to standard error.  Lines of several threads never mix. */

#ifndef QT_LOG_H
#define QT_LOG_H

#include <stdbool.h>

enum log_level {
    LOG_ERRORS,  /* --quiet: only what makes the program fail */
    LOG_NOTICES, /* the usual: what it is good to know, too */
    LOG_SUMMARY, /* --verbose: what was done, at the end */
    LOG_DEBUG,   /* --debug: each command, the plan, the map */
};

/* program stands before each line; it is not copied. */
void log_open(const char *program, enum log_level level);

/* Is that shown?  For what would cost something to put together. */
bool log_is_summary(void);
bool log_is_debug(void);

/* A line each, to standard error, "PROGRAM: text": errors, and answers to who
 * asked by a signal, always; the others from their level on.  fmt is
 * printf(3)'s, without a newline.  What a terminal cannot show is escaped.
 * They take a lock: not for signal handlers, nor for a child between fork and
 * exec.
 */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_answer(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_summary(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* With --debug, an external command as it could be typed into a shell; argv
 * ends with NULL.
 */
void log_argv(const char *const *argv);

/* Shows text as a line of a terminal that the next one replaces.  The cursor
 * stays at its beginning: there it is still where a terminal became narrower
 * and has broken the line in two.  Before any other line that is logged
 * meanwhile it is erased, or ended, if that is an error.
 * width: what a terminal without escape sequences is padded to; 0: it has
 * them.
 */
void log_redraw(const char *text, unsigned width);

/* Ends a line that log_redraw left open; or takes it away. */
void log_end_redraw(void);
void log_erase_redraw(void);

#endif
