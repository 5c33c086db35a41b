/* SPDX-License-Identifier: LGPL-2.1-or-later */
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
 */

#include "config.h"

#include "cleanup.h"
#include "fiemap.h"
#include "flat.h"
#include "image.h"
#include "io.h"
#include "qemu-img.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void image_map_clear(struct image_map *map)
{
    extents_clear(&map->data);
    extents_clear(&map->above);
    extents_clear(&map->uncertain);
}

/* What decides what of a link is data, once it has been asked. */
struct judge {
    enum { NOT_ASKED, MAP, WRITTEN, CONTENTS } by;
    struct ranges written; /* by offset in the link's file */
};

struct collected {
    struct chain *chain;
    const struct image_query *query;
    struct image_map *map;
    struct judge *judges; /* of each link of the chain */
    uint64_t disk_size;   /* entries are cut there */
    uint64_t disk_end;    /* of the last entry */
    struct error missing; /* some data is: the cause of what came after */
};

/* Appends data of a link, in the pieces that it and those above it are looked
 * at in.
 */
static int append_pieces(struct collected *c, uint64_t disk_offset,
                         uint64_t length, size_t link, struct error *err)
{
    uint64_t disk_end = disk_offset + length;

    for (uint64_t at = disk_offset, end; at < disk_end; at = end) {
        end = disk_end;
        for (size_t i = c->query->first; i < c->chain->count && i <= link;
             i++) {
            uint64_t piece = c->chain->links[i].status_piece;

            if (piece != 0)
                end = io_min(end, IO_ROUND_DOWN(at, piece) + piece);
        }
        if (extents_append_apart(&c->map->data, at, end - at, err) == -1)
            return -1;
    }
    return 0;
}

/* A link that QEMU asks the file system about, if that is in file_fd (-1: who
 * knows where).  The holes of a block device do not change, as it has none.
 */
static int ask_file_system(struct collected *c, const struct chain_link *link,
                           int file_fd, struct judge *judge, struct error *err)
{
    bool is_known = false;
    struct stat st;

    if (file_fd != -1 &&
        fiemap_find_written(file_fd, &judge->written, &is_known, err) == -1)
        return error_wrap(err, "%s: %s", c->chain->who, link->path);
    judge->by = is_known ? WRITTEN : CONTENTS;
    if (!is_known && (fstat(file_fd, &st) == -1 || !S_ISBLK(st.st_mode)))
        c->map->is_unsteady = true;
    return 0;
}

static int find_judge(struct collected *c, size_t link, struct error *err)
{
    const struct chain_link *l = &c->chain->links[link];
    struct judge *judge = &c->judges[link];
    enum flat_who who = flat_ask(l->format, l->fd);

    if (who == FLAT_NOBODY) {
        judge->by = CONTENTS;
        return 0;
    }
    if (who == FLAT_FILE_SYSTEM)
        return ask_file_system(c, l, l->is_whole ? l->fd : -1, judge, err);
    /* Where it opens a qcow2 file by its name, QEMU asks the file system, too,
     * if the image looks preallocated.
     */
    if (l->fd == -1 ||
        (c->chain->is_by_name && strcmp(l->format, "qcow2") == 0))
        return ask_file_system(c, l, l->data_fd, judge, err);
    judge->by = MAP;
    return 0;
}

static int append_data(struct collected *c, uint64_t disk_offset,
                       uint64_t length, size_t link, struct error *err)
{
    if (c->judges[link].by == CONTENTS &&
        extents_append(&c->map->uncertain, disk_offset, length, err) == -1)
        return -1;
    if (c->query->is_in_pieces)
        return append_pieces(c, disk_offset, length, link, err);
    return extents_append(&c->map->data, disk_offset, length, err);
}

/* Takes data of a link, of which length bytes are on the disk. */
static int take_data(struct collected *c, const struct mapjson_entry *e,
                     uint64_t length, size_t link, struct error *err)
{
    const struct judge *judge = &c->judges[link];
    uint64_t file_end = e->file_offset + length;
    struct range piece;

    if (!e->has_file_offset)
        c->map->has_coded = true;
    else if (chain_need(c->chain, link, e->file_offset + e->length,
                        &c->missing) == -1)
        return error_set(err, 0, "it is cut short");
    if (judge->by == NOT_ASKED && find_judge(c, link, err) == -1)
        return -1;
    if (judge->by != WRITTEN || !e->has_file_offset)
        return append_data(c, e->disk_offset, length, link, err);
    for (uint64_t at = e->file_offset;
         ranges_find(&judge->written, at, file_end, &piece);
         at = range_end(&piece))
        if (append_data(c,
                        e->disk_offset + (piece.file_offset - e->file_offset),
                        piece.length, link, err) == -1)
            return -1;
    return 0;
}

