/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What a command has to tell about itself at its end, for --report. */

#include "config.h"

#include "base/assert.h"
#include "base/report.h"

#include <stddef.h>

void report_open(struct report *r)
{
    const uint64_t unknown = UINT64_MAX;

    *r = (struct report){
        .disk_size = unknown,
        .image_length = unknown,
        .offset = unknown,
        .moved = unknown,
        .data = unknown,
        .metadata = unknown,
        .ranges = unknown,
        .direct = unknown,
        .by_spool = unknown,
        .decoded = unknown,
        .spool_peak = unknown,
    };
    clock_gettime(CLOCK_MONOTONIC, &r->began);
}

double report_seconds(const struct report *r)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec - r->began.tv_sec +
           (now.tv_nsec - r->began.tv_nsec) / 1e9;
}

void report_phase(struct report *r, enum phase phase)
{
    bool is_in_one;
    double now;

    if (r == NULL)
        return;
    phase = phase_specs[phase].part_of;
    is_in_one = r->n_phases > 0 && r->phases[r->n_phases - 1].seconds < 0;
    if (is_in_one && r->phases[r->n_phases - 1].phase == phase)
        return;
    now = report_seconds(r);
    if (is_in_one)
        r->phases[r->n_phases - 1].seconds =
            now - r->phases[r->n_phases - 1].began;
    if (phase == PHASE_NONE)
        return;
    ASSERT(r->n_phases < REPORT_PHASES);
    r->phases[r->n_phases].phase = phase;
    r->phases[r->n_phases].began = now;
    r->phases[r->n_phases].seconds = -1;
    r->n_phases++;
}
