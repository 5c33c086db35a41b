/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* How far the work is, for machines and for people. */

#include "config.h"

#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/progress.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    BAR_WIDTH = 30,
    REDRAW_MS = 200,   /* on a terminal */
    REPEAT_MS = 10000, /* a line now and then, elsewhere */
};

/* What progress_tell tells; a program has one progress. */
static struct {
    pthread_mutex_t lock; /* of all of it */
    bool is_open;
    bool is_asked;  /* before it was open */
    bool is_silent; /* standard error is for others */
    int percent;
    uint64_t bytes;
    struct timespec began;
} told = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t milliseconds_since(const struct timespec *then)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - then->tv_sec) * UINT64_C(1000) +
           now.tv_nsec / 1000000 - then->tv_nsec / 1000000;
}

static const char *human(char *buf, size_t space, double bytes)
{
    static const char *const units[] = {"B",   "KiB", "MiB",
                                        "GiB", "TiB", "PiB"};
    size_t i = 0;

    while (bytes >= 1024 && i < 5) {
        bytes /= 1024;
        i++;
    }
    snprintf(buf, space, i == 0 ? "%.0f %s" : "%.1f %s", bytes, units[i]);
    return buf;
}

/* The numbers of a line: percent, bytes, rate and time left. */
static void format_numbers(int percent, uint64_t bytes,
                           const struct timespec *began, char *line,
                           size_t space)
{
    char moved[32], rate[32], left[32] = "--:--:--";
    double seconds = milliseconds_since(began) / 1e3;

    if (percent > 0) {
        unsigned s = seconds * (100 - percent) / percent;

        snprintf(left, sizeof left, "%02u:%02u:%02u", s / 3600, s / 60 % 60,
                 s % 60);
    }
    snprintf(line, space, "%3d%%  %10s  %10s/s  %s left", percent,
             human(moved, sizeof moved, bytes),
             human(rate, sizeof rate, bytes / (seconds + 1e-3)), left);
}

static void format_bar(const struct progress *p, int percent, char *line,
                       size_t space)
{
    char bar[BAR_WIDTH + 1], numbers[120];
    int filled = percent * BAR_WIDTH / 100;

    memset(bar, '#', filled);
    memset(bar + filled, '.', BAR_WIDTH - filled);
    bar[BAR_WIDTH] = '\0';
    format_numbers(percent, p->bytes, &p->began, numbers, sizeof numbers);
    snprintf(line, space, "[%s] %s", bar, numbers);
}

static void draw_bar(struct progress *p, int percent)
{
    bool terminal = isatty(STDERR_FILENO);
    uint64_t pause = terminal ? REDRAW_MS : REPEAT_MS;
    char line[160];

    if (p->shown != -1 && percent < 100 &&
        milliseconds_since(&p->drawn) < pause)
        return;
    clock_gettime(CLOCK_MONOTONIC, &p->drawn);
    format_bar(p, percent, line, sizeof line);
    if (terminal)
        log_redraw(line);
    else
        log_notice("%s", line);
    if (percent == 100)
        log_end_redraw();
    p->shown = percent;
}

static void write_digits(struct progress *p, int percent)
{
    char digits[16];

    if (percent <= p->shown)
        return;
    snprintf(digits, sizeof digits, "%03d", percent);
    /* Whoever does not listen does not stop the work. */
    if (io_write_full(p->fd, digits, 3) == -1)
        p->mode = PROGRESS_NONE;
    p->shown = percent;
}

static void tell(void)
{
    char line[120];

    LOCK_ASSERT_HELD(&told.lock);
    if (told.is_silent)
        return;
    format_numbers(told.percent, told.bytes, &told.began, line, sizeof line);
    log_notice("%s", line);
}

void progress_tell(void)
{
    LOCK_FOR_SCOPE(&told.lock);

    if (told.is_open)
        tell();
    else
        told.is_asked = true;
}

static void note(const struct progress *p, int percent)
{
    LOCK_FOR_SCOPE(&told.lock);

    told.percent = percent;
    told.bytes = p->bytes;
}

static void show(struct progress *p, int percent)
{
    note(p, percent);
    if (p->mode == PROGRESS_MACHINE)
        write_digits(p, percent);
    else if (p->mode == PROGRESS_BAR)
        draw_bar(p, percent);
}

void progress_open(struct progress *p, enum progress_mode mode, int data_fd)
{
    bool is_stdout_taken = io_is_same(data_fd, STDOUT_FILENO);
    bool is_stderr_taken = io_is_same(data_fd, STDERR_FILENO);

    *p = (struct progress){
        .mode = mode,
        .fd = is_stdout_taken ? STDERR_FILENO : STDOUT_FILENO,
        .shown = -1,
    };
    if (is_stderr_taken && (mode == PROGRESS_BAR || is_stdout_taken))
        p->mode = PROGRESS_NONE;
    clock_gettime(CLOCK_MONOTONIC, &p->began);
    show(p, 0);

    LOCK_FOR_SCOPE(&told.lock);
    told.is_open = true;
    told.is_silent = is_stderr_taken ||
                     (mode == PROGRESS_MACHINE && p->fd == STDERR_FILENO);
    told.began = p->began;
    if (told.is_asked)
        tell();
    told.is_asked = false;
}

void progress_stage(struct progress *p, unsigned to, uint64_t total)
{
    p->from = p->to;
    p->to = to;
    p->total = total;
    progress_set(p, 0);
}

void progress_set(struct progress *p, uint64_t done)
{
    double share = 0;
    int percent;

    if (p->total > 0)
        share = (double)io_min(done, p->total) / p->total;
    percent = p->from + (p->to - p->from) * share;
    /* Only progress_succeed says 100. */
    show(p, percent < 99 ? percent : 99);
}

void progress_moved(struct progress *p, uint64_t bytes)
{
    p->bytes += bytes;
}

void progress_succeed(struct progress *p)
{
    show(p, 100);
}