static int take_entry(void *opaque, const struct mapjson_entry *e,
                      struct error *err)
{
    struct collected *c = opaque;
    uint64_t length = e->length;
    size_t link = c->query->first + e->depth;

    if (e->disk_offset != c->disk_end)
        return error_set(err, 0, "the map does not begin at its beginning");
    if (link >= c->chain->count)
        return error_set(err, 0, "the map has more backing files than it");
    c->disk_end = e->disk_offset + length;
    if (e->disk_offset >= c->disk_size)
        return 0;
    length = io_min(length, c->disk_size - e->disk_offset);
    if (mapjson_entry_has_data(e) && take_data(c, e, length, link, err) == -1)
        return -1;
    if (e->is_present && e->depth < c->query->n_above)
        return extents_append(&c->map->above, e->disk_offset, length, err);
    return 0;
}

/* What QEMU says is for those who know the image by its name. */
static int explain(const struct collected *c, struct error *err)
{
    const char *path = c->chain->links[c->query->first].path;
    char *node = strstr(err->msg, "'json:{");
    char *end = node == NULL ? NULL : strstr(node, "}'");

    if (end != NULL) {
        memcpy(node, "it", 2);
        memmove(node + 2, end + 2, strlen(end + 2) + 1);
    }
    return error_wrap(err, "%s: %s", c->chain->who, path);
}

/* The map, by names or by what is shown. */
static int run_map(const struct qemu *qemu, struct collected *c,
                   struct error *err)
{
    struct chain *chain = c->chain;
    const struct chain_link *first = &chain->links[c->query->first];
    struct qemu_img_map request = {
        .node = first->path,
        .format = first->format,
        .is_shared = true,
        .cancel_fd = -1,
        .sink = take_entry,
        .opaque = c,
    };
    struct chain_view *view;
    int r;

    if (chain->is_by_name)
        return qemu_img_map(qemu, &request, err) == 0 ? 0 : explain(c, err);
    if (chain_show(chain, c->query->first, false, &view, err) == -1)
        return -1;
    request.node = chain_node(view);
    request.format = NULL;
    request.is_shared = false; /* the node says it */
    request.inherit = chain_fds(view, &request.n_inherit);
    r = qemu_img_map(qemu, &request, err);
    if (r == -1)
        explain(c, err);
    if (chain_check(view, err) == -1)
        r = -1;
    chain_hide(view);
    return r;
}

/* Behind the end of a link there are zeroes, whatever is in those below it.
 * Not every QEMU says that they are allocated there.
 */
static int add_ends(struct collected *c, struct error *err)
{
    struct extents CLEANUP(extents) behind = {0}, CLEANUP(extents) all = {0};
    uint64_t disk_end = io_min(c->disk_end, c->disk_size), end = disk_end;

    for (size_t i = 1; i < c->query->n_above; i++)
        end = io_min(end, c->chain->links[c->query->first + i].disk_size);
    if (end == disk_end)
        return 0;
    if (extents_append(&behind, end, disk_end - end, err) == -1 ||
        extents_combine(&c->map->above, EXTENTS_EITHER, &behind, disk_end,
                        &all, err) == -1)
        return -1;
    extents_move(&c->map->above, &all);
    return 0;
}

static void forget_judges(struct collected *c)
{
    for (size_t i = 0; c->judges != NULL && i < c->chain->count; i++)
        ranges_clear(&c->judges[i].written);
    free(c->judges);
}

/* Fills c, and the map. */
static int collect(const struct qemu *qemu, struct collected *c,
                   struct error *err)
{
    int r;

    c->judges = calloc(c->chain->count, sizeof *c->judges);
    if (c->judges == NULL)
        return error_set(err, errno, "%s: backing files", c->chain->who);
    r = run_map(qemu, c, err);
    if (r == -1 && c->missing.msg[0] != '\0')
        *err = c->missing;
    forget_judges(c);
    return r;
}

int image_map(const struct qemu *qemu, struct chain *chain,
              const struct image_query *query, struct image_map *map,
              struct error *err)
{
    const char *path = chain->links[query->first].path;
    struct collected collected = {
        .chain = chain,
        .query = query,
        .map = map,
        .disk_size = query->disk_size == 0 ? INT64_MAX : query->disk_size,
    };

    if (collect(qemu, &collected, err) == -1)
        return -1;
    if (query->disk_size != 0 &&
        IO_ROUND_UP(collected.disk_end, IO_SECTOR) != query->disk_size)
        return error_set(err, 0,
                         "%s: the device has %" PRIu64
                         " bytes, but %s describes a disk of %" PRIu64,
                         chain->who, query->disk_size, path,
                         collected.disk_end);
    return add_ends(&collected, err);
}
