/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What of a disk is to be sent: what is data, or differs from the base. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "export/layout.h"
#include "export/scan.h"
#include "export/selection.h"

/* Where the progress stands, in percent, once the disk has been read to see
 * what of it has to be sent.
 */
enum { READING_PERCENT = 30 };

/* Is what is sent decided by reading the disk?  Then a map that changes, while
 * the disk does not, changes nothing in the stream.
 */
static bool is_by_contents(const struct export_options *o)
{
    return o->is_detecting_zeroes || o->source.image_path != NULL ||
           (o->source.kind == EXPORT_RAW && o->map_fd == -1);
}

static bool is_by_changes(const struct preparation *p)
{
    return export_changes_are_known(&p->o->changes);
}

bool selection_is_difference(const struct preparation *p)
{
    return p->o->base.kind != EXPORT_NONE || is_by_changes(p);
}

bool selection_needs_map(const struct preparation *p)
{
    return !is_by_changes(p) || p->o->is_marking_zeroes;
}

bool selection_is_stable(const struct preparation *p)
{
    const struct export_options *o = p->o;
    bool is_compared = o->base.kind != EXPORT_NONE && !p->is_in_chain;

    /* A server's bitmap may go on while its disk is written. */
    if (o->changes.bitmap != NULL)
        return false;
    if (!p->is_unsteady || is_compared || !selection_needs_map(p))
        return true;
    /* As qemu-img convert does, that layout goes by the map even so. */
    return is_by_contents(o) &&
           (o->layout != LAYOUT_CONVERT || selection_is_difference(p));
}

int selection_refuse_unstable(const struct preparation *p, struct error *err)
{
    const char *instead = "--detect-zeroes";

    if (p->o->changes.bitmap != NULL)
        return error_set(err, 0,
                         "source: the bitmap can be another one each time, "
                         "and pieces could be of two images: add "
                         "--expect-id, with the id that measure prints, or "
                         "send the whole");
    if (p->o->layout == LAYOUT_CONVERT)
        instead = is_by_contents(p->o)
                      ? "--layout streamable"
                      : "--layout streamable and --detect-zeroes";
    return error_set(err, 0,
                     "source: where its data is can be told another way each "
                     "time, and pieces could be of two images: add "
                     "--expect-id, with the id that measure prints, or send "
                     "the whole with %s",
                     instead);
}

/* Appends to data, which is empty, what of where is data.  That is known to be
 * on the disk, and so is looked at where it is uncertain.
 */
static int look(struct preparation *p, const struct extents *where,
                const struct extents *uncertain, struct extents *data,
                struct error *err)
{
    if (uncertain->count > 0)
        progress_stage(p->progress, READING_PERCENT,
                       p->disk->source->disk_size);
    return scan_uncertain(p->disk->source, where, uncertain,
                          layout_scan_granule(p->o->layout, &p->o->qcow2),
                          p->progress, data, err);
}

static int select_all(struct preparation *p, struct error *err)
{
    return look(p, &p->may_be_data,
                p->o->is_detecting_zeroes ? &p->may_be_data : &p->uncertain,
                &p->delta.data, err);
}

/* The base may hold zeroes where that is uncertain: looks there, if it matters
 * whether what is emptied, zero on the disk now, was data.
 */
static int look_at_base(struct preparation *p, const struct extents *emptied,
                        struct error *err)
{
    uint64_t disk_size = p->disk->source->disk_size;
    struct extents CLEANUP(extents) where = {0};
    struct extents CLEANUP(extents) data = {0};

    if (extents_combine(emptied, EXTENTS_BOTH, &p->base_uncertain, disk_size,
                        &where, err) == -1)
        return -1;
    if (where.count == 0)
        return 0;
    extents_clear(&where);
    extents_clear(&p->base_data);
    extents_clear(&p->base_uncertain);
    if (export_open_base_image(p, err) == -1 ||
        extents_combine(emptied, EXTENTS_BOTH, &p->base_data,
                        io_min(disk_size, p->base->disk_size), &where,
                        err) == -1 ||
        scan_uncertain(p->base, &where, &p->base_uncertain,
                       qcow2_granule(&p->o->qcow2), p->progress, &data,
                       err) == -1)
        return -1;
    extents_move(&p->base_data, &data);
    return 0;
}

/* Adds to data what the links below hold in the granules with zeroes. */
static int look_below(struct preparation *p, const struct extents *zeroes,
                      struct extents *data, struct error *err)
{
    uint64_t disk_size = p->disk->source->disk_size;
    struct extents CLEANUP(extents) below = {0};
    struct extents CLEANUP(extents) where = {0};
    struct extents CLEANUP(extents) touched = {0};
    struct extents CLEANUP(extents) found = {0};
    struct extents CLEANUP(extents) all = {0};

