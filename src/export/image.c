/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What is allocated in an image and its backing files. */

/* Notes on the design
 *
 * QEMU tells from an image's tables what is data.  An image without tables, a
 * raw one, say, is data where its file has no hole; and there the file system
 * answers QEMU another way once it has been read: ext4 and XFS call a range
 * that was allocated and never written a hole until it is in the page cache.
 * So what QEMU calls data in such a link is cut to what has been written, by
 * a map that no reading changes (fiemap.h).  Where that cannot be had the data
 * is uncertain: it is for the caller to look at.  So is what QEMU calls data
 * for want of a map.
 *
 * QEMU's time for a node grows with the square of how many images it nests,
 * and each costs us three fds and a thread.  So a chain is mapped in groups of
 * a few links, from the top down.  What a group says counts where all those
 * above it are open: where they hold nothing, and do not end.  Behind the end
 * of an image there are zeroes, whatever is in those below it.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "export/chain-names.h"
#include "export/chain-view.h"
#include "export/fiemap.h"
#include "export/flat.h"
#include "export/image.h"
#include "nbd/map.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void image_map_clear(struct image_map *map)
{
    extents_clear(&map->data);
    extents_clear(&map->overlays);
    extents_clear(&map->uncertain);
    places_clear(&map->places);
    extents_clear(&map->others);
}

/* How it is told which ranges of one link are data. */
struct judge {
    enum {
        NOT_ASKED, /* no range of it has needed that so far */
        MAP,       /* all are that QEMU's map calls data */
        WRITTEN,   /* those that the file system has data for */
        CONTENTS,  /* those that are read and are not all zeroes */
    } by;
    struct ranges written; /* by offset in the link's file */
};

enum {
    GROUP = 16,            /* links */
    MOST_PLACES = 1 << 20, /* of 32 bytes; QEMU reads what lies elsewhere */
};

/* A stretch that QEMU reads in between, rather than that it is waited for. */
#define SHORTEST_STRETCH (UINT64_C(512) << 10)

/* Links that are mapped together. */
struct group {
    struct chain *chain;
    const struct image_query *query;
    size_t first, count;
    const struct extents *open; /* what those above leave to them */
    size_t next;                /* of open, where the map is now */
    struct judge *judges;       /* of each of the links */
    struct image_map map;       /* of open alone */
    struct extents below;       /* what these leave to those below */
    struct places *places;      /* NULL: not wanted */
    uint64_t disk_end;          /* of the last entry */
    uint64_t expected_end;      /* that of the last one of all */
    uint64_t entries_left;      /* so many more may come */
    struct error missing; /* some data is: the cause of what came after */
};

static void cleanup_group(struct group *g)
{
    for (size_t i = 0; g->judges != NULL && i < g->count; i++)
        ranges_clear(&g->judges[i].written);
    free(g->judges);
    image_map_clear(&g->map);
    extents_clear(&g->below);
}

/* Appends data of a link, in the pieces that it and those above it are looked
 * at in.
 */
static int append_pieces(struct group *g, uint64_t disk_offset,
                         uint64_t length, size_t link, struct error *err)
{
    uint64_t disk_end = disk_offset + length;

    for (uint64_t at = disk_offset, end; at < disk_end; at = end) {
        end = disk_end;
        for (size_t i = g->query->first; i < g->chain->count && i <= link;
             i++) {
            uint64_t piece = g->chain->links[i].status_granule;

            if (piece != 0)
                end = io_min(end, IO_ROUND_DOWN(at, piece) + piece);
        }
        if (extents_append_apart(&g->map.data, at, end - at, err) == -1)
            return -1;
    }
    return 0;
}

/* A link that QEMU asks the file system about, if that is in file_fd (-1: who
 * knows where).  The holes of a block device do not change, as it has none.
 */
static int ask_file_system(struct group *g, const struct chain_link *link,
                           int file_fd, struct judge *judge, struct error *err)
{
    bool is_known = false;
    struct stat st;

    if (file_fd != -1 &&
        fiemap_find_written(file_fd, &judge->written, &is_known, err) == -1)
        return error_wrap(err, "%s: %s", g->chain->role, link->path);
    judge->by = is_known ? WRITTEN : CONTENTS;
    if (!is_known && (fstat(file_fd, &st) == -1 || !S_ISBLK(st.st_mode)))
        g->map.is_unsteady = true;
    return 0;
}

