/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What a command has to tell about itself at its end, for --report. */

#ifndef QT_REPORT_H
#define QT_REPORT_H

#include "base/checksum.h"
#include "base/phase.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { REPORT_PHASES = 8 };

/* What is not known is UINT64_MAX, or empty.  Numbers are bytes unless they
 * say otherwise.  Commands fill in what they have, even if they fail.
 */
struct report {
    uint64_t disk_size;
    uint64_t image_length;           /* of the whole image */
    uint64_t offset;                 /* in it, where the transfer began */
    uint64_t moved;                  /* that were sent or received */
    uint64_t data, metadata, ranges; /* of the image; ranges are a number */
    uint64_t direct;                 /* of data that never were in the spool */
    uint64_t by_spool;               /* of data that were */
    uint64_t decoded;                /* of data that were compressed */
    uint64_t spool_peak;             /* the most there were at a time */
    char id[CHECKSUM_SPACE];         /* identity.h */
    char sha256[CHECKSUM_SPACE];     /* of what was sent or received */
    bool has_stable, is_stable;

    struct timespec began; /* CLOCK_MONOTONIC */
    struct {
        enum phase phase;
        double began, seconds; /* since the report was opened, and its own */
    } phases[REPORT_PHASES];
    int n_phases;
};

/* Nothing is known, and time begins. */
void report_open(struct report *report);

/* Another phase begins, and the one before ends; PHASE_NONE: none begins.
 * What is part of the one that it is in changes nothing.  Without a report
 * (NULL) nothing is done.  Who has a progress calls progress_phase.
 */
void report_phase(struct report *report, enum phase phase);

/* Seconds since it was opened. */
double report_seconds(const struct report *report);

#endif
