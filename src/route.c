/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Brings what the map says is disk data from the stream to the disk. */

#include "config.h"

#include "cleanup.h"
#include "io.h"
#include "route.h"
#include "signals.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* Calls use with each piece of an entry's data, read from the store. */
static int for_pieces(struct store *store, const struct filemap_entry *e,
                      uint64_t from, uint64_t to, char *buf,
                      int (*use)(void *opaque, const char *buf, size_t length,
                                 uint64_t disk_offset, struct error *err),
                      void *opaque, struct error *err)
{
    for (uint64_t at = from; at < to;) {
        size_t n = io_min(to - at, IO_PIECE);

        if (signals_caught() != 0)
            return error_set(err, EINTR, "import");
        if (store_read(store, buf, n, e->file_offset + at - e->disk_offset,
                       err) == -1 ||
            use(opaque, buf, n, at, err) == -1)
            return -1;
        at += n;
    }
    return 0;
}

static int expect_zeroes(void *opaque, const char *buf, size_t length,
                         uint64_t disk_offset, struct error *err)
{
    const struct target *target = opaque;

    if (io_is_zero(buf, length))
        return 0;
    return error_set(err, 0,
                     "destination: too small: it has %" PRIu64
                     " bytes, and there is data at disk offset %" PRIu64,
                     target->size, disk_offset);
}

int route_check_end(struct store *store, const struct mapper_map *map,
                    const struct target *target, struct error *err)
{
    char *CLEANUP(free_ptr) buf = io_alloc_aligned(IO_PIECE);

    if (buf == NULL)
        return error_set(err, errno, "import: buffer");
    for (size_t i = 0; i < map->data.count; i++) {
        const struct filemap_entry *e = &map->data.list[i];
        uint64_t end = e->disk_offset + e->length;

        if (end > target->size &&
            for_pieces(store, e, io_max(e->disk_offset, target->size), end,
                       buf, expect_zeroes, (void *)target, err) == -1)
            return -1;
    }
    return 0;
}

/* Where a move is. */
struct move {
    struct target *target;
    struct progress *progress;
    uint64_t done; /* bytes */
};

static int write_piece(void *opaque, const char *buf, size_t length,
                       uint64_t disk_offset, struct error *err)
{
    struct move *m = opaque;

    if (target_write(m->target, buf, length, disk_offset, err) == -1)
        return -1;
    m->done += length;
    progress_moved(m->progress, length);
    progress_set(m->progress, m->done);
    return 0;
}

static int compare_disk_offset(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;

    return (x->disk_offset > y->disk_offset) -
           (x->disk_offset < y->disk_offset);
}

/* Appends to out, which is empty, the disk ranges of map's data. */
static int data_extents(const struct filemap *map, struct extents *out,
                        struct error *err)
{
    struct extent *CLEANUP(free_ptr) list =
        reallocarray(NULL, map->count + 1, sizeof *list);

    if (list == NULL)
        return error_set(err, errno, "import: disk ranges");
    for (size_t i = 0; i < map->count; i++)
        list[i] =
            (struct extent){map->list[i].disk_offset, map->list[i].length};
    qsort(list, map->count, sizeof *list, compare_disk_offset);
    for (size_t i = 0; i < map->count; i++)
        if (extents_append(out, list[i].disk_offset, list[i].length, err) ==
            -1)
            return -1;
    return 0;
}

static int zero_extents(const struct extents *extents, struct target *target,
                        struct error *err)
{
    for (size_t i = 0; i < extents->count; i++) {
        const struct extent *e = &extents->list[i];
        uint64_t end = io_min(extent_end(e), target->size);

        if (e->disk_offset < end &&
            target_zero(target, e->disk_offset, end - e->disk_offset, err) ==
                -1)
            return -1;
    }
    return 0;
}

/* Zeroes what holds no data, except what is to be left alone. */
static int zero_rest(const struct mapper_map *map, uint64_t disk_size,
                     bool is_prezeroed, struct target *target,
                     struct error *err)
{
    struct extents CLEANUP(extents) data = {0};
    struct extents CLEANUP(extents) rest = {0};

    if (target->is_created)
        return 0;
    if (is_prezeroed)
        return zero_extents(&map->zeroes, target, err);
    if (data_extents(&map->data, &data, err) == -1 ||
        extents_invert(&data, disk_size, &rest, err) == -1)
        return error_wrap(err, "source");
    return zero_extents(&rest, target, err);
}

int route_move(struct store *store, const struct mapper_map *map,
               uint64_t disk_size, bool is_prezeroed, struct target *target,
               struct progress *progress, struct error *err)
{
    char *CLEANUP(free_ptr) buf = io_alloc_aligned(IO_PIECE);
    struct move move = {.target = target, .progress = progress};

    if (buf == NULL)
        return error_set(err, errno, "import: buffer");
    for (size_t i = 0; i < map->data.count; i++) {
        const struct filemap_entry *e = &map->data.list[i];
        uint64_t end = io_min(e->disk_offset + e->length, target->size);

        if (for_pieces(store, e, e->disk_offset, end, buf, write_piece, &move,
                       err) == -1)
            return -1;
    }
    return zero_rest(map, disk_size, is_prezeroed, target, err);
}
