/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Has QEMU lay out a qcow2 image that has no data in it yet. */

/* Notes on the design
 *
 * qemu-img creates an empty image in the store.  Then qemu-io writes zeroes
 * to each range of the disk that holds data (`write -P 0`, not `write -z`):
 * qcow2 allocates for them exactly as for any other data, and the layer
 * below, told to detect zeroes, turns them into requests that leave holes in
 * the store.  What remains is all of the metadata and none of the data, in
 * the places that real data would have had.  `qemu-img map` says where those
 * are.  It must agree with the plan, whatever qemu-io said: that reports a
 * failed command as text only.
 *
 * What is written in which order makes the layout: see layout.c.  None of it
 * is promised by QEMU, so the order is checked on the map, and another one is
 * refused.
 *
 *       +--------+----------+----------+----+-----------+--------+
 *       | header | refcount | refcount | L1 | L2 tables |  data  |
 *       |        |  table   |  blocks  |    |           |        |
 *       +--------+----------+----------+----+-----------+--------+
 */

#include "config.h"

#include "cleanup.h"
#include "io.h"
#include "log.h"
#include "nbd-server.h"
#include "qemu-img.h"
#include "qemu-io.h"
#include "skeleton.h"

#include <inttypes.h>

/* What qemu-img map said. */
struct mapped {
    struct extents data, zeroes;
    struct filemap_batch batch;
};

static void cleanup_mapped(struct mapped *m)
{
    extents_clear(&m->data);
    extents_clear(&m->zeroes);
    filemap_batch_clear(&m->batch);
}

static int take_entry(void *opaque, const struct mapjson_entry *e,
                      struct error *err)
{
    struct mapped *m = opaque;

    if (!mapjson_entry_has_data(e) && e->is_present)
        return extents_append(&m->zeroes, e->disk_offset, e->length, err);
    if (!mapjson_entry_has_data(e))
        return 0;
    if (!e->has_file_offset)
        return error_set(err, 0,
                         "QEMU: no file offset for disk offset %" PRIu64,
                         e->disk_offset);
    log_debug("map: disk offset %" PRIu64 " length %" PRIu64
              " file offset %" PRIu64,
              e->disk_offset, e->length, e->file_offset);
    if (extents_append(&m->data, e->disk_offset, e->length, err) == -1)
        return -1;
    return filemap_batch_add(&m->batch, e->file_offset, e->length,
                             e->disk_offset, err);
}

/* Does the map say what the plan said? */
static int check_map(const struct layout_plan *plan, uint64_t granule,
                     const struct mapped *mapped, const char *said,
                     struct error *err)
{
    struct extents CLEANUP(extents) planned = {0};
    const struct extents none = {0};
    const struct extents *zeroes = plan->zeroes == NULL ? &none : plan->zeroes;
    uint64_t differ;

    if (extents_widen(plan->data, granule, plan->disk_size, &planned, err) ==
        -1)
        return -1;
    if (extents_is_equal(&planned, &mapped->data, &differ) &&
        extents_is_equal(zeroes, &mapped->zeroes, &differ))
        return 0;
    return error_set(err, 0,
                     "QEMU: the image it laid out differs from the plan at "
                     "disk offset %" PRIu64 "%s%s",
                     differ, said[0] != '\0' ? "; qemu-io says: " : "", said);
}

/* Is the data in order, and without a gap? */
static int check_order(const struct filemap *map, uint64_t cluster_size,
                       struct error *err)
{
    for (size_t i = 1; i < map->count; i++) {
        const struct filemap_entry *e = &map->list[i], *last = e - 1;
        uint64_t last_end = last->file_offset + last->length;

        /* Subclusters may be left out, but no cluster. */
        if (IO_ROUND_DOWN(e->file_offset, cluster_size) >
                IO_ROUND_UP(last_end, cluster_size) ||
            e->disk_offset < last->disk_offset)
            return error_set(err, 0,
                             "QEMU: this version does not lay the image out "
                             "in order, at file offset %" PRIu64
                             " (--layout any sends it all the same)",
                             e->file_offset);
    }
    return 0;
}

/* Where the image ends.  A data cluster counts in full, as QEMU zeroes what
 * the guest cannot see of it.  Behind the data convert may have a table.  In
 * the streamable layout there were tables that have been freed since, and
 * punched out of the store; what is still there is in use, and so is a table,
 * even of zeroes, that QEMU has read to map the image.
 */
