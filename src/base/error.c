/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What went wrong, told once: filled where it happens, printed by main. */

#include "config.h"

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Longer texts than this are cut when they are formatted: nothing of ours is,
 * and a path has 4095 bytes at most.
 */
enum { LONGEST = 8192 };

static bool is_inside_character(char c)
{
    return (c & 0xc0) == 0x80; /* in UTF-8 */
}

/* Puts text into msg.  If it is too long its middle is left out, as "...": it
 * begins with which end it was, and ends with the cause.
 */
static void put(struct error *err, const char *text)
{
    static const char gap[] = "...";
    const size_t space = sizeof err->msg, head = space / 3;
    size_t length = strlen(text), from, to = head;

    if (length < space) {
        memcpy(err->msg, text, length + 1);
        return;
    }
    from = length - (space - 1 - head - strlen(gap));
    while (to > 0 && is_inside_character(text[to]))
        to--;
    while (is_inside_character(text[from]))
        from++;
    memcpy(err->msg, text, to);
    memcpy(err->msg + to, gap, strlen(gap));
    memcpy(err->msg + to + strlen(gap), text + from, length - from + 1);
}

int error_set(struct error *err, int errnum, const char *fmt, ...)
{
    char text[LONGEST];
    size_t used;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (errnum != 0) {
        /* Of a path that was cut here, the end is not missed. */
        const char *cause = strerror(errnum);

        used = strlen(text);
        if (used > sizeof text - strlen(cause) - 3)
            used = sizeof text - strlen(cause) - 3;
        snprintf(text + used, sizeof text - used, ": %s", cause);
    }
    err->errnum = errnum;
    put(err, text);
    return -1;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
    char text[LONGEST];
    size_t length = strlen(err->msg) + 2, used;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text - length, fmt, ap);
    va_end(ap);
    used = strlen(text);
    snprintf(text + used, sizeof text - used, ": %s", err->msg);
    put(err, text);
    return -1;
}

int error_append(struct error *err, const char *fmt, ...)
{
    char text[LONGEST];
    size_t used = strlen(err->msg);
    va_list ap;

    memcpy(text, err->msg, used);
    va_start(ap, fmt);
    vsnprintf(text + used, sizeof text - used, fmt, ap);
    va_end(ap);
    put(err, text);
    return -1;
}

bool error_is_shortage(int errnum)
{
    return errnum == ENOMEM || errnum == EMFILE || errnum == ENFILE;
}

bool error_is_of(const struct error *err, const char *end)
{
    size_t length = strlen(end);

    return strncmp(err->msg, end, length) == 0 &&
           strncmp(err->msg + length, ": ", 2) == 0;
}