    if (extents_widen(zeroes, qcow2_granule(&p->o->qcow2), disk_size, &touched,
                      err) == -1 ||
        extents_combine(&p->may_be_data, EXTENTS_WITHOUT, &p->overlays,
                        disk_size, &below, err) == -1 ||
        extents_combine(&below, EXTENTS_BOTH, &touched, disk_size, &where,
                        err) == -1 ||
        look(p, &where, &p->uncertain, &found, err) == -1 ||
        extents_combine(data, EXTENTS_EITHER, &found, disk_size, &all, err) ==
            -1)
        return -1;
    extents_move(data, &all);
    return 0;
}

/* Appends to data, which is empty, what is data in the links above. */
static int select_allocated(struct preparation *p, struct extents *data,
                            struct error *err)
{
    uint64_t disk_size = p->disk->source->disk_size;
    struct extents CLEANUP(extents) where = {0};
    struct extents CLEANUP(extents) emptied = {0};

    if (extents_combine(&p->overlays, EXTENTS_BOTH, &p->may_be_data, disk_size,
                        &where, err) == -1 ||
        look(p, &where, p->o->is_detecting_zeroes ? &where : &p->uncertain,
             data, err) == -1 ||
        extents_combine(&p->overlays, EXTENTS_WITHOUT, data, disk_size,
                        &emptied, err) == -1 ||
        look_at_base(p, &emptied, err) == -1)
        return -1;
    return delta_by_allocation(&p->overlays, data, &p->base_data, disk_size,
                               &p->delta, err);
}

static int select_compared(struct preparation *p, struct error *err)
{
    uint64_t granule = qcow2_granule(&p->o->qcow2);
    uint64_t disk_size = p->disk->source->disk_size;
    struct extents CLEANUP(extents) either = {0};
    struct extents CLEANUP(extents) where = {0};

    /* Whole granules, so that one that is zero can be marked. */
    if (extents_combine(&p->may_be_data, EXTENTS_EITHER, &p->base_data,
                        disk_size, &either, err) == -1 ||
        extents_widen(&either, granule, disk_size, &where, err) == -1)
        return -1;
    progress_stage(p->progress, READING_PERCENT, disk_size);
    return scan_differences(p->disk->source, p->base, &where, granule,
                            p->progress, &p->delta.data, &p->delta.zeroes,
                            err);
}

/* All of it replaces what its receiver has, so zeroes count as well. */
static int select_changed(struct preparation *p, struct error *err)
{
    uint64_t granule = qcow2_granule(&p->o->qcow2);
    uint64_t disk_size = p->disk->source->disk_size;
    struct extents CLEANUP(extents) changed = {0};
    struct extents CLEANUP(extents) where = {0};

    /* Whole granules: no other can be sent, or marked. */
    if (extents_widen(&p->changed, granule, disk_size, &changed, err) == -1)
        return -1;
    if (!p->o->is_marking_zeroes) {
        extents_move(&p->delta.data, &changed);
        return 0;
    }
    if (extents_combine(&changed, EXTENTS_BOTH, &p->may_be_data, disk_size,
                        &where, err) == -1 ||
        look(p, &where, p->o->is_detecting_zeroes ? &where : &p->uncertain,
             &p->delta.data, err) == -1 ||
        extents_combine(&changed, EXTENTS_WITHOUT, &p->delta.data, disk_size,
                        &p->delta.zeroes, err) == -1)
        return -1;
    return delta_mark_zeroes(&p->delta, &p->delta.data, granule, disk_size,
                             err);
}

int selection_make(struct preparation *p, struct error *err)
{
    uint64_t disk_size = p->disk->source->disk_size;
    struct extents CLEANUP(extents) data = {0};

    if (is_by_changes(p))
        return select_changed(p, err);
    if (p->o->base.kind == EXPORT_NONE)
        return select_all(p, err);
    if (p->is_in_chain ? select_allocated(p, &data, err) == -1
                       : select_compared(p, err) == -1)
        return -1;
    if (!p->o->is_marking_zeroes)
        return delta_write_zeroes(&p->delta, disk_size, err);
    if (p->is_in_chain && look_below(p, &p->delta.zeroes, &data, err) == -1)
        return -1;
    return delta_mark_zeroes(&p->delta,
                             p->is_in_chain ? &data : &p->delta.data,
                             qcow2_granule(&p->o->qcow2), disk_size, err);
}
