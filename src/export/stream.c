/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qcow-tool stream: a disk goes out as qcow2. */

/* Notes on the design
 *
 *     source map --> QEMU lays out a skeleton --> file map --> send
 *
 * The file map, all that is sent, is known before the first byte goes out;
 * so is the length.  Sending is one walk over it: what an entry covers comes
 * from the source, what lies between entries is metadata and comes from the
 * store.  Holes of the store are the zeroes that pad tables and subclusters.
 *
 * Equal disks give equal images, so the walk may as well begin and end in the
 * middle.  There a destination that can be read has to hold this image's
 * beginning.
 * Where planning takes long, it begins behind what went out meanwhile.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/own-cage.h"
#include "export/beginning.h"
#include "export/drip.h"
#include "export/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* What is open while a disk is exported. */
struct sending {
    const struct stream_options *options;
    struct sink sink;
    struct drip drip;
    struct export_disk disk;
    struct progress progress;
    struct checksum *checksum;   /* of what is sent; NULL: not wanted */
    char sha256[CHECKSUM_SPACE]; /* that, at the end */
    bool has_begun;              /* to be sent */

    /* How far the walk is in the image.  The sink may be behind: a source
     * may still be waiting for what it was asked to send.
     */
    uint64_t file_offset;
    uint64_t file_end; /* of what is wanted */
};

static void cleanup_sending(struct sending *s)
{
    drip_close(&s->drip);
    progress_close(&s->progress);
    export_close(&s->disk);
    sink_close(&s->sink);
    checksum_free(s->checksum);
}

/* Sends length bytes of the skeleton. */
static int send_skeleton(struct sending *s, uint64_t length, struct error *err)
{
    const struct sink_from from = {
        .name = "spool",
        .unit = "file",
        .fd = store_fd(s->disk.store),
    };
    uint64_t sent;

    if (sink_send(&s->sink, &from, s->file_offset, length, &sent, err) == -1)
        return -1;
    s->file_offset += length;
    /* The store ends with its last byte that is not zero. */
    return sink_send_zeroes(&s->sink, length - sent, err);
}

/* Sends the last byte of all, once the spool is known to have held what was
 * read.  So who receives does not take a wrong image for a whole one.
 */
static int send_last(struct sending *s, struct error *err)
{
    char last = 0;

    if (io_pread_full(store_fd(s->disk.store), &last, 1, s->file_offset) == -1)
        return error_set(err, errno,
                         "spool: cannot read at file offset %" PRIu64,
                         s->file_offset);
    s->file_offset++;
    return store_settle(s->disk.store, err) == -1 ||
                   sink_write(&s->sink, &last, 1, err) == -1
               ? -1
               : 0;
}

/* Sends the skeleton up to file_end, unless the walk is there or ends before.
 */
static int send_metadata(struct sending *s, uint64_t file_end,
                         struct error *err)
{
    bool is_end = file_end >= s->file_end;

    file_end = io_min(file_end, s->file_end);
    if (s->file_offset >= file_end)
        return 0;
    if (source_flush(s->disk.source, &s->sink, err) == -1 ||
        send_skeleton(s, file_end - s->file_offset - is_end, err) == -1)
        return -1;
    return is_end ? send_last(s, err) : 0;
}

/* Sends what is left of an entry of the file map. */
static int send_data(struct sending *s, const struct filemap_entry *e,
                     struct error *err)
{
    uint64_t file_end = io_min(e->file_offset + e->length, s->file_end);

    if (file_end == s->file_end && store_settle(s->disk.store, err) == -1)
        return -1;
    while (s->file_offset < file_end) {
        uint64_t n = io_min(file_end - s->file_offset, 8 * IO_PIECE);
        uint64_t done = s->file_offset - e->file_offset;

        if (source_send(s->disk.source, e->disk_offset + done, n, &s->sink,
                        err) == -1)
            return -1;
        s->file_offset += n;
    }
    return 0;
}

/* A piece of an image that the caller has an id of may come before those that
 * stand before it.
 */
static bool is_on_its_own(const struct export_options *options)
{
    return options->piece.length > 0 && options->expected_id != NULL;
}

/* If the destination holds a beginning, it has to be that of this image. */
static int begin(struct sending *s, struct error *err)
{
    const struct skeleton *skeleton = &s->disk.skeleton;
    char name[SINK_NAME];

    s->file_end =
        export_piece_end(&s->options->export.piece, skeleton->file_length);
    if (sink_aim(&s->sink, s->file_offset, skeleton->file_length, err) == -1)
        return -1;
    if (s->sink.beginning_fd != -1 && !is_on_its_own(&s->options->export) &&
        beginning_check(skeleton, s->disk.store, s->file_offset,
                        s->sink.beginning_fd, sink_name(&s->sink, name),
                        err) == -1)
        return -1;
    return sink_begin(&s->sink, err);
}

/* A piece that ends before the image does is all that there is to be done.
 * Of one that goes on to the end, what comes before has been done.
 */
static void begin_progress(struct sending *s)
{
    if (s->options->export.piece.length > 0)
        s->sink.progress_from = s->file_offset;
    progress_stage(&s->progress, 100, s->file_end - s->sink.progress_from);
    progress_skip(&s->progress, s->file_offset - s->sink.progress_from);
    s->sink.progress = &s->progress;
}

