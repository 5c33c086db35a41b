/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The one writer to standard error.  Lines of several threads never mix. */

#include "config.h"

#include "base/lock.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST_LINE = 8192 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *program = "";
static enum log_level threshold = LOG_NOTICES;
static bool redrawing;  /* the last thing written is an unfinished line */
static unsigned padded; /* log_redraw's */

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

static void end_redraw(void)
{
    LOCK_ASSERT_HELD(&lock);
    if (redrawing)
        fputc('\n', stderr);
    redrawing = false;
}

static void erase_redraw(void)
{
    LOCK_ASSERT_HELD(&lock);
    if (redrawing && padded > 0)
        fprintf(stderr, "\r%*s\r", (int)padded, "");
    else if (redrawing)
        /* The line first: tmux keeps a screen that is cleared as a whole. */
        fputs("\r\033[K\033[J", stderr);
    redrawing = false;
}

/* Bytes of the character that text begins with, if a terminal can be shown it:
 * printable ASCII, or UTF-8 (RFC 3629) that is no control character.  Else 0.
 */
static size_t printable_length(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t length = c[0] < 0x80   ? 1
                    : c[0] < 0xc2 ? 0
                    : c[0] < 0xe0 ? 2
                    : c[0] < 0xf0 ? 3
                    : c[0] < 0xf5 ? 4
                                  : 0;

    if (length == 1)
        return c[0] >= 0x20 && c[0] != 0x7f ? 1 : 0;
    for (size_t i = 1; i < length; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    if ((c[0] == 0xc2 && c[1] < 0xa0) ||  /* C1 controls */
        (c[0] == 0xe0 && c[1] < 0xa0) ||  /* longer than it need be */
        (c[0] == 0xed && c[1] >= 0xa0) || /* surrogates */
        (c[0] == 0xf0 && c[1] < 0x90) ||  /* longer than it need be */
        (c[0] == 0xf4 && c[1] >= 0x90) || /* beyond Unicode */
        /* Line separators, and what turns the direction of text. */
        (c[0] == 0xe2 && c[1] == 0x80 && c[2] >= 0xa8 && c[2] <= 0xae) ||
        (c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9))
        return 0;
    return length;
}

/* Names and what QEMU says may have any bytes. */
static void write_visible(const char *text)
{
    while (*text != '\0') {
        size_t n = printable_length(text);

        if (n > 0)
            fwrite(text, 1, n, stderr);
        else if (*text == '\n')
            fputs("\\n", stderr);
        else
            fprintf(stderr, "\\x%02x", (unsigned char)*text);
        text += n > 0 ? n : 1;
    }
}

static void write_line(enum log_level level, bool is_end, const char *fmt,
                       va_list ap) __attribute__((format(printf, 3, 0)));

/* is_end: how far the progress was is worth keeping. */
static void write_line(enum log_level level, bool is_end, const char *fmt,
                       va_list ap)
{
    char text[LONGEST_LINE];

    if (level > threshold)
        return;
    vsnprintf(text, sizeof text, fmt, ap);

    LOCK_FOR_SCOPE(&lock);
    if (is_end)
        end_redraw();
    else
        erase_redraw();
    fprintf(stderr, "%s: ", program);
    write_visible(text);
    fputc('\n', stderr);
    fflush(stderr);
}

#define WRITE_LINE(level, is_end)                                             \
    do {                                                                      \
        va_list ap;                                                           \
                                                                              \
        va_start(ap, fmt);                                                    \
        write_line(level, is_end, fmt, ap);                                   \
        va_end(ap);                                                           \
    } while (0)

void log_error(const char *fmt, ...)
{
    WRITE_LINE(LOG_ERRORS, true);
}

void log_answer(const char *fmt, ...)
{
    WRITE_LINE(LOG_ERRORS, false);
}

void log_notice(const char *fmt, ...)
{
    WRITE_LINE(LOG_NOTICES, false);
}

void log_summary(const char *fmt, ...)
{
    WRITE_LINE(LOG_SUMMARY, false);
}

void log_debug(const char *fmt, ...)
{
    WRITE_LINE(LOG_DEBUG, false);
}

static bool is_visible(const char *text)
{
    while (*text != '\0') {
        size_t n = printable_length(text);

        if (n == 0)
            return false;
        text += n;
    }
    return true;
}

/* As bash reads it: $'...' where something cannot be seen. */
static void write_quoted(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789@%+=:,./_-";
    bool is_escaped = !is_visible(word);

    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        fputs(word, stderr);
        return;
    }
    fputs(is_escaped ? "$'" : "'", stderr);
    while (*word != '\0') {
        size_t n = printable_length(word);

        if (n == 0)
            fprintf(stderr, "\\%03o", (unsigned char)*word);
        else if (*word == '\'')
            fputs(is_escaped ? "\\'" : "'\\''", stderr);
        else if (*word == '\\' && is_escaped)
            fputs("\\\\", stderr);
        else
            fwrite(word, 1, n, stderr);
        word += n > 0 ? n : 1;
    }
    fputc('\'', stderr);
}

void log_argv(const char *const *argv)
{
    if (threshold < LOG_DEBUG)
        return;

    LOCK_FOR_SCOPE(&lock);
    erase_redraw();
    fprintf(stderr, "%s: run:", program);
    for (; *argv != NULL; argv++) {
        fputc(' ', stderr);
        write_quoted(*argv);
    }
    fputc('\n', stderr);
    fflush(stderr);
}

void log_redraw(const char *text, unsigned width)
{
    LOCK_FOR_SCOPE(&lock);

    if (width > 0)
        fprintf(stderr, "\r%-*.*s\r", (int)width, (int)width, text);
    else
        fprintf(stderr, "\r%s\033[J\r", text);
    fflush(stderr);
    redrawing = true;
    padded = width;
}

void log_end_redraw(void)
{
    LOCK_FOR_SCOPE(&lock);

    end_redraw();
    fflush(stderr);
}

void log_erase_redraw(void)
{
    LOCK_FOR_SCOPE(&lock);

    erase_redraw();
    fflush(stderr);
}
