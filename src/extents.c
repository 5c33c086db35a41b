/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ascending lists of disk ranges. */

#include "config.h"

#include "array.h"
#include "extents.h"
#include "io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

int extents_append(struct extents *extents, uint64_t disk_offset,
                   uint64_t length, struct error *err)
{
    struct extent *last = NULL;

    if (length == 0 || length > INT64_MAX || disk_offset > INT64_MAX - length)
        return error_set(err, 0,
                         "range at disk offset %" PRIu64
                         " has the impossible length %" PRIu64,
                         disk_offset, length);
    if (extents->count > 0)
        last = &extents->list[extents->count - 1];
    if (last != NULL && disk_offset < extent_end(last))
        return error_set(err, 0,
                         "range at disk offset %" PRIu64
                         " begins before the end of the last, %" PRIu64,
                         disk_offset, extent_end(last));
    if (last != NULL && disk_offset == extent_end(last)) {
        last->length += length;
        return 0;
    }
    if (array_make_room(&extents->list, extents->count, &extents->space,
                        sizeof *extents->list, "disk ranges", err) == -1)
        return -1;
    extents->list[extents->count++] = (struct extent){disk_offset, length};
    return 0;
}

int extents_widen(const struct extents *in, uint64_t granule, uint64_t limit,
                  struct extents *out, struct error *err)
{
    uint64_t end = 0; /* of what out covers */

    for (size_t i = 0; i < in->count; i++) {
        const struct extent *e = &in->list[i];
        uint64_t from = io_max(end, IO_ROUND_DOWN(e->disk_offset, granule));
        uint64_t to = io_min(limit, IO_ROUND_UP(extent_end(e), granule));

        if (from >= to)
            continue;
        if (extents_append(out, from, to - from, err) == -1)
            return -1;
        end = to;
    }
    return 0;
}

uint64_t extents_total(const struct extents *extents)
{
    uint64_t total = 0;

    for (size_t i = 0; i < extents->count; i++)
        total += extents->list[i].length;
    return total;
}

bool extents_is_equal(const struct extents *a, const struct extents *b,
                      uint64_t *differ)
{
    const struct extent none = {INT64_MAX, 0};

    for (size_t i = 0; i < a->count || i < b->count; i++) {
        const struct extent *x = i < a->count ? &a->list[i] : &none;
        const struct extent *y = i < b->count ? &b->list[i] : &none;

        if (x->disk_offset != y->disk_offset) {
            *differ = io_min(x->disk_offset, y->disk_offset);
            return false;
        }
        if (x->length != y->length) {
            *differ = x->disk_offset + io_min(x->length, y->length);
            return false;
        }
    }
    return true;
}

void extents_clear(struct extents *extents)
{
    free(extents->list);
    *extents = (struct extents){0};
}