static int send_all(struct sending *s, struct error *err)
{
    const struct skeleton *skeleton = &s->disk.skeleton;

    begin_progress(s);
    for (size_t i = 0; i < skeleton->map.count && s->file_offset < s->file_end;
         i++) {
        const struct filemap_entry *e = &skeleton->map.list[i];

        if (send_metadata(s, e->file_offset, err) == -1 ||
            send_data(s, e, err) == -1)
            return -1;
    }
    if (send_metadata(s, skeleton->file_length, err) == -1)
        return -1;
    return source_flush(s->disk.source, &s->sink, err);
}

/* What has been sent so far, for the report; it may be less than was meant to
 * be.
 */
static void fill_report(const struct sending *s,
                        const struct stream_options *options)
{
    uint64_t from = options->export.piece.file_offset;
    struct report *r = options->export.report;

    if (r == NULL)
        return;
    if (s->disk.source != NULL)
        export_report(&s->disk, r);
    memcpy(r->sha256, s->sha256, sizeof r->sha256);
    r->offset = from;
    r->moved = s->has_begun ? s->sink.file_offset - from : 0;
}

static const char *describe_mover(const struct sending *s)
{
    const struct mover *m = &s->sink.mover;

    if (m->is_copying || m->checksum != NULL || s->disk.source->is_buffered)
        return "by read and write";
    return m->ranged > s->sink.file_offset / 2 ? "by copy_file_range"
                                               : "by sendfile";
}

static void summarize(const struct sending *s, uint64_t from)
{
    uint64_t data = filemap_total(&s->disk.skeleton.map);
    uint64_t length = s->disk.skeleton.file_length;
    char id[IDENTITY_SPACE];
    struct error err;

    if (!log_is_summary())
        return;
    if (export_identity(&s->disk, id, &err) == 0)
        log_summary("id %s", id);
    if (s->sha256[0] != '\0')
        log_summary("sha256 %s", s->sha256);
    log_summary("sent %" PRIu64 " bytes of %" PRIu64 ": %" PRIu64
                " of data in %zu ranges, %" PRIu64
                " of metadata; spooled %" PRIu64 "; %s",
                s->file_offset - from, length, data,
                s->disk.skeleton.map.count, length - data,
                store_spooled(s->disk.store), describe_mover(s));
    importer_report(&s->disk.verdict);
}

/* What is sent while the image is planned cannot be taken back. */
static int begin_drip(void *opaque, uint64_t disk_size, struct error *err)
{
    struct sending *s = opaque;
    const struct stream_options *o = s->options;
    const struct export_piece *piece = &o->export.piece;
    bool is_any = piece->file_offset == 0 && piece->length == 0 &&
                  o->export.expected_id == NULL &&
                  !o->export.has_expected_length;

    return drip_start(&s->drip, &s->sink,
                      is_any ? 1000 * o->first_byte_within : 0,
                      &o->export.qcow2, disk_size, err);
}

/* What is sent to is open.  Which files the disk is made of is still to be
 * found out.
 */
static int give_up_power(const struct sending *s, struct error *err)
{
    const struct export_options *o = &s->options->export;
    const char *const programs[] = {o->qemu.img, o->qemu.io, o->qemu.nbd,
                                    NULL};
    const struct own_cage own = {
        .policy = o->qemu.sandbox,
        .programs = programs,
        .may_read_all = true,
        .may_connect = true,
        .made_path = s->sink.made.path,
        .spool_dir = o->spool_dir,
    };

    return own_cage_enter(&own, err);
}

/* Opens both ends. */
static int open_all(struct sending *s, const struct stream_options *options,
                    struct error *err)
{
    struct export_options export = options->export;

    export.on_size = begin_drip;
    export.opaque = s;
    if (sink_open(&options->destination, &s->sink, err) == -1 ||
        sink_claim(&s->sink, options->claim, err) == -1 ||
        give_up_power(s, err) == -1)
        return -1;
    if (options->has_checksum && checksum_new(&s->checksum, err) == -1)
        return -1;
    sink_set_checksum(&s->sink, s->checksum);
    rate_open(&s->sink.rate, options->rate_limit);
    if (progress_open(&s->progress, options->progress, s->sink.fd,
                      options->export.report, err) == -1 ||
        export_open(&export, s->sink.fd, &s->progress, &s->disk, err) == -1)
        return -1;
    return drip_stop(&s->drip, store_fd(s->disk.store), &s->file_offset, err);
}

static int transfer(struct sending *s, const struct stream_options *options,
                    struct error *err)
{
    if (open_all(s, options, err) == -1 || begin(s, err) == -1)
        return -1;
    s->has_begun = true;
    progress_phase(&s->progress, PHASE_SENDING);
    if (send_all(s, err) == -1)
        return -1;
    progress_phase(&s->progress, PHASE_FLUSHING);
    if (sink_finish(&s->sink, err) == -1)
        return -1;
    return s->checksum == NULL ? 0
                               : checksum_finish(s->checksum, s->sha256, err);
}

int stream(const struct stream_options *options, struct error *err)
{
    struct sending CLEANUP(sending) s = {
        .options = options,
        .sink = SINK_NONE,
        .drip = DRIP_NONE,
        .file_offset = options->export.piece.file_offset,
    };
    int r = transfer(&s, options, err);

    fill_report(&s, options);
    if (r == -1)
        return -1;
    progress_succeed(&s.progress);
    summarize(&s, options->export.piece.file_offset);
    return 0;
}
