/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Sets of pieces of a file. */

#include "config.h"

#include "base/assert.h"
#include "base/io.h"
#include "lists/batch.h"
#include "lists/ranges.h"
#include "lists/sorted.h"

#include <inttypes.h>

SORTED_SEARCH(find_behind, struct range, range_end);

/* Does next touch or overlap last?  It begins no earlier. */
static bool join(struct range *last, const struct range *next)
{
    if (next->file_offset > range_end(last))
        return false;
    last->length =
        io_max(range_end(last), range_end(next)) - last->file_offset;
    return true;
}

/* cppcheck-suppress ctunullpointer ; it takes an item number 0 for NULL */
BATCH_FUNCTIONS(ranges, ranges_batch, struct range, "file ranges", join);

int ranges_batch_add(struct ranges_batch *batch, uint64_t file_offset,
                     uint64_t length, struct error *err)
{
    if (length == 0)
        return 0;
    if (length > UINT64_MAX - file_offset)
        return error_set(err, 0,
                         "range at file offset %" PRIu64
                         " has the impossible length %" PRIu64,
                         file_offset, length);
    return ranges_batch_push(batch, (struct range){file_offset, length}, err);
}

int ranges_unite(struct ranges *set, struct ranges_batch *batch,
                 struct error *err)
{
    ranges_batch_sort(batch);
    return ranges_merge_sorted(set, batch, err);
}

bool ranges_batch_overlaps(struct ranges_batch *batch,
                           const struct ranges *set, uint64_t *first)
{
    uint64_t end = 0;

    ranges_batch_sort(batch);
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
    size_t i = find_behind(set->list, set->count, file_offset);
    uint64_t from, to;

    ASSERT(file_offset <= file_end);
    if (i == set->count)
        return false;
    from = io_max(file_offset, set->list[i].file_offset);
    to = io_min(file_end, range_end(&set->list[i]));
    if (from >= to)
        return false;
    *piece = (struct range){from, to - from};
    return true;
}

bool ranges_has_any(const struct ranges *set, uint64_t file_offset,
                    uint64_t length, uint64_t *first)
{
    struct range piece;

    ASSERT(length <= UINT64_MAX - file_offset);
    if (!ranges_find(set, file_offset, file_offset + length, &piece))
        return false;
    *first = piece.file_offset;
    return true;
}

bool ranges_has_all(const struct ranges *set, uint64_t file_offset,
                    uint64_t length)
{
    struct range piece;

    ASSERT(length <= UINT64_MAX - file_offset);
    return length == 0 ||
           (ranges_find(set, file_offset, file_offset + length, &piece) &&
            piece.length == length);
}

void ranges_batch_clear(struct ranges_batch *batch)
{
    ranges_batch_free(batch);
}

void ranges_clear(struct ranges *set)
{
    ranges_free(set);
}