static int find_judge(struct group *g, size_t link, struct error *err)
{
    const struct chain_link *l = &g->chain->links[link];
    struct judge *judge = &g->judges[link - g->first];
    enum map_origin role = map_origin_of(l->format, l->fd);

    if (role == MAP_BY_NOBODY) {
        judge->by = CONTENTS;
        return 0;
    }
    if (role == MAP_BY_FILE_SYSTEM)
        return ask_file_system(g, l, chain_data_fd(l), judge, err);
    /* Where it opens a qcow2 file by its name, QEMU asks the file system, too,
     * if the image looks preallocated.
     */
    if (!l->is_file || l->data_path != NULL ||
        (g->chain->is_by_name && strcmp(l->format, "qcow2") == 0))
        return ask_file_system(g, l, l->data_fd, judge, err);
    judge->by = MAP;
    return 0;
}

/* "Sectors are readable from the file at offset" is what an offset says of
 * data (block_status in QEMU's include/block/block-common.h).  What is
 * compressed or encrypted has none.
 */
static int note_place(struct group *g, const struct mapjson_entry *e,
                      uint64_t disk_offset, uint64_t length, struct error *err)
{
    const struct place place = {
        .disk_offset = disk_offset,
        .length = length,
        .file_offset = e->file_offset + (disk_offset - e->disk_offset),
        .link = g->first + e->depth,
    };

    if (g->places == NULL || g->places->count >= MOST_PLACES ||
        !e->has_file_offset || e->is_compressed ||
        chain_data_fd(&g->chain->links[place.link]) == -1)
        return 0;
    return places_add(g->places, &place, err);
}

static int append_data(struct group *g, const struct mapjson_entry *e,
                       uint64_t disk_offset, uint64_t length,
                       struct error *err)
{
    size_t link = g->first + e->depth;

    if (note_place(g, e, disk_offset, length, err) == -1)
        return -1;
    if (g->judges[e->depth].by == CONTENTS &&
        extents_append(&g->map.uncertain, disk_offset, length, err) == -1)
        return -1;
    if (g->query->is_in_pieces)
        return append_pieces(g, disk_offset, length, link, err);
    return extents_append(&g->map.data, disk_offset, length, err);
}

/* Takes a part of an entry that is data. */
static int take_data(struct group *g, const struct mapjson_entry *e,
                     uint64_t disk_offset, uint64_t length, struct error *err)
{
    uint64_t file_offset = e->file_offset + (disk_offset - e->disk_offset);
    uint64_t file_end = file_offset + length;
    size_t link = g->first + e->depth;
    const struct judge *judge = &g->judges[e->depth];
    struct range piece;

    if (!e->has_file_offset)
        g->map.has_compressed = true;
    else if (chain_need(g->chain, link, file_end, &g->missing) == -1)
        return error_set(err, 0, "it is cut short");
    if (judge->by == NOT_ASKED && find_judge(g, link, err) == -1)
        return -1;
    if (judge->by != WRITTEN || !e->has_file_offset)
        return append_data(g, e, disk_offset, length, err);
    for (uint64_t at = file_offset;
         ranges_find(&judge->written, at, file_end, &piece);
         at = range_end(&piece))
        if (append_data(g, e, disk_offset + (piece.file_offset - file_offset),
                        piece.length, err) == -1)
            return -1;
    return 0;
}

/* Takes a part of an entry that is left to this group. */
static int take_part(struct group *g, const struct mapjson_entry *e,
                     uint64_t disk_offset, uint64_t length, struct error *err)
{
    bool is_data = mapjson_entry_has_data(e);

    if (is_data && take_data(g, e, disk_offset, length, err) == -1)
        return -1;
    if (!is_data && !e->is_present)
        return extents_append(&g->below, disk_offset, length, err);
    if (e->is_present &&
        g->first + e->depth < g->query->first + g->query->n_overlays)
        return extents_append(&g->map.overlays, disk_offset, length, err);
    return 0;
}

static int add_entry(void *opaque, const struct mapjson_entry *e,
                     struct error *err)
{
    struct group *g = opaque;
    uint64_t disk_end = e->disk_offset + e->length;

