/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which part of a qcow2 file holds which part of the disk. */

#include "config.h"

#include "array.h"
#include "filemap.h"

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

static int filemap_append(struct filemap *map, const struct filemap_entry *e,
                          struct error *err)
{
    struct filemap_entry *last = NULL;

    if (map->count > 0)
        last = &map->list[map->count - 1];
    if (last != NULL && e->file_offset < last->file_offset + last->length)
        return error_set(err, 0,
                         "file offset %" PRIu64
                         " is claimed twice, for disk offsets %" PRIu64
                         " and %" PRIu64,
                         e->file_offset,
                         last->disk_offset + e->file_offset -
                             last->file_offset,
                         e->disk_offset);
    if (last != NULL && is_continued(last, e)) {
        last->length += e->length;
        return 0;
    }
    if (array_make_room(&map->list, map->count, &map->space, sizeof *map->list,
                        "file ranges", err) == -1)
        return -1;
    map->list[map->count++] = *e;
    return 0;
}

static int compare_file_offset(const void *a, const void *b)
{
    const struct filemap_entry *x = a, *y = b;

    return (x->file_offset > y->file_offset) -
           (x->file_offset < y->file_offset);
}

int filemap_merge(struct filemap *map, struct filemap_batch *batch,
                  struct error *err)
{
    struct filemap merged = {0};
    size_t i = 0, j = 0;

    if (batch->count > 0) /* qsort wants no NULL */
        qsort(batch->list, batch->count, sizeof *batch->list,
              compare_file_offset);
    while (i < map->count || j < batch->count) {
        const struct filemap_entry *next;

        if (j == batch->count ||
            (i < map->count &&
             map->list[i].file_offset <= batch->list[j].file_offset))
            next = &map->list[i++];
        else
            next = &batch->list[j++];
        if (filemap_append(&merged, next, err) == -1) {
            filemap_clear(&merged);
            return -1;
        }
    }
    filemap_clear(map);
    filemap_batch_clear(batch);
    *map = merged;
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
