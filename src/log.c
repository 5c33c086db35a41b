/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one writer to standard error.  Lines of several threads never mix. */

#include "config.h"

#include "log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *program = "";
static enum log_level threshold = LOG_ERRORS;
static bool redrawing; /* the last thing written is an unfinished line */

void log_open(const char *name, enum log_level level)
{
    program = name;
    threshold = level;
}

bool log_is_summary(void)
{
    return threshold >= LOG_SUMMARY;
}

bool log_is_debug(void)
{
    return threshold >= LOG_DEBUG;
}

/* The lock is held. */
static void end_redraw(void)
{
    if (redrawing)
        fputc('\n', stderr);
    redrawing = false;
}

static void write_line(enum log_level level, const char *fmt, va_list ap)
{
    if (level > threshold)
        return;
    pthread_mutex_lock(&lock);
    end_redraw();
    fprintf(stderr, "%s: ", program);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    fflush(stderr);
    pthread_mutex_unlock(&lock);
}

#define WRITE_LINE(level)                                                     \
    do {                                                                      \
        va_list ap;                                                           \
                                                                              \
        va_start(ap, fmt);                                                    \
        write_line(level, fmt, ap);                                           \
        va_end(ap);                                                           \
    } while (0)

void log_error(const char *fmt, ...)
{
    WRITE_LINE(LOG_ERRORS);
}

void log_notice(const char *fmt, ...)
{
    WRITE_LINE(LOG_ERRORS);
}

void log_summary(const char *fmt, ...)
{
    WRITE_LINE(LOG_SUMMARY);
}

void log_debug(const char *fmt, ...)
{
    WRITE_LINE(LOG_DEBUG);
}

static void write_quoted(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789@%+=:,./_-";

    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        fputs(word, stderr);
        return;
    }
    fputc('\'', stderr);
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            fputs("'\\''", stderr);
        else
            fputc(*word, stderr);
    }
    fputc('\'', stderr);
}

void log_argv(const char *const *argv)
{
    if (threshold < LOG_DEBUG)
        return;
    pthread_mutex_lock(&lock);
    end_redraw();
    fprintf(stderr, "%s: run:", program);
    for (; *argv != NULL; argv++) {
        fputc(' ', stderr);
        write_quoted(*argv);
    }
    fputc('\n', stderr);
    fflush(stderr);
    pthread_mutex_unlock(&lock);
}

void log_redraw(const char *text)
{
    pthread_mutex_lock(&lock);
    fprintf(stderr, "\r%s", text);
    fflush(stderr);
    redrawing = true;
    pthread_mutex_unlock(&lock);
}

void log_end_redraw(void)
{
    pthread_mutex_lock(&lock);
    end_redraw();
    fflush(stderr);
    pthread_mutex_unlock(&lock);
}