static int find_length(const struct layout_plan *plan,
                       const struct store *store, uint64_t granule,
                       struct skeleton *skeleton, struct error *err)
{
    uint64_t cs = plan->options.cluster_size, used_end;
    uint64_t data_end = filemap_end(&skeleton->map);

    if (plan->layout == LAYOUT_CONVERT || skeleton->map.count == 0) {
        skeleton->file_length =
            io_max(IO_ROUND_UP(data_end, granule), store_written_end(store));
        return 0;
    }
    data_end = IO_ROUND_UP(data_end, cs);
    if (store_find_content_end(store, data_end, &used_end, err) == -1)
        return -1;
    used_end = io_max(used_end, store_read_end(store));
    skeleton->file_length = data_end;
    if (used_end <= data_end)
        return 0;
    skeleton->file_length = IO_ROUND_UP(used_end, cs);
    if (plan->layout == LAYOUT_ANY)
        return 0;
    return error_set(err, 0,
                     "QEMU: this version puts metadata behind the data, at "
                     "file offset %" PRIu64
                     " (--layout any sends it all the same)",
                     data_end);
}

static bool next_command(void *opaque, char line[QEMU_IO_LINE])
{
    if (!layout_script_next(opaque, line))
        return false;
    log_debug("qemu-io> %s", line);
    return true;
}

/* Has qemu-io write what the plan says. */
static int write_image(const struct qemu *qemu, const struct layout_plan *plan,
                       const struct layout_geometry *geometry,
                       const struct nbd_export *export,
                       char said[QEMU_IO_SAID], struct error *err)
{
    struct layout_script CLEANUP(layout_script) script;
    struct nbd_server *server;
    int bridge_fd, r;

    if (layout_script_open(plan, geometry, &script, err) == -1 ||
        nbd_server_start(export, &server, &bridge_fd, err) == -1)
        return -1;
    r = qemu_io_run(qemu, bridge_fd, next_command, &script, said, err);
    nbd_server_stop(server);
    return r;
}

static int map_image(const struct qemu *qemu, const struct nbd_export *export,
                     struct mapped *mapped, struct error *err)
{
    char node[QEMU_NODE_SPACE];
    int bridge_fd, r;
    struct qemu_img_map map = {
        .node = node,
        .inherit = &bridge_fd,
        .n_inherit = 1,
        .cancel_fd = -1,
        .sink = take_entry,
        .opaque = mapped,
    };
    struct nbd_server *server;

    if (nbd_server_start(export, &server, &bridge_fd, err) == -1)
        return -1;
    qemu_bridge_node(node, bridge_fd);
    r = qemu_img_map(qemu, &map, err);
    nbd_server_stop(server);
    return r;
}

int skeleton_build(const struct qemu *qemu, const struct layout_plan *plan,
                   struct store *store, struct skeleton *skeleton,
                   struct error *err)
{
    struct mapped CLEANUP(mapped) mapped = {0};
    struct layout_geometry geometry;
    struct nbd_export export;
    char said[QEMU_IO_SAID];
    int r;

    layout_measure(plan, &geometry);
    if (qemu_img_create(qemu, store_fd(store), &plan->options,
                        geometry.create_size, err) == -1)
        return -1;
    store_show_writable(store, geometry.store_size, &export);
    r = write_image(qemu, plan, &geometry, &export, said, err);
    /* Anew, so that only what the map reads counts as in use. */
    store_show_writable(store, geometry.store_size, &export);
    if (r == 0)
        r = map_image(qemu, &export, &mapped, err);
    /* If the spool is full, say, that is why QEMU failed. */
    if (store_check(store, err) == -1 || r == -1)
        return -1;
    if (check_map(plan, geometry.granule, &mapped, said, err) == -1 ||
        filemap_merge(&skeleton->map, &mapped.batch, err) == -1)
        return -1;
    if (find_length(plan, store, geometry.granule, skeleton, err) == -1)
        return -1;
    if (plan->layout == LAYOUT_STREAMABLE)
        return check_order(&skeleton->map, plan->options.cluster_size, err);
    return 0;
}

void skeleton_clear(struct skeleton *skeleton)
{
    filemap_clear(&skeleton->map);
    *skeleton = (struct skeleton){0};
}
