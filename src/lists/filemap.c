/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Which part of a qcow2 file holds which part of the disk. */

#include "config.h"

#include "base/assert.h"
#include "lists/batch.h"
#include "lists/filemap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/* Does next go on where last ends, in the file and on the disk? */
static bool join(struct filemap_entry *last, const struct filemap_entry *next)
{
    if (last->file_offset + last->length != next->file_offset ||
        last->disk_offset + last->length != next->disk_offset)
        return false;
    last->length += next->length;
    return true;
}

/* cppcheck-suppress ctunullpointer ; it takes an item number 0 for NULL */
BATCH_FUNCTIONS(filemap, filemap_batch, struct filemap_entry, "file ranges",
                join);

int filemap_batch_add(struct filemap_batch *batch, uint64_t file_offset,
                      uint64_t length, uint64_t disk_offset, struct error *err)
{
    struct filemap_entry e = {file_offset, length, disk_offset};

    if (length == 0 || length > INT64_MAX ||
        file_offset > INT64_MAX - length || disk_offset > INT64_MAX - length)
        return error_set(err, 0,
                         "range at file offset %" PRIu64
                         ", disk offset %" PRIu64
                         " has the impossible length %" PRIu64,
                         file_offset, disk_offset, length);
    if (batch->count > 0 && join(&batch->list[batch->count - 1], &e))
        return 0;
    return filemap_batch_push(batch, e, err);
}

/* Of a and b, which comes no earlier, do both have a piece of the file? */
static int check_pair(const struct filemap_entry *a,
                      const struct filemap_entry *b, struct error *err)
{
    ASSERT(b->file_offset >= a->file_offset);
    if (b->file_offset >= a->file_offset + a->length)
        return 0;
    return error_set(err, 0,
                     "file offset %" PRIu64
                     " is claimed twice, for disk offsets %" PRIu64
                     " and %" PRIu64,
                     b->file_offset,
                     a->disk_offset + b->file_offset - a->file_offset,
                     b->disk_offset);
}

/* The number of the first entry that begins behind file_offset. */
static size_t find_behind(const struct filemap *map, uint64_t file_offset)
{
    size_t low = 0, high = map->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (map->list[middle].file_offset <= file_offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Can all of the sorted batch go into map? */
static int check_all(const struct filemap *map,
                     const struct filemap_batch *batch, struct error *err)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct filemap_entry *e = &batch->list[i];
        size_t next = find_behind(map, e->file_offset);

        if ((i > 0 && check_pair(e - 1, e, err) == -1) ||
            (next > 0 && check_pair(&map->list[next - 1], e, err) == -1) ||
            (next < map->count && check_pair(e, &map->list[next], err) == -1))
            return -1;
    }
    return 0;
}

int filemap_merge(struct filemap *map, struct filemap_batch *batch,
                  struct error *err)
{
    filemap_batch_sort(batch);
    if (check_all(map, batch, err) == -1)
        return -1;
    return filemap_merge_sorted(map, batch, err);
}

void filemap_drop(struct filemap *map, size_t count)
{
    ASSERT(count <= map->count);
    if (count == 0)
        return;
    map->count -= count;
    memmove(map->list, map->list + count, map->count * sizeof *map->list);
}

uint64_t filemap_end(const struct filemap *map)
{
    const struct filemap_entry *last;

    if (map->count == 0)
        return 0;
    last = &map->list[map->count - 1];
    return last->file_offset + last->length;
}

uint64_t filemap_total(const struct filemap *map)
{
    uint64_t total = 0;

    for (size_t i = 0; i < map->count; i++)
        total += map->list[i].length;
    return total;
}

void filemap_batch_clear(struct filemap_batch *batch)
{
    filemap_batch_free(batch);
}

void filemap_clear(struct filemap *map)
{
    filemap_free(map);
}
