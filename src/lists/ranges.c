/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of pieces of a file. */

#include "config.h"

#include "base/array.h"
#include "base/io.h"
#include "lists/ranges.h"

#include <errno.h>
#include <stdlib.h>

static int push(struct range **list, size_t *count, size_t *space,
                struct range range, struct error *err)
{
    if (array_make_room(list, *count, space, sizeof **list, "file ranges",
                        err) == -1)
        return -1;
    (*list)[(*count)++] = range;
    return 0;
}

int ranges_batch_add(struct ranges_batch *batch, uint64_t file_offset,
                     uint64_t length, struct error *err)
{
    if (length == 0)
        return 0;
    return push(&batch->list, &batch->count, &batch->space,
                (struct range){file_offset, length}, err);
}

static int compare(const void *a, const void *b)
{
    const struct range *x = a, *y = b;

    return (x->file_offset > y->file_offset) -
           (x->file_offset < y->file_offset);
}

static void sort(struct ranges_batch *batch)
{
    if (batch->count > 0) /* qsort wants no NULL */
        qsort(batch->list, batch->count, sizeof *batch->list, compare);
}

/* Joins what touches or overlaps, from the range number first on. */
static void join(struct ranges *set, size_t first)
{
    size_t last = first;

    for (size_t i = first + 1; i < set->count; i++) {
        struct range *r = &set->list[last];

        if (set->list[i].file_offset <= range_end(r))
            r->length = io_max(range_end(r), range_end(&set->list[i])) -
                        r->file_offset;
        else
            set->list[++last] = set->list[i];
    }
    set->count = last + 1;
}

int ranges_unite(struct ranges *set, struct ranges_batch *batch,
                 struct error *err)
{
    size_t i = set->count, j = batch->count, to = i + j;

    if (j == 0)
        return 0;
    if (array_reserve(&set->list, to, &set->space, sizeof *set->list,
                      "file ranges", err) == -1)
        return -1;
    sort(batch);
    set->count = to;
    /* From the back, so that it needs no room besides. */
    while (j > 0) {
        if (i > 0 &&
            set->list[i - 1].file_offset > batch->list[j - 1].file_offset)
            set->list[--to] = set->list[--i];
        else
            set->list[--to] = batch->list[--j];
    }
    join(set, i > 0 ? i - 1 : 0);
    ranges_batch_clear(batch);
    return 0;
}

bool ranges_batch_overlaps(struct ranges_batch *batch,
                           const struct ranges *set, uint64_t *first)
{
    uint64_t end = 0;

    sort(batch);
    for (size_t i = 0; i < batch->count; i++) {
        const struct range *r = &batch->list[i];

        *first = r->file_offset;
        if (r->file_offset < end ||
            ranges_has_any(set, r->file_offset, r->length, first))
            return true;
        end = range_end(r);
    }
    return false;
}

bool ranges_find(const struct ranges *set, uint64_t file_offset,
                 uint64_t file_end, struct range *piece)
{
    size_t low = 0, high = set->count;
    uint64_t from, to;

    /* The first range that ends behind file_offset */
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (range_end(&set->list[middle]) <= file_offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == set->count)
        return false;
    from = io_max(file_offset, set->list[low].file_offset);
    to = io_min(file_end, range_end(&set->list[low]));
    if (from >= to)
        return false;
    *piece = (struct range){from, to - from};
    return true;
}

bool ranges_has_any(const struct ranges *set, uint64_t file_offset,
                    uint64_t length, uint64_t *first)
{
    struct range piece;

    if (!ranges_find(set, file_offset, file_offset + length, &piece))
        return false;
    *first = piece.file_offset;
    return true;
}

bool ranges_has_all(const struct ranges *set, uint64_t file_offset,
                    uint64_t length)
{
    struct range piece;

    return length == 0 ||
           (ranges_find(set, file_offset, file_offset + length, &piece) &&
            piece.length == length);
}

void ranges_batch_clear(struct ranges_batch *batch)
{
    free(batch->list);
    *batch = (struct ranges_batch){0};
}

void ranges_clear(struct ranges *set)
{
    free(set->list);
    *set = (struct ranges){0};
}
