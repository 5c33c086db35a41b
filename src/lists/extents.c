/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Ascending lists of disk ranges. */

#include "config.h"

#include "base/assert.h"
#include "base/io.h"
#include "lists/extents.h"
#include "lists/sorted.h"

#include <errno.h>
#include <inttypes.h>

VECTOR_FUNCTIONS(extents, struct extent, "disk ranges");
SORTED_SEARCH(find_behind, struct extent, extent_end);

static int append(struct extents *extents, uint64_t disk_offset,
                  uint64_t length, bool is_joined, struct error *err)
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
    if (is_joined && last != NULL && disk_offset == extent_end(last)) {
        last->length += length;
        return 0;
    }
    return extents_push(extents, (struct extent){disk_offset, length}, err);
}

int extents_append(struct extents *extents, uint64_t disk_offset,
                   uint64_t length, struct error *err)
{
    return append(extents, disk_offset, length, true, err);
}

int extents_append_apart(struct extents *extents, uint64_t disk_offset,
                         uint64_t length, struct error *err)
{
    return append(extents, disk_offset, length, false, err);
}

int extents_widen(const struct extents *in, uint64_t granule, uint64_t limit,
                  struct extents *out, struct error *err)
{
    uint64_t end = 0; /* of what out covers */

    ASSERT(granule > 0);
    ASSERT(limit <= INT64_MAX);
    ASSERT(out->count == 0);
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

/* As extents_covers; i is the first that ends behind disk_offset. */
static bool covers_at(const struct extents *extents, size_t i,
                      uint64_t disk_offset, uint64_t *next)
{
    const struct extent *e;

    *next = UINT64_MAX;
    if (i == extents->count)
        return false;
    e = &extents->list[i];
    *next = disk_offset < e->disk_offset ? e->disk_offset : extent_end(e);
    return disk_offset >= e->disk_offset;
}

bool extents_covers(const struct extents *extents, uint64_t disk_offset,
                    uint64_t *next)
{
    return covers_at(extents, extents_find(extents, disk_offset), disk_offset,
                     next);
}

/* The same for offsets that ascend: *i moves on with them. */
static bool covers_next(const struct extents *extents, size_t *i,
                        uint64_t disk_offset, uint64_t *next)
{
    while (*i < extents->count &&
           extent_end(&extents->list[*i]) <= disk_offset)
        ++*i;
    return covers_at(extents, *i, disk_offset, next);
}

int extents_combine(const struct extents *a, enum extents_op op,
                    const struct extents *b, uint64_t limit,
                    struct extents *out, struct error *err)
{
    size_t i = 0, j = 0;

    ASSERT(limit <= INT64_MAX);
    ASSERT(out->count == 0);
    for (uint64_t at = 0, end; at < limit; at = end) {
        uint64_t next_a, next_b;
        bool in_a = covers_next(a, &i, at, &next_a);
        bool in_b = covers_next(b, &j, at, &next_b);

        end = io_min(limit, io_min(next_a, next_b));
        if ((op == EXTENTS_BOTH && in_a && in_b) ||
            (op == EXTENTS_EITHER && (in_a || in_b)) ||
            (op == EXTENTS_WITHOUT && in_a && !in_b))
            if (extents_append(out, at, end - at, err) == -1)
                return -1;
    }
    return 0;
}

int extents_merge_apart(const struct extents *a, const struct extents *b,
                        struct extents *out, struct error *err)
{
    size_t i = 0, j = 0;

    ASSERT(out->count == 0);
    while (i < a->count || j < b->count) {
        bool is_a =
            j == b->count ||
            (i < a->count && a->list[i].disk_offset < b->list[j].disk_offset);
        const struct extent *e = is_a ? &a->list[i++] : &b->list[j++];

        if (extents_append_apart(out, e->disk_offset, e->length, err) == -1)
            return -1;
    }
    return 0;
}

size_t extents_find(const struct extents *extents, uint64_t disk_offset)
{
    return find_behind(extents->list, extents->count, disk_offset);
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

void extents_move(struct extents *to, struct extents *from)
{
    ASSERT(to != from);
    extents_clear(to);
    *to = *from;
    *from = (struct extents){0};
}

void extents_clear(struct extents *extents)
{
    extents_free(extents);
}
