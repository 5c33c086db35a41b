/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* From what is to be sent to the image that is going to be it. */

#include "config.h"

#include "base/log.h"
#include "export/laying-out.h"

#include <inttypes.h>

/* What it takes of the progress, in percent. */
enum { LAYOUT_PERCENT = 5 };

static void log_ranges(const char *what, const struct extents *extents)
{
    for (size_t i = 0; log_is_debug() && i < extents->count; i++)
        log_debug("plan: %s at disk offset %" PRIu64 " length %" PRIu64, what,
                  extents->list[i].disk_offset, extents->list[i].length);
}

static void log_plan(const struct layout_plan *plan)
{
    log_debug("plan: disk of %" PRIu64 " bytes, %" PRIu64
              " of data in %zu ranges, %" PRIu64 " marked as zeroes in %zu",
              plan->disk_size, extents_total(plan->data), plan->data->count,
              extents_total(plan->zeroes), plan->zeroes->count);
    log_ranges("data", plan->data);
    log_ranges("zeroes", plan->zeroes);
}

/* Lays the image out, and sees what xapi's importer makes of it. */
static int build(struct preparation *p, const struct layout_plan *plan,
                 struct error *err)
{
    struct export_disk *disk = p->disk;

    if (skeleton_build(&p->o->qemu, plan, disk->store, &disk->skeleton, err) ==
        -1)
        return -1;
    return importer_judge(plan, &disk->skeleton, store_fd(disk->store),
                          &disk->verdict, err);
}

/* The same with the widest refcounts that the importer takes; if there are
 * none, or if the layout is another program's, with the usual ones.
 */
static int build_for_importer(struct preparation *p, struct layout_plan *plan,
                              struct error *err)
{
    static const unsigned widths[] = {16, 8, 4, 2, 1};

    for (size_t i = 0; i < sizeof widths / sizeof widths[0] &&
                       plan->layout != LAYOUT_CONVERT;
         i++) {
        plan->options.refcount_bits = widths[i];
        if (!importer_may_take(plan))
            continue;
        if (build(p, plan, err) == -1)
            return -1;
        if (p->disk->verdict.is_taken)
            return 0;
        log_debug("plan: xapi's importer would not take it with refcounts of "
                  "%u bits",
                  widths[i]);
        skeleton_clear(&p->disk->skeleton);
        if (store_clear(p->disk->store, err) == -1)
            return -1;
    }
    plan->options.refcount_bits = widths[0];
    return build(p, plan, err);
}

int laying_out(struct preparation *p, struct error *err)
{
    const struct export_options *o = p->o;
    struct layout_plan plan = {
        .layout = o->layout,
        .options = o->qcow2,
        .disk_size = p->disk->source->disk_size,
        .data = &p->delta.data,
        /* The ranges that were read, if only zeroes were left out. */
        .status = !selection_is_difference(p) && p->may_be_data.count > 0
                      ? &p->may_be_data
                      : &p->delta.data,
        .zeroes = &p->delta.zeroes,
    };

    log_plan(&plan);
    progress_phase(p->progress, PHASE_PLANNING);
    progress_stage(p->progress, p->progress->to + LAYOUT_PERCENT, 0);
    if (store_new(o->spool_dir, &p->disk->store, err) == -1)
        return -1;
    store_limit(p->disk->store, o->spool_limit);
    if (plan.options.refcount_bits == QCOW2_REFCOUNT_AUTO)
        return build_for_importer(p, &plan, err);
    return build(p, &plan, err);
}