    /* What is in none of them holds nothing. */
    if (e->depth > g->count ||
        (e->depth == g->count && mapjson_entry_has_data(e)))
        return error_set(err, 0,
                         "QEMU: the map has more backing files than it");
    if (g->entries_left == 0)
        return error_set(err, 0,
                         "there are more ranges than entries in its tables: "
                         "they are used more than once");
    g->entries_left--;
    g->disk_end = disk_end;
    for (; g->next < g->open->count; g->next++) {
        const struct extent *open = &g->open->list[g->next];
        uint64_t from = io_max(open->disk_offset, e->disk_offset);
        uint64_t to = io_min(extent_end(open), disk_end);

        if (from < to && take_part(g, e, from, to - from, err) == -1)
            return -1;
        if (extent_end(open) > disk_end)
            break;
    }
    return 0;
}

/* What QEMU says is for those who know the image by its name. */
static int explain(const struct group *g, struct error *err)
{
    const char *path = g->chain->links[g->first].path;
    char *node = strstr(err->msg, "'json:{");
    char *end = node == NULL ? NULL : strstr(node, "}'");

    if (end != NULL) {
        memcpy(node, "it", 2);
        memmove(node + 2, end + 2, strlen(end + 2) + 1);
    }
    return error_wrap(err, "%s: %s", g->chain->role, path);
}

static int run_map_by_name(const struct qemu *qemu, struct group *g,
                           struct qemu_img_map request, struct error *err)
{
    char *CLEANUP(free_ptr) options = NULL;
    struct qemu_files files;
    const char **CLEANUP(free_ptr) names = NULL;
    int fd;

    if (chain_files(g->chain, g->first, &files, err) == -1)
        return -1;
    names = files.names;
    if (chain_name(g->chain, g->first, false, &options, &fd, err) == -1)
        return -1;
    request.files = &files;
    request.node = options;
    request.is_options = true;
    request.inherit = &fd;
    request.n_inherit = fd == -1 ? 0 : 1;
    if (qemu_img_map(qemu, &request, err) == -1)
        return explain(g, err);
    return chain_check_names(g->chain, err);
}

static int check_view(void *view, struct error *err)
{
    return chain_check(view, err);
}

/* The map, by names or by what is shown. */
static int run_map(const struct qemu *qemu, struct group *g, struct error *err)
{
    struct qemu_img_map request = {
        .disk_size = g->chain->links[g->first].disk_size,
        .disk_offset = g->query->disk_offset,
        .length = g->query->length,
        .n_images = g->count,
        .cancel_fd = -1,
        .sink = add_entry,
        .opaque = g,
    };
    struct nbd_shown shown = {.check = check_view};
    struct chain_view *view;
    bool is_qemus;
    int r;

    if (g->chain->is_by_name)
        return run_map_by_name(qemu, g, request, err);
    if (chain_show(g->chain, g->first, g->count, false, &view, err) == -1)
        return -1;
    request.node = chain_node(view);
    request.inherit = chain_fds(view, &request.n_inherit);
    shown.opaque = view;
    r = nbd_map(qemu, &shown, &request, &is_qemus, err);
    if (r == -1 && is_qemus)
        explain(g, err);
    chain_hide(view);
    return r;
}

/* Adds to list ranges that are not in it. */
static int merge(struct extents *list, struct extents *more, bool is_in_pieces,
                 struct error *err)
{
    struct extents CLEANUP(extents) all = {0};

    if (more->count == 0)
        return 0;
    if (is_in_pieces ? extents_merge_apart(list, more, &all, err) == -1
                     : extents_combine(list, EXTENTS_EITHER, more, INT64_MAX,
                                       &all, err) == -1)
        return -1;
    extents_move(list, &all);
    return 0;
}

/* Has all been mapped?  QEMU may leave out the part of a last sector. */
static int check_end(const struct group *g, struct error *err)
{
    if (g->disk_end >= IO_ROUND_DOWN(g->expected_end, IO_SECTOR))
        return 0;
    return error_set(err, 0,
                     "%s: %s: QEMU: the map ends at disk offset %" PRIu64
                     ", not at %" PRIu64,
                     g->chain->role, g->chain->links[g->first].path,
                     g->disk_end, g->expected_end);
}

