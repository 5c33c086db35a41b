/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Allocation maps that the caller passes in, as text on pipes. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/stall.h"
#include "qemu/clusterjson.h"
#include "export/mapfds.h"
#include "qemu/infojson.h"
#include "qemu/mapjson.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* One map, as it arrives. */
struct arriving {
    const struct mapfds *map;
    struct mapjson *parser;
    struct infojson *info_parser; /* NULL: there is none */
    struct clusterjson *clusters; /* in parser's place; else NULL */
    uint64_t disk_end;            /* of the last entry */
};

static int add_entry(void *opaque, const struct mapjson_entry *e,
                     struct error *err)
{
    struct arriving *a = opaque;
    uint64_t disk_size = a->map->disk_size;

    if (e->disk_offset != a->disk_end)
        return error_set(err, 0, "map begins at disk offset %" PRIu64,
                         e->disk_offset);
    a->disk_end = e->disk_offset + e->length;
    if (!mapjson_entry_has_data(e) || e->disk_offset >= disk_size)
        return 0;
    return extents_append(a->map->data, e->disk_offset,
                          io_min(a->disk_end, disk_size) - e->disk_offset,
                          err);
}

/* Takes a piece of the map; length 0: it is complete. */
static int feed_map(struct arriving *a, const char *text, size_t length,
                    struct error *err)
{
    if (a->clusters != NULL)
        return length > 0 ? clusterjson_feed(a->clusters, text, length, err)
                          : clusterjson_end(a->clusters, &a->disk_end,
                                            a->map->data, err);
    return length > 0 ? mapjson_feed(a->parser, text, length, err)
                      : mapjson_end(a->parser, err);
}

/* Reads what there is on fd; *is_ended tells if that was the end. */
static int read_some(struct arriving *a, int fd, bool is_map, bool *is_ended,
                     struct error *err)
{
    char text[16384];
    ssize_t n = io_read(fd, text, sizeof text);
    int r;

    *is_ended = n == 0;
    if (n == -1)
        return error_set(err, errno, "%s: cannot read fd %d", a->map->role,
                         fd);
    if (is_map)
        r = feed_map(a, text, n, err);
    else
        r = n == 0 ? 0 : infojson_feed(a->info_parser, text, n, err);
    return r == 0 ? 0 : error_wrap(err, "%s: fd %d", a->map->role, fd);
}

/* fds[2 * i] has the map, fds[2 * i + 1] the information of arriving[i]. */
static int read_all(struct arriving *arriving, struct pollfd *fds,
                    size_t count, struct error *err)
{
    size_t n_open = 0;
    STALL_WAIT_FOR(STALL_PEER, "the map");

    for (size_t i = 0; i < 2 * count; i++)
        n_open += fds[i].fd != -1;
    while (n_open > 0) {
        if (io_poll(fds, 2 * count, -1) == -1)
            return error_set(err, errno, "%s: map", arriving[0].map->role);
        for (size_t i = 0; i < 2 * count; i++) {
            bool is_ended;

            if (fds[i].revents == 0)
                continue;
            if (read_some(&arriving[i / 2], fds[i].fd, i % 2 == 0, &is_ended,
                          err) == -1)
                return -1;
            if (is_ended) {
                fds[i].fd = -1;
                n_open--;
            }
        }
    }
    return 0;
}

static int check_size(const struct mapfds *map, const char *what,
                      uint64_t size, struct error *err)
{
    if (IO_ROUND_UP(size, IO_SECTOR) == map->disk_size)
        return 0;
    return error_set(err, 0,
                     "%s: the device has %" PRIu64
                     " bytes, but its %s describes a disk of %" PRIu64,
                     map->role, map->disk_size, what, size);
}

/* Do map and information speak of this disk? */
static int check_arrived(const struct arriving *a, struct error *err)
{
    struct image_info CLEANUP(image_info) info = {0};

    if (check_size(a->map, "map", a->disk_end, err) == -1)
        return -1;
    if (a->map->info_fd == -1)
        return 0;
    if (infojson_end(a->info_parser, &info, err) == -1)
        return error_wrap(err, "%s: fd %d", a->map->role, a->map->info_fd);
    return check_size(a->map, "information", info.virtual_size, err);
}

/* Makes what parses one map and its information. */
static int open_parsers(struct arriving *a, struct error *err)
{
    bool is_complete = true;

    if (a->map->is_of_clusters)
        is_complete = (a->clusters = clusterjson_new()) != NULL;
    else
        is_complete = (a->parser = mapjson_new(add_entry, a)) != NULL;
    if (is_complete && a->map->info_fd != -1)
        is_complete = (a->info_parser = infojson_new()) != NULL;
    if (is_complete)
        return 0;
    return error_set(err, errno, "%s: map", a->map->role);
}

static int check_fd(const struct mapfds *map, int fd, struct error *err)
{
    if (fd == -1 || !io_is_write_only(fd))
        return 0;
    return error_set(err, 0, "%s: fd %d is write-only", map->role, fd);
}

static int read_and_check(const struct mapfds *maps, struct arriving *arriving,
                          size_t count, struct error *err)
{
    struct pollfd fds[IO_POLLED];

    for (size_t i = 0; i < count; i++) {
        fds[2 * i] = (struct pollfd){maps[i].map_fd, POLLIN, 0};
        fds[2 * i + 1] = (struct pollfd){maps[i].info_fd, POLLIN, 0};
        arriving[i].map = &maps[i];
        if (check_fd(&maps[i], maps[i].map_fd, err) == -1 ||
            check_fd(&maps[i], maps[i].info_fd, err) == -1 ||
            open_parsers(&arriving[i], err) == -1)
            return -1;
    }
    if (read_all(arriving, fds, count, err) == -1)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (check_arrived(&arriving[i], err) == -1)
            return -1;
    return 0;
}

int mapfds_read(const struct mapfds *maps, size_t count, struct error *err)
{
    struct arriving arriving[IO_POLLED / 2] = {{0}};
    int r = read_and_check(maps, arriving, count, err);

    for (size_t i = 0; i < count; i++) {
        mapjson_free(arriving[i].parser);
        clusterjson_free(arriving[i].clusters);
        infojson_free(arriving[i].info_parser);
    }
    return r;
}
