/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What an import is doing, for its progress. */

#include "config.h"

#include "base/io.h"
#include "import/phases.h"

void phases_received(struct progress *p, struct route *route,
                     uint64_t received, uint64_t source_size, uint64_t guess)
{
    bool is_known;
    uint64_t needed = route_needed_end(route, &is_known);
    uint64_t total = is_known ? needed : source_size;

    if (total > 0)
        progress_set_of(p, received, io_max(total, received));
    else
        progress_guess(p, received, io_max(guess, received));
}

/* No percents are left for what comes behind the stream. */
static void show(struct progress *p, enum phase phase, uint64_t done,
                 uint64_t total)
{
    if (p->phase != phase) {
        progress_phase(p, phase);
        progress_stage(p, 100, total);
        progress_skip(p, done);
    }
    progress_set_of(p, done, total);
}

void phases_ended(struct progress *p, struct route *route)
{
    struct route_totals t = route_totals(route);

    if (t.to_read_back > 0)
        show(p, PHASE_DECODING, t.read_back, t.to_read_back);
}

void phases_complete(struct progress *p, struct route *route)
{
    struct route_totals t = route_totals(route);

    if (t.is_reading_back)
        show(p, PHASE_DECODING, t.read_back, t.to_read_back);
    else if (t.is_zeroing)
        show(p, PHASE_ZEROING, t.zeroed, t.to_zero);
    else
        show(p, PHASE_DRAINING, 0, 0);
}
