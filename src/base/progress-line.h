/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What people are shown of the progress, as a line of text. */

#ifndef QT_PROGRESS_LINE_H
#define QT_PROGRESS_LINE_H

#include "base/phase.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far the work is at one moment. */
struct progress_view {
    enum phase phase;
    int percent;          /* of all the work */
    uint64_t done, total; /* bytes of the phase; a total of 0 is not known */
    double rate;          /* bytes a second, lately */
    uint64_t phase_s;     /* seconds since the phase began */
    uint64_t stalled_s;   /* seconds without a byte; 0: it moves */
    const char *waits_for;

    bool is_over;   /* it is all done, and what follows is of all of it */
    uint64_t bytes; /* that were sent or received */
    double all_s;   /* seconds */
};

/* As long as the widest terminal that is filled, with its colours. */
enum { PROGRESS_LINE = 600 };

/* Writes into line, which has room for PROGRESS_LINE bytes: " 21%  scanning 43
 * of 200 GiB, 1.3 GiB/s, 0:02:01 left".
 */
void progress_line_text(const struct progress_view *view, char *line);

/* The same behind a bar, as wide as a terminal of so many columns; the last
 * one stays free, or some terminals would begin another line.  Where there is
 * no room for a bar there is none, and the text is cut.
 */
void progress_line_bar(const struct progress_view *view, unsigned columns,
                       bool has_colour, char *line);

#endif