/* Maps a group, and takes from open what it holds. */
static int map_group(const struct qemu *qemu, struct group *g,
                     struct extents *open, struct image_map *map,
                     struct error *err)
{
    if (run_map(qemu, g, err) == -1) {
        if (g->missing.msg[0] != '\0')
            *err = g->missing;
        return -1;
    }
    if (check_end(g, err) == -1)
        return -1;
    map->has_compressed |= g->map.has_compressed;
    map->is_unsteady |= g->map.is_unsteady;
    if (merge(&map->data, &g->map.data, g->query->is_in_pieces, err) == -1 ||
        merge(&map->overlays, &g->map.overlays, false, err) == -1 ||
        merge(&map->uncertain, &g->map.uncertain, false, err) == -1)
        return -1;
    extents_move(open, &g->below);
    return 0;
}

/* Takes from open what is behind disk_end. */
static int cut(struct extents *open, uint64_t disk_end, struct error *err)
{
    const struct extents none = {0};
    struct extents CLEANUP(extents) rest = {0};

    if (extents_combine(open, EXTENTS_EITHER, &none, disk_end, &rest, err) ==
        -1)
        return -1;
    extents_move(open, &rest);
    return 0;
}

/* Maps all groups; *disk_end is the end of the first one's disk. */
static int map_groups(const struct qemu *qemu, struct chain *chain,
                      const struct image_query *query, struct image_map *map,
                      uint64_t *disk_end, struct error *err)
{
    struct extents CLEANUP(extents) open = {0};
    size_t first = query->first;
    uint64_t length = query->disk_size == 0 ? INT64_MAX : query->disk_size;

    if (query->length != 0)
        length = query->length;
    if (extents_append(&open, query->disk_offset, length, err) == -1)
        return -1;
    while (first < chain->count && open.count > 0) {
        struct group CLEANUP(group) g = {
            .chain = chain,
            .query = query,
            .first = first,
            .count = io_min(GROUP, chain->count - first),
            .open = &open,
            .places = query->is_to_be_read ? &map->places : NULL,
            .disk_end = query->disk_offset,
            .expected_end = chain->links[first].disk_size,
        };

        if (chain->is_by_name)
            g.count = chain->count - first;
        if (query->length != 0)
            g.expected_end =
                io_min(g.expected_end, query->disk_offset + query->length);
        g.entries_left = chain_most_entries(chain, first, g.count);
        g.judges = calloc(g.count, sizeof *g.judges);
        if (g.judges == NULL)
            return error_set(err, errno, "%s: backing files", chain->role);
        if (map_group(qemu, &g, &open, map, err) == -1)
            return -1;
        if (first == query->first)
            *disk_end = g.disk_end;
        for (size_t i = 0; i < g.count; i++)
            if (cut(&open, chain->links[first + i].disk_size, err) == -1)
                return -1;
        first += g.count;
    }
    return 0;
}

/* Behind the end of a link there are zeroes, whatever is in those below it.
 * Not every QEMU says that they are allocated there.
 */
static int add_ends(const struct chain *chain, const struct image_query *query,
                    uint64_t disk_end, struct image_map *map,
                    struct error *err)
{
    struct extents CLEANUP(extents) behind = {0};
    struct extents CLEANUP(extents) all = {0};
    uint64_t end = disk_end;

    for (size_t i = 1; i < query->n_overlays; i++)
        end = io_min(end, chain->links[query->first + i].disk_size);
    if (end == disk_end)
        return 0;
    if (extents_append(&behind, end, disk_end - end, err) == -1 ||
        extents_combine(&map->overlays, EXTENTS_EITHER, &behind, disk_end,
                        &all, err) == -1)
        return -1;
    extents_move(&map->overlays, &all);
    return 0;
}

int image_map(const struct qemu *qemu, struct chain *chain,
              const struct image_query *query, struct image_map *map,
              struct error *err)
{
    uint64_t disk_end = 0;

    if (map_groups(qemu, chain, query, map, &disk_end, err) == -1)
        return -1;
    if (query->disk_size != 0 &&
        IO_ROUND_UP(disk_end, IO_SECTOR) != query->disk_size)
        return error_set(err, 0,
                         "%s: the device has %" PRIu64
                         " bytes, but %s describes a disk of %" PRIu64,
                         chain->role, query->disk_size,
                         chain->links[query->first].path, disk_end);
    if (query->disk_size != 0)
        disk_end = io_min(disk_end, query->disk_size);
    if (query->is_to_be_read &&
        places_settle(&map->places, &map->data, SHORTEST_STRETCH, &map->others,
                      err) == -1)
        return error_wrap(err, "%s", chain->role);
    return add_ends(chain, query, disk_end, map, err);
}
