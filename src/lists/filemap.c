/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which part of a qcow2 file holds which part of the disk. */

#include "config.h"

#include "base/array.h"
#include "lists/filemap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Does e go on where last ends, in the file and on the disk? */
static int is_continued(const struct filemap_entry *last,
                        const struct filemap_entry *e)
{
    return last->file_offset + last->length == e->file_offset &&
           last->disk_offset + last->length == e->disk_offset;
}

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
    if (batch->count > 0 && is_continued(&batch->list[batch->count - 1], &e)) {
        batch->list[batch->count - 1].length += length;
        return 0;
    }
    if (array_make_room(&batch->list, batch->count, &batch->space,
                        sizeof *batch->list, "file ranges", err) == -1)
        return -1;
    batch->list[batch->count++] = e;
    return 0;
}

static int compare_file_offset(const void *a, const void *b)
{
    const struct filemap_entry *x = a, *y = b;

    return (x->file_offset > y->file_offset) -
           (x->file_offset < y->file_offset);
}

/* Of a and b, which comes no earlier, do both have a piece of the file? */
static int check_pair(const struct filemap_entry *a,
                      const struct filemap_entry *b, struct error *err)
{
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
static int check_merge(const struct filemap *map,
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

/* Joins what continues each other, from the entry number first on. */
static void join(struct filemap *map, size_t first)
{
    size_t last = first;

    for (size_t i = first + 1; i < map->count; i++) {
        if (is_continued(&map->list[last], &map->list[i]))
            map->list[last].length += map->list[i].length;
        else
            map->list[++last] = map->list[i];
    }
    map->count = last + 1;
}

int filemap_merge(struct filemap *map, struct filemap_batch *batch,
                  struct error *err)
{
    size_t i = map->count, j = batch->count, to = i + j;

    if (j == 0)
        return 0;
    qsort(batch->list, j, sizeof *batch->list, compare_file_offset);
    if (check_merge(map, batch, err) == -1)
        return -1;
    if (i == 0) { /* nothing to merge with */
        filemap_clear(map);
        *map = (struct filemap){batch->list, j, batch->space};
        *batch = (struct filemap_batch){0};
        join(map, 0);
        return 0;
    }
    if (array_reserve(&map->list, to, &map->space, sizeof *map->list,
                      "file ranges", err) == -1)
        return -1;
    map->count = to;
    /* From the back, so that it needs no room besides. */
    while (j > 0) {
        if (i > 0 &&
            map->list[i - 1].file_offset > batch->list[j - 1].file_offset)
            map->list[--to] = map->list[--i];
        else
            map->list[--to] = batch->list[--j];
    }
    join(map, i > 0 ? i - 1 : 0);
    filemap_batch_clear(batch);
    return 0;
}

void filemap_drop(struct filemap *map, size_t count)
{
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
    free(batch->list);
    *batch = (struct filemap_batch){0};
}

void filemap_clear(struct filemap *map)
{
    free(map->list);
    *map = (struct filemap){0};
}
