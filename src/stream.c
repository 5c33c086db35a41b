/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qcow-tool stream: a disk goes out as qcow2. */

/* Notes on the design
 *
 *     source map --> QEMU lays out a skeleton --> file map --> send
 *
 * The file map, all that is sent, is known before the first byte goes out;
 * so is the length.  Sending is one walk over it: what an entry covers comes
 * from the source, what lies between entries is metadata and comes from the
 * store.  Holes of the store are the zeroes that pad tables and subclusters.
 */

#include "config.h"

#include "cleanup.h"
#include "image.h"
#include "io.h"
#include "log.h"
#include "qemu-img.h"
#include "skeleton.h"
#include "source.h"
#include "store.h"
#include "stream.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

/* What is open while a disk is exported. */
struct export
{
    const struct stream_options *options;
    struct sink sink;
    struct source source;
    struct source_map map;
    struct store *store;
    struct skeleton skeleton;
    struct progress progress;
};

static void cleanup_export(struct export *x)
{
    skeleton_clear(&x->skeleton);
    store_free(x->store);
    source_map_clear(&x->map);
    source_close(&x->source);
    sink_close(&x->sink);
}

/* Writing the image onto what it is made from would lose the disk. */
static int check_overwrite(const struct export *x, const char *image,
                           struct error *err)
{
    int CLEANUP(close_fd) fd = -1;

    if (image != NULL)
        fd = open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (io_is_same(x->sink.fd, x->source.fd) || io_is_same(x->sink.fd, fd))
        return error_set(err, 0, "destination: it is the source");
    return 0;
}

/* Opens the source and finds its data. */
static int map_source(struct export *x, struct error *err)
{
    const struct stream_options *o = x->options;
    char *CLEANUP(free_ptr) device = NULL, *CLEANUP(free_ptr) image = NULL;

    if (o->source_format == SOURCE_RAW) {
        if (source_open(o->source, o->is_direct, &x->source, err) == -1 ||
            check_overwrite(x, NULL, err) == -1)
            return -1;
        progress_stage(&x->progress, 30, x->source.size);
        return source_scan(&x->source,
                           layout_scan_granule(o->layout, &o->qcow2),
                           &x->progress, &x->map, err);
    }
    if (image_split_hybrid(o->source, &device, &image, err) == -1 ||
        source_open(device, o->is_direct, &x->source, err) == -1 ||
        check_overwrite(x, image, err) == -1)
        return -1;
    x->source.path = o->source;
    return image_map(&o->qemu, image, o->image_format, x->source.disk_size,
                     &x->map.data, err);
}

static void log_plan(const struct layout_plan *plan)
{
    log_debug("plan: disk of %" PRIu64 " bytes, %" PRIu64
              " of data in %zu ranges",
              plan->disk_size, extents_total(plan->data), plan->data->count);
    for (size_t i = 0; log_is_debug() && i < plan->data->count; i++)
        log_debug("plan: disk offset %" PRIu64 " length %" PRIu64,
                  plan->data->list[i].disk_offset, plan->data->list[i].length);
}

static int lay_out(struct export *x, struct error *err)
{
    const struct stream_options *o = x->options;
    const struct layout_plan plan = {
        .layout = o->layout,
        .options = o->qcow2,
        .disk_size = x->source.disk_size,
        .data = &x->map.data,
        .status =
            o->source_format == SOURCE_RAW ? &x->map.status : &x->map.data,
    };

    log_plan(&plan);
    if (store_new(o->spool_dir, &x->store, err) == -1)
        return -1;
    return skeleton_build(&o->qemu, &plan, x->store, &x->skeleton, err);
}

/* Sends bytes [sink.file_offset, file_end) of the skeleton. */
static int send_metadata(struct export *x, uint64_t file_end,
                         struct error *err)
{
    const struct sink_from from = {
        .name = "spool",
        .unit = "file",
        .fd = store_fd(x->store),
    };
    uint64_t length = file_end - x->sink.file_offset, sent;

    if (sink_send(&x->sink, &from, x->sink.file_offset, length, &sent, err) ==
        -1)
        return -1;
    /* The store ends with its last byte that is not zero. */
    return sink_send_zeroes(&x->sink, length - sent, err);
}

static int send_data(struct export *x, const struct filemap_entry *e,
                     struct error *err)
{
    for (uint64_t done = 0; done < e->length;) {
        uint64_t n = io_min(e->length - done, 8 * IO_PIECE);

        if (source_send(&x->source, e->disk_offset + done, n, &x->sink, err) ==
            -1)
            return -1;
        done += n;
        progress_moved(&x->progress, n);
        progress_set(&x->progress, x->sink.file_offset);
    }
    return 0;
}

static int send_all(struct export *x, struct error *err)
{
    const struct skeleton *skeleton = &x->skeleton;

    progress_stage(&x->progress, 100, skeleton->file_length);
    if (sink_begin(&x->sink, skeleton->file_length, err) == -1)
        return -1;
    for (size_t i = 0; i < skeleton->map.count; i++) {
        const struct filemap_entry *e = &skeleton->map.list[i];

        if (send_metadata(x, e->file_offset, err) == -1 ||
            send_data(x, e, err) == -1)
            return -1;
    }
    return send_metadata(x, skeleton->file_length, err);
}

static void summarize(const struct export *x)
{
    uint64_t data = filemap_total(&x->skeleton.map);

    log_summary("sent %" PRIu64 " bytes: %" PRIu64
                " of data in %zu ranges, %" PRIu64
                " of metadata; spooled %" PRIu64 "; %s",
                x->sink.file_offset, data, x->skeleton.map.count,
                x->sink.file_offset - data, store_spooled(x->store),
                x->sink.mover.is_copying || x->source.is_direct
                    ? "by read and write"
                    : "by sendfile");
}

int stream(const struct stream_options *options, struct error *err)
{
    struct export CLEANUP(export) x = {
        .options = options,
        .sink.fd = -1,
        .source.fd = -1,
    };

    if (sink_open(options->destination, options->destination_fd, &x.sink,
                  err) == -1)
        return -1;
    progress_open(&x.progress, options->progress, x.sink.fd);
    if (qemu_img_check_version(&options->qemu, err) == -1 ||
        map_source(&x, err) == -1)
        return -1;
    progress_stage(&x.progress, x.progress.to + 5, 0);
    if (lay_out(&x, err) == -1 || send_all(&x, err) == -1 ||
        sink_finish(&x.sink, err) == -1)
        return -1;
    progress_succeed(&x.progress);
    summarize(&x);
    return 0;
}
