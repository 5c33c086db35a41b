/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What has to be sent so that a base becomes another disk. */

#include "config.h"

#include "base/assert.h"
#include "base/cleanup.h"
#include "export/delta.h"

int delta_by_allocation(const struct extents *allocated,
                        const struct extents *data,
                        const struct extents *base_data, uint64_t disk_size,
                        struct delta *delta, struct error *err)
{
    struct extents CLEANUP(extents) emptied = {0};

    ASSERT(delta->data.count == 0 && delta->zeroes.count == 0);
    if (extents_combine(allocated, EXTENTS_BOTH, data, disk_size, &delta->data,
                        err) == -1 ||
        extents_combine(allocated, EXTENTS_WITHOUT, data, disk_size, &emptied,
                        err) == -1)
        return -1;
    return extents_combine(&emptied, EXTENTS_BOTH, base_data, disk_size,
                           &delta->zeroes, err);
}

int delta_write_zeroes(struct delta *delta, uint64_t disk_size,
                       struct error *err)
{
    struct extents CLEANUP(extents) all = {0};

    if (extents_combine(&delta->data, EXTENTS_EITHER, &delta->zeroes,
                        disk_size, &all, err) == -1)
        return -1;
    extents_move(&delta->data, &all);
    extents_clear(&delta->zeroes);
    return 0;
}

int delta_mark_zeroes(struct delta *delta, const struct extents *data,
                      uint64_t granule, uint64_t disk_size, struct error *err)
{
    struct extents CLEANUP(extents) sent = {0};
    struct extents CLEANUP(extents) held = {0};
    struct extents CLEANUP(extents) touched = {0};
    struct extents CLEANUP(extents) left = {0};
    struct extents CLEANUP(extents) mixed = {0};
    struct extents CLEANUP(extents) marked = {0};
    struct extents CLEANUP(extents) all = {0};

    /* In whole granules: what is sent anyway, what has to be zeroed besides,
     * and what of that holds data.
     */
    if (extents_widen(&delta->data, granule, disk_size, &sent, err) == -1 ||
        extents_widen(&delta->zeroes, granule, disk_size, &touched, err) ==
            -1 ||
        extents_widen(data, granule, disk_size, &held, err) == -1 ||
        extents_combine(&touched, EXTENTS_WITHOUT, &sent, disk_size, &left,
                        err) == -1 ||
        extents_combine(&left, EXTENTS_BOTH, &held, disk_size, &mixed, err) ==
            -1 ||
        extents_combine(&left, EXTENTS_WITHOUT, &held, disk_size, &marked,
                        err) == -1 ||
        extents_combine(&delta->data, EXTENTS_EITHER, &mixed, disk_size, &all,
                        err) == -1)
        return -1;
    extents_move(&delta->data, &all);
    extents_move(&delta->zeroes, &marked);
    return 0;
}

void delta_clear(struct delta *delta)
{
    extents_clear(&delta->data);
    extents_clear(&delta->zeroes);
}
