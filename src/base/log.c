/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The one writer to standard error.  Lines of several threads never mix. */

#include "config.h"

#include "base/clock.h"
#include "base/json-text.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/signals.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LONGEST_LINE = 8192, MOST_AT_ONCE = 5 * LONGEST_LINE };

/* Milliseconds that a line may still take after a signal. */
enum { LAST_MS = 1000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *program = "";
static enum log_level threshold = LOG_NOTICES;
static bool redrawing;  /* the last thing written is an unfinished line */
static unsigned padded; /* log_redraw's */

/* What is to be written, in one piece: others may write to the same file. */
static char pending[MOST_AT_ONCE];
static size_t n_pending;

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

/* Can something be written?  Waits for that until a signal is noted, so a
 * terminal that has been stopped (^S) cannot make us deaf; then the end is
 * near, and the line gets a moment more.
 */
static bool is_writable(void)
{
    struct pollfd fds[] = {
        {.fd = STDERR_FILENO, .events = POLLOUT},
        {.fd = signals_fd(), .events = POLLIN},
    };
    static bool is_stuck; /* it has had its moment */
    int n;

    do
        n = poll(fds, 2, -1);
    while (n == -1 && errno == EINTR);
    if (n == -1 || fds[0].revents != 0)
        return true; /* or the write tells */
    /* SIGALRM interrupts it again and again (signals.c). */
    for (uint64_t end = clock_ms() + (is_stuck ? 0 : LAST_MS);;) {
        uint64_t now = clock_ms();

        n = poll(fds, 1, now < end ? (int)(end - now) : 0);
        if (n != -1 || errno != EINTR)
            break;
    }
    is_stuck = n == 0;
    return !is_stuck;
}

static void flush(void)
{
    size_t done = 0;

    LOCK_ASSERT_HELD(&lock);
    while (done < n_pending && is_writable()) {
        ssize_t n = write(STDERR_FILENO, pending + done, n_pending - done);

        if (n > 0)
            done += n;
        else if (n == 0 || (errno != EINTR && errno != EAGAIN))
            break; /* there is nobody to tell */
    }
    n_pending = 0;
}

static void put(const char *text, size_t length)
{
    LOCK_ASSERT_HELD(&lock);
    while (length > 0) {
        size_t n = MOST_AT_ONCE - n_pending;

        if (n > length)
            n = length;
        memcpy(pending + n_pending, text, n);
        n_pending += n;
        text += n;
        length -= n;
        if (n_pending == MOST_AT_ONCE)
            flush();
    }
}

static void put_text(const char *text)
{
    put(text, strlen(text));
}

/* A byte that cannot be shown. */
static void put_escape(char c, bool is_octal)
{
    char text[8];

    snprintf(text, sizeof text, is_octal ? "\\%03o" : "\\x%02x",
             (unsigned char)c);
    put_text(text);
}

static void put_program(const char *separator)
{
    put_text(program);
    put_text(separator);
}

static void put_padded(const char *text, size_t width)
{
    size_t length = strnlen(text, width);

    put(text, length);
    for (; length < width; length++)
        put_text(" ");
}

static void end_redraw(void)
{
    LOCK_ASSERT_HELD(&lock);
    if (redrawing)
        put_text("\n");
    redrawing = false;
}

static void erase_redraw(void)
{
    LOCK_ASSERT_HELD(&lock);
    if (redrawing && padded > 0) {
        put_text("\r");
        put_padded("", padded);
        put_text("\r");
    } else if (redrawing)
        /* The line first: tmux keeps a screen that is cleared as a whole. */
        put_text("\r\033[K\033[J");
    redrawing = false;
}

/* Bytes of the character that text begins with, if a terminal can be shown it:
 * printable ASCII, or UTF-8 (RFC 3629) that is no control character.  Else 0.
 */
static size_t printable_length(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t length = json_utf8_length(text);

    if (length == 1)
        return c[0] >= 0x20 && c[0] != 0x7f ? 1 : 0;
    if (length == 0 || (c[0] == 0xc2 && c[1] < 0xa0) || /* C1 controls */
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
            put(text, n);
        else if (*text == '\n')
            put_text("\\n");
        else
            put_escape(*text, false);
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
    put_program(": ");
    write_visible(text);
    put_text("\n");
    flush();
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
        put_text(word);
        return;
    }
    put_text(is_escaped ? "$'" : "'");
    while (*word != '\0') {
        size_t n = printable_length(word);

        if (n == 0)
            put_escape(*word, true);
        else if (*word == '\'')
            put_text(is_escaped ? "\\'" : "'\\''");
        else if (*word == '\\' && is_escaped)
            put_text("\\\\");
        else
            put(word, n);
        word += n > 0 ? n : 1;
    }
    put_text("'");
}

void log_argv(const char *const *argv)
{
    if (threshold < LOG_DEBUG)
        return;

    LOCK_FOR_SCOPE(&lock);
    erase_redraw();
    put_program(": run:");
    for (; *argv != NULL; argv++) {
        put_text(" ");
        write_quoted(*argv);
    }
    put_text("\n");
    flush();
}

void log_redraw(const char *text, unsigned width)
{
    struct pollfd terminal = {.fd = STDERR_FILENO, .events = POLLOUT};
    LOCK_FOR_SCOPE(&lock);

    /* The next one will do. */
    if (poll(&terminal, 1, 0) != 1)
        return;
    put_text("\r");
    put_padded(text, width > 0 ? width : strlen(text));
    put_text(width > 0 ? "\r" : "\033[J\r");
    flush();
    redrawing = true;
    padded = width;
}

void log_end_redraw(void)
{
    LOCK_FOR_SCOPE(&lock);

    end_redraw();
    flush();
}

void log_erase_redraw(void)
{
    LOCK_FOR_SCOPE(&lock);

    erase_redraw();
    flush();
}
