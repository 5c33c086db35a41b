/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is allocated in an image and its backing files. */

#include "config.h"

#include "cleanup.h"
#include "image.h"
#include "io.h"
#include "qemu-img.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

void image_map_clear(struct image_map *map)
{
    extents_clear(&map->data);
    extents_clear(&map->above);
}

struct collected {
    struct chain *chain;
    const struct image_query *query;
    struct image_map *map;
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

static int take_entry(void *opaque, const struct mapjson_entry *e,
                      struct error *err)
{
    struct collected *c = opaque;
    uint64_t length = e->length;
    size_t link = c->query->first + e->depth;

    if (e->disk_offset != c->disk_end)
        return error_set(err, 0, "the map does not begin at its beginning");
    c->disk_end = e->disk_offset + length;
    if (e->disk_offset >= c->disk_size)
        return 0;
    length = io_min(length, c->disk_size - e->disk_offset);
    if (mapjson_entry_has_data(e)) {
        int r;

        if (!e->has_file_offset)
            c->map->has_coded = true;
        else if (chain_need(c->chain, link, e->file_offset + e->length,
                            &c->missing) == -1)
            return error_set(err, 0, "it is cut short");
        if (c->query->is_in_pieces)
            r = append_pieces(c, e->disk_offset, length, link, err);
        else
            r = extents_append(&c->map->data, e->disk_offset, length, err);
        if (r == -1)
            return -1;
    }
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

    if (run_map(qemu, &collected, err) == -1) {
        if (collected.missing.msg[0] != '\0')
            *err = collected.missing;
        return -1;
    }
    if (query->disk_size != 0 &&
        IO_ROUND_UP(collected.disk_end, IO_SECTOR) != query->disk_size)
        return error_set(err, 0,
                         "%s: the device has %" PRIu64
                         " bytes, but %s describes a disk of %" PRIu64,
                         chain->who, query->disk_size, path,
                         collected.disk_end);
    return add_ends(&collected, err);
}
