/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of pieces of a file. */

#include "config.h"

#include "array.h"
#include "io.h"
#include "ranges.h"

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

/* Behind all that set has, or joined with its last. */
static int append(struct ranges *set, const struct range *r, struct error *err)
{
    struct range *last = set->count > 0 ? &set->list[set->count - 1] : NULL;

    if (last != NULL && r->file_offset <= range_end(last)) {
        last->length =
            io_max(range_end(last), range_end(r)) - last->file_offset;
        return 0;
    }
    return push(&set->list, &set->count, &set->space, *r, err);
}

int ranges_unite(struct ranges *set, struct ranges_batch *batch,
                 struct error *err)
{
    struct ranges united = {0};
    size_t i = 0, j = 0;

    if (batch->count == 0)
        return 0;
    qsort(batch->list, batch->count, sizeof *batch->list, compare);
    while (i < set->count || j < batch->count) {
        const struct range *next;

        if (j == batch->count ||
            (i < set->count &&
             set->list[i].file_offset <= batch->list[j].file_offset))
            next = &set->list[i++];
        else
            next = &batch->list[j++];
        if (append(&united, next, err) == -1) {
            ranges_clear(&united);
            return -1;
        }
    }
    ranges_clear(set);
    ranges_batch_clear(batch);
    *set = united;
    return 0;
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
