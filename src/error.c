/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What went wrong, told once: filled where it happens, printed by main. */

#include "config.h"

#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int errnum, const char *fmt, ...)
{
    size_t used;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    err->errnum = errnum;
    if (errnum != 0) {
        used = strlen(err->msg);
        snprintf(err->msg + used, sizeof err->msg - used, ": %s",
                 strerror(errnum));
    }
    return -1;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
    char inner[sizeof err->msg];
    size_t used;
    va_list ap;

    memcpy(inner, err->msg, sizeof inner);
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    used = strlen(err->msg);
    snprintf(err->msg + used, sizeof err->msg - used, ": %s", inner);
    return -1;
}
