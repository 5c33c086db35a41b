/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
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
 * is promised by QEMU, so the order is checked on the map.  If it is another
 * one the older way to the layout is tried, once, and then it is refused.
 * That L1 comes before each L2 table is seen by what the map reads.
 *
 *       +--------+----------+----------+----+-----------+--------+
 *       | header | refcount | refcount | L1 | L2 tables |  data  |
 *       |        |  table   |  blocks  |    |           |        |
 *       +--------+----------+----------+----+-----------+--------+
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "export/layout-script.h"
#include "export/skeleton.h"
#include "nbd/map.h"
#include "nbd/server.h"
#include "qemu/header.h"
#include "qemu/qemu-io.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* What became of the image, as QEMU tells it. */
struct mapped {
    char complaint[QEMU_IO_COMPLAINT]; /* qemu-io, while it was laid out */
    struct extents data, zeroes;
    struct filemap_batch batch;
    bool is_l1_first; /* no L2 table stands before L1 */
};

static void cleanup_mapped(struct mapped *m)
{
    extents_clear(&m->data);
    extents_clear(&m->zeroes);
    filemap_batch_clear(&m->batch);
}

static int add_entry(void *opaque, const struct mapjson_entry *e,
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
                     const struct mapped *mapped, struct error *err)
{
    struct extents CLEANUP(extents) planned = {0};
    const char *complaint = mapped->complaint;
    uint64_t differ;

    if (extents_widen(plan->data, granule, plan->disk_size, &planned, err) ==
        -1)
        return -1;
    if (extents_is_equal(&planned, &mapped->data, &differ) &&
        extents_is_equal(layout_zeroes(plan), &mapped->zeroes, &differ))
        return 0;
    return error_set(err, 0,
                     "QEMU: the image it laid out differs from the plan at "
                     "disk offset %" PRIu64 "%s%s",
                     differ, complaint[0] != '\0' ? "; qemu-io says: " : "",
                     complaint);
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
        /* Without data QEMU's file ends inside the last table. */
        if (plan->layout != LAYOUT_CONVERT)
            skeleton->file_length = IO_ROUND_UP(skeleton->file_length, cs);
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

/* A run of the script, by one program after the other. */
struct session {
    const struct qemu *qemu;
    struct layout_script *script;
    struct nbd_export export;
    bool has_line; /* the next command, which nobody has yet: */
    char line[QEMU_IO_LINE];
};

static bool has_command(struct session *s)
{
    if (!s->has_line && layout_script_next(s->script, s->line)) {
        log_debug("qemu-io> %s", s->line);
        s->has_line = true;
    }
    return s->has_line;
}

/* Is the next command for qemu-img, as this qemu-io does not know it? */
static bool is_for_img(const struct session *s)
{
    return s->script->preallocation != NULL &&
           s->qemu->io_preallocates == QEMU_NO;
}

static bool next_command(void *opaque, char line[QEMU_IO_LINE])
{
    struct session *s = opaque;

    if (!has_command(s) || is_for_img(s))
        return false;
    memcpy(line, s->line, QEMU_IO_LINE);
    s->has_line = false;
    return true;
}

static int run_program(struct session *s, char complaint[QEMU_IO_COMPLAINT],
                       struct error *err)
{
    uint64_t slice = qemu_l2_slice(s->script->plan->options.cluster_size);
    struct nbd_server *server;
    int bridge_fd, r;

    if (nbd_server_start(&s->export, &server, &bridge_fd, err) == -1)
        return -1;
    if (is_for_img(s)) {
        s->has_line = false;
        r = qemu_img_resize(s->qemu, bridge_fd, slice,
                            s->script->preallocation,
                            s->script->preallocated_size, err);
    } else {
        r = qemu_io_run(s->qemu, bridge_fd, slice, next_command, s, complaint,
                        err);
    }
    /* What qemu-io could not do then is seen by the map alone. */
    if (nbd_server_check(server, err) == -1)
        r = -1;
    nbd_server_stop(server);
    return r;
}

/* The run that has one command, which is to fail: on the store itself. */
static int reserve(struct session *s, const struct layout_run *run,
                   const struct store *store, struct error *err)
{
    if (!has_command(s))
        return 0;
    return qemu_img_reserve(s->qemu, store_fd(store), run->store_size,
                            s->script->preallocated_size, err);
}

/* One run, in which QEMU does what the plan says next. */
static int run_commands(const struct qemu *qemu, struct layout_script *script,
                        const struct layout_run *run, struct store *store,
                        char complaint[QEMU_IO_COMPLAINT], struct error *err)
{
    struct session session = {.qemu = qemu, .script = script};
    char ignored[QEMU_IO_COMPLAINT] = "";
    int r = 0;

    if (run->is_reserving)
        return reserve(&session, run, store, err);
    if (run->has_no_disk &&
        header_write_disk_size(store_fd(store), 0, err) == -1)
        return -1;
    store_show_writable(store, run->store_size, &session.export);
    while (r == 0 && has_command(&session)) {
        if (complaint[0] != '\0') /* the first one counts */
            complaint = ignored;
        r = run_program(&session, complaint, err);
        if (store_check(store, err) == -1)
            return -1;
    }
    return r;
}

/* Has qemu-io write what the plan says. */
static int write_image(const struct qemu *qemu, const struct layout_plan *plan,
                       const struct layout_geometry *geometry,
                       struct store *store, char complaint[QEMU_IO_COMPLAINT],
                       struct error *err)
{
    struct layout_script CLEANUP(layout_script) script;
    struct layout_run run;

    if (layout_script_open(plan, geometry, &script, err) == -1)
        return -1;
    while (layout_script_begin_run(&script, &run))
        if (run_commands(qemu, &script, &run, store, complaint, err) == -1)
            return -1;
    return 0;
}

/* The store, shown to qemu-img map. */
struct watch {
    const struct nbd_export *store;
    uint64_t cluster_size;
    struct header header;
    uint64_t first_table; /* file offset of the first one that was read */
};

static int read_watched(void *opaque, void *buf, uint32_t length,
                        uint64_t file_offset)
{
    struct watch *w = opaque;

    if (file_offset >= w->cluster_size &&
        file_offset - w->header.refcount_offset >=
            w->header.refcount_clusters * w->cluster_size)
        w->first_table = io_min(w->first_table, file_offset);
    return w->store->read(w->store->opaque, buf, length, file_offset);
}

/* If the spool is full, say, that is why QEMU failed. */
static int check_store(void *store, struct error *err)
{
    return store_check(store, err);
}

static int map_image(const struct qemu *qemu, const struct layout_plan *plan,
                     struct store *store, uint64_t size, struct mapped *mapped,
                     struct error *err)
{
    unsigned char header[HEADER_BYTES];
    struct nbd_export export;
    struct qemu_img_map map = {
        .disk_size = plan->disk_size,
        .cancel_fd = -1,
        .sink = add_entry,
        .opaque = mapped,
    };
    struct watch watch = {.store = &export, .first_table = UINT64_MAX};
    const struct nbd_export watched = {
        .size = size,
        .read = read_watched,
        .opaque = &watch,
    };
    const struct nbd_shown shown = {
        .export = &watched,
        .check = check_store,
        .opaque = store,
    };
    bool is_qemus;
    int r;

    /* Anew, so that only what the map reads counts as in use. */
    store_show_writable(store, size, &export);
    if (export.read(export.opaque, header, sizeof header, 0) != 0)
        return store_check(store, err);
    header_parse(header, &watch.header);
    watch.cluster_size = plan->options.cluster_size;
    if (watch.header.cluster_bits > 63 ||
        UINT64_C(1) << watch.header.cluster_bits != watch.cluster_size)
        return error_set(err, 0, "QEMU: the image has other clusters");
    map.l2_slice = qemu_l2_slice(watch.cluster_size);
    r = nbd_map(qemu, &shown, &map, &is_qemus, err);
    mapped->is_l1_first = watch.first_table >= watch.header.l1_offset;
    return r;
}

/* Lays the image out, and maps it. */
static int build_image(const struct qemu *qemu, const struct layout_plan *plan,
                       const struct layout_geometry *geometry,
                       struct store *store, struct mapped *mapped,
                       struct error *err)
{
    uint64_t began, took;

    if (qemu_img_create(qemu, store_fd(store), &plan->options,
                        geometry->create_size, err) == -1)
        return store_explain_full(
            store, store_spooled(store) + plan->options.cluster_size, err);
    if (write_image(qemu, plan, geometry, store, mapped->complaint, err) == -1)
        return -1;
    began = clock_ms();
    if (map_image(qemu, plan, store, geometry->store_size, mapped, err) == -1)
        return -1;
    took = clock_ms() - began;
    /* What it costs to see that the plan is right. */
    log_debug("plan: its map took %" PRIu64 ".%03u s", took / 1000,
              (unsigned)(took % 1000));
    return 0;
}

/* Is it what was planned?  Fills skeleton if so. */
static int judge(const struct layout_plan *plan,
                 const struct layout_geometry *geometry, struct store *store,
                 struct mapped *mapped, struct skeleton *skeleton,
                 struct error *err)
{
    uint64_t cs = plan->options.cluster_size;

    if (check_map(plan, geometry->granule, mapped, err) == -1 ||
        filemap_merge(&skeleton->map, &mapped->batch, err) == -1 ||
        find_length(plan, store, geometry->granule, skeleton, err) == -1)
        return -1;
    for (size_t i = 0; i < skeleton->map.count; i++) {
        const struct filemap_entry *e = &skeleton->map.list[i];

        /* A cluster of the disk is one of the file, behind the header's. */
        if (e->file_offset < cs ||
            (e->file_offset - e->disk_offset) % cs != 0 ||
            e->file_offset + e->length > geometry->store_size)
            return error_set(err, 0,
                             "QEMU: no data can be at file offset %" PRIu64,
                             e->file_offset);
    }
    if (geometry->is_l1_first && !mapped->is_l1_first)
        return error_set(err, 0,
                         "QEMU: this version puts an L2 table before L1");
    if (plan->layout == LAYOUT_STREAMABLE)
        return check_order(&skeleton->map, plan->options.cluster_size, err);
    return 0;
}

/* The way that costs little, where there is one.  *is_done is false if QEMU
 * has done something else: that is logged, and the store empty again.
 */
static int build_by_reserving(struct qemu *qemu,
                              const struct layout_plan *plan,
                              struct store *store, struct skeleton *skeleton,
                              bool *is_done, struct error *err)
{
    struct mapped CLEANUP(mapped) mapped = {0};
    struct layout_plan strict = *plan;
    struct layout_geometry geometry;

    *is_done = false;
    layout_measure(plan, LAYOUT_BY_RESERVING, &geometry);
    if (!geometry.is_reserved && !geometry.is_filled &&
        geometry.most_writes == 1)
        return 0;
    if (qemu_io_probe(qemu, err) == -1)
        return -1;
    strict.layout = LAYOUT_STREAMABLE;
    strict.is_slow_to_fill = qemu->io_preallocates == QEMU_NO;
    layout_measure(&strict, LAYOUT_BY_RESERVING, &geometry);
    if (build_image(qemu, &strict, &geometry, store, &mapped, err) == 0 &&
        judge(&strict, &geometry, store, &mapped, skeleton, err) == 0) {
        *is_done = true;
        return 0;
    }
    if (err->errnum != 0)
        return -1; /* it is not what QEMU makes of it */
    log_debug("plan: %s; laying it out once more, by growing", err->msg);
    skeleton_clear(skeleton);
    return store_clear(store, err);
}

int skeleton_build(const struct qemu *qemu, const struct layout_plan *plan,
                   struct store *store, struct skeleton *skeleton,
                   struct error *err)
{
    struct mapped CLEANUP(mapped) mapped = {0};
    struct layout_geometry geometry;
    struct qemu known = *qemu;
    bool is_done;

    if (build_by_reserving(&known, plan, store, skeleton, &is_done, err) == -1)
        return -1;
    if (is_done)
        return 0;
    layout_measure(plan, LAYOUT_BY_GROWING, &geometry);
    if (geometry.is_grown && qemu_io_probe(&known, err) == -1)
        return -1;
    if (build_image(&known, plan, &geometry, store, &mapped, err) == -1)
        return -1;
    return judge(plan, &geometry, store, &mapped, skeleton, err);
}

/* The metadata between two entries of the file map. */
static int read_gap(const struct store *store, uint64_t file_offset,
                    uint64_t file_end, skeleton_reader *reader, void *opaque,
                    struct error *err)
{
    char buf[65536];

    while (file_offset < file_end) {
        size_t n = io_min(file_end - file_offset, sizeof buf);
        ssize_t got = io_pread_full(store_fd(store), buf, n, file_offset);

        if (got == -1)
            return error_set(err, errno,
                             "spool: cannot read at file offset %" PRIu64,
                             file_offset);
        /* The store ends with its last byte that is not zero. */
        memset(buf + got, 0, n - got);
        if (reader(opaque, buf, n, file_offset, err) == -1)
            return -1;
        file_offset += n;
    }
    return 0;
}

int skeleton_read_metadata(const struct skeleton *skeleton,
                           const struct store *store, uint64_t file_end,
                           skeleton_reader *reader, void *opaque,
                           struct error *err)
{
    const struct filemap *map = &skeleton->map;
    uint64_t at = 0;

    for (size_t i = 0; i < map->count && at < file_end; i++) {
        const struct filemap_entry *e = &map->list[i];

        if (read_gap(store, at, io_min(e->file_offset, file_end), reader,
                     opaque, err) == -1)
            return -1;
        at = e->file_offset + e->length;
    }
    return read_gap(store, at, io_min(skeleton->file_length, file_end), reader,
                    opaque, err);
}

void skeleton_clear(struct skeleton *skeleton)
{
    filemap_clear(&skeleton->map);
    *skeleton = (struct skeleton){0};
}
