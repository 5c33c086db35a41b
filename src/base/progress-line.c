/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What people are shown of the progress, as a line of text. */

#include "config.h"

#include "base/progress-line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    TEXT_WIDTH = 58,   /* columns that most texts fit into: bars do not jump */
    LEAST_BAR = 5,     /* with less it shows nothing */
    MOST_COLUMNS = 500 /* PROGRESS_LINE holds them */
};

static const char green[] = "\033[32m", yellow[] = "\033[33m";
static const char no_colour[] = "\033[0m";

static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
enum { LAST_UNIT = sizeof units / sizeof units[0] - 1 };

/* The unit in which bytes have no more than four digits. */
static unsigned unit_of(double bytes)
{
    unsigned unit = 0;

    while (bytes >= 1023.5 && unit < LAST_UNIT) {
        bytes /= 1024;
        unit++;
    }
    return unit;
}

/* "1.3", "43", in that unit. */
static const char *number_in(char buf[32], double bytes, unsigned unit)
{
    for (unsigned i = 0; i < unit; i++)
        bytes /= 1024;
    snprintf(buf, 32, unit == 0 || bytes >= 9.95 ? "%.0f" : "%.1f", bytes);
    return buf;
}

/* "0:02:01". */
static const char *clock_time(char buf[32], double seconds)
{
    const double longest = 999 * 3600.0;
    unsigned s = seconds < longest ? seconds : longest;

    snprintf(buf, 32, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    return buf;
}

/* Appends, up to the PROGRESS_LINE bytes that line has room for. */
static void __attribute__((format(printf, 2, 3)))
add(char *line, const char *fmt, ...)
{
    size_t length = strlen(line);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line + length, PROGRESS_LINE - length, fmt, ap);
    va_end(ap);
}

static void add_bytes(char *line, double bytes)
{
    unsigned unit = unit_of(bytes);
    char number[32];

    add(line, "%s %s", number_in(number, bytes, unit), units[unit]);
}

static void add_rate(char *line, double rate)
{
    add(line, ", ");
    add_bytes(line, rate);
    add(line, "/s");
}

static void write_end(const struct progress_view *v, char *line)
{
    char time[32];

    add(line, "%3d%%  ", v->percent);
    if (v->bytes > 0) {
        add_bytes(line, v->bytes);
        add(line, " in %s", clock_time(time, v->all_s));
        add_rate(line, v->bytes / (v->all_s + 1e-3));
    } else {
        add(line, "done in %s", clock_time(time, v->all_s));
    }
}

void progress_line_text(const struct progress_view *v, char *line)
{
    bool is_counted = v->total > 0 || v->done > 0;
    unsigned unit = unit_of(v->total > 0 ? v->total : v->done);
    char number[32];

    line[0] = '\0';
    if (v->is_over) {
        write_end(v, line);
        return;
    }
    add(line, "%3d%%  %s", v->percent, phase_specs[v->phase].name);
    if (is_counted)
        add(line, " %s", number_in(number, v->done, unit));
    if (v->total > 0)
        add(line, " of %s", number_in(number, v->total, unit));
    if (is_counted)
        add(line, " %s", units[unit]);
    if (v->stalled_s > 0) {
        add(line, "%s stalled %" PRIu64 " s, waiting for %s",
            is_counted ? "," : ":", v->stalled_s, v->waits_for);
        return;
    }
    if (!is_counted) {
        if (v->phase_s > 0)
            add(line, " for %" PRIu64 " s", v->phase_s);
        return;
    }
    add_rate(line, v->rate);
    if (v->total > v->done && v->rate > 0)
        add(line, ", %s left",
            clock_time(number, (v->total - v->done) / v->rate));
}

void progress_line_bar(const struct progress_view *v, unsigned columns,
                       bool has_colour, char *line)
{
    char text[PROGRESS_LINE], bar[MOST_COLUMNS + 1];
    unsigned room, length, width, filled;
    const char *begin = has_colour ? green : "";
    const char *end = has_colour ? no_colour : "";

    progress_line_text(v, text);
    room = columns > MOST_COLUMNS ? MOST_COLUMNS : columns - (columns > 0);
    if (strlen(text) > room && v->stalled_s > 0) {
        snprintf(text, sizeof text,
                 "%3d%%  stalled %" PRIu64 " s, waiting for %s", v->percent,
                 v->stalled_s, v->waits_for);
    }
    length = strlen(text);
    if (has_colour && v->stalled_s > 0)
        begin = yellow;
    if (length < TEXT_WIDTH)
        length = TEXT_WIDTH;
    line[0] = '\0';
    if (length + LEAST_BAR + 3 <= room) {
        width = room - length - 3;
        filled = v->percent * width / 100;
        memset(bar, '#', filled);
        memset(bar + filled, '.', width - filled);
        add(line, "[%s%.*s%s%.*s] ", begin, (int)filled, bar, end,
            (int)(width - filled), bar + filled);
        add(line, "%-*s", (int)length, text);
    } else {
        add(line, "%.*s", (int)room, text);
    }
}
