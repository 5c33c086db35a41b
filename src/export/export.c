/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A disk that is ready to go out: what of it, and laid out how. */

/* Notes on the design
 *
 *     open --> what may be data --> what is to be sent --> skeleton
 *                                   (selection.c)
 *
 * What may be data is told by the map of an image, by a map from the caller,
 * by block status, or by the holes of a file.  Where that is uncertain, or if
 * zeroes are to be detected, the disk is read and looked at.
 *
 * With a base, less is sent.  If it is in the source's chain, what was
 * allocated since is what differs, and nothing is read at all.  Else both
 * disks are compared, where either may hold data.  Or somebody has a record of
 * what has changed (changes.c): then nothing else is asked, unless zeroes are
 * to be told from data.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/occupied.h"
#include "export/changes.h"
#include "export/expectations.h"
#include "export/export.h"
#include "export/fiemap.h"
#include "export/image.h"
#include "export/laying-out.h"
#include "export/mapfds.h"
#include "export/selection.h"
#include "export/source-file.h"
#include "export/source-image.h"
#include "export/source-nbd.h"
#include "qemu/header.h"
#include "qemu/qemu-img.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void cleanup_preparation(struct preparation *p)
{
    free(p->base_format);
    source_free(p->block_status);
    source_free(p->base);
    extents_clear(&p->may_be_data);
    extents_clear(&p->uncertain);
    extents_clear(&p->overlays);
    extents_clear(&p->base_data);
    extents_clear(&p->base_uncertain);
    extents_clear(&p->changed);
    delta_clear(&p->delta);
}

static int refuse_overwrite(struct error *err, const char *role)
{
    return error_set(err, 0, "destination: it is the %s", role);
}

static bool has_base(const struct preparation *p)
{
    return p->o->base.kind != EXPORT_NONE;
}

static int open_file(const struct preparation *p, const char *role,
                     const char *path, struct source **source,
                     struct error *err)
{
    if (source_file_open(role, path, p->o->is_direct, source, err) == -1)
        return -1;
    return occupied_check_same(p->destination_fd, (*source)->fd, role, err);
}

static int open_uri(const struct preparation *p, const char *role,
                    const char *uri, struct source **source, struct error *err)
{
    const struct nbd_address address = {
        .role = role,
        .socket_fd = -1,
        .uri = uri,
        .bitmap = p->o->changes.bitmap, /* of the source: there is no base */
        .is_bitmap_all = !selection_needs_map(p),
    };

    return source_nbd_open(&address, p->destination_fd, source, err);
}

/* Opens the image that chain is of, once its map is known. */
static int open_image(const struct preparation *p, struct chain *chain,
                      struct image_map *map, struct source **source,
                      struct error *err)
{
    const struct source_nbd_how how = {
        .is_direct = p->o->is_direct,
        .has_compressed = map->has_compressed,
        .destination_fd = p->destination_fd,
    };

    return source_image_open(&p->o->qemu, chain, map, &how, source, err);
}

static int open_nbd_hybrid(struct preparation *p, struct error *err)
{
    const struct export_source *from = &p->o->source;
    const struct nbd_address address = {
        .role = "source",
        .socket_fd = -1,
        .socket_path = from->socket_path,
        .export_name = from->export_name,
        .bitmap = p->o->changes.bitmap,
        .is_bitmap_all = !selection_needs_map(p),
    };
    struct source *disk;

    if (open_file(p, "source", from->device, &p->disk->source, err) == -1 ||
        source_nbd_open(&address, p->destination_fd, &p->block_status, err) ==
            -1)
        return -1;
    disk = p->disk->source;
    if (disk->disk_size < from->size)
        return error_set(err, 0,
                         "source: %s has %" PRIu64 " bytes, not %" PRIu64,
                         from->device, disk->size, from->size);
    disk->size = io_min(disk->size, from->size);
    disk->disk_size = IO_ROUND_UP(from->size, IO_SECTOR);
    if (p->block_status->disk_size != disk->disk_size)
        return error_set(err, 0,
                         "source: the export '%s' has %" PRIu64
                         " bytes, not %" PRIu64,
                         from->export_name, p->block_status->size, from->size);
    return 0;
}

/* A guest may write any header onto its disk, so this is no error.  The words
 * say what is done with it, and what may be meant.
 */
static void warn_of_magic(const struct preparation *p, struct source *source,
                          const char *name, const char *words)
{
    char *CLEANUP(free_ptr) buf = io_alloc_aligned(IO_ALIGN);
    struct error ignored;

    if (p->o->is_raw_for_sure || buf == NULL || source->size < IO_SECTOR ||
        source_read(source, buf, 0, IO_ALIGN, &ignored) == -1 ||
        source_wait(source, &ignored) == -1 ||
        !header_is_qcow2((unsigned char *)buf, 4))
        return;
    log_notice("warning: %s begins as a qcow2 image does, and is %s", name,
               words);
}

static int open_source(struct preparation *p, struct error *err)
{
    const struct export_source *from = &p->o->source;
    struct source **source = &p->disk->source;

    switch (from->kind) {
    case EXPORT_NBD_HYBRID:
        return open_nbd_hybrid(p, err);
    case EXPORT_NBD:
        return open_uri(p, "source", from->uri, source, err);
    case EXPORT_HYBRID:
        return open_file(p, "source", from->device, source, err);
    case EXPORT_RAW:
        if (open_file(p, "source", from->device, source, err) == -1)
            return -1;
        warn_of_magic(p, *source, from->device,
                      "sent as the raw disk that it is said to be; is "
                      "--source-format qcow2 meant?");
        return 0;
    case EXPORT_IMAGE: /* to be opened once its chain is known to be fit */
    case EXPORT_NONE:
        break;
    }
    return 0;
}

static int follow(const struct preparation *p, const char *role,
                  const char *path, const char *format, struct chain *chain,
                  struct error *err)
{
    size_t i;

    if (chain_open(&p->o->qemu, role, path, format, chain, err) == -1 ||
        chain_find_fd(chain, p->destination_fd, &i, err) == -1)
        return -1;
    return i < chain->count ? refuse_overwrite(err, role) : 0;
}

/* The disk's size is known. */
static int accept_size(const struct preparation *p, uint64_t disk_size,
                       struct error *err)
{
    const struct export_options *o = p->o;

    if (layout_check_size(&o->qcow2, disk_size, err) == -1)
        return -1;
    return o->on_size == NULL ? 0 : o->on_size(o->opaque, disk_size, err);
}

/* By the map of the source's image: what may be data, and what was allocated
 * since the base, if that is in its chain.
 */
static int map_image(struct preparation *p, struct error *err)
{
    struct chain CLEANUP(chain) chain = {0};
    struct image_map CLEANUP(image_map) map = {0};
    struct image_map CLEANUP(image_map) base_map = {0};
    struct image_query query = {
        .is_in_pieces = p->o->layout == LAYOUT_CONVERT,
        .is_to_be_read = p->disk->source == NULL,
    };
    size_t base;

    if (follow(p, "source", p->o->source.image_path, p->o->source.image_format,
               &chain, err) == -1 ||
        (p->disk->source == NULL &&
         accept_size(p, chain.links[0].disk_size, err) == -1))
        return -1;
    base = chain.count;
    if (p->o->base.kind == EXPORT_IMAGE &&
        chain_find_path(&chain, p->o->base.image_path, &base, err) == -1)
        return -1;
    p->is_in_chain = base < chain.count;
    query.n_overlays = p->is_in_chain ? base : 0;
    if (p->disk->source != NULL)
        query.disk_size = p->disk->source->disk_size;
    if (image_map(&p->o->qemu, &chain, &query, &map, err) == -1)
        return -1;
    extents_move(&p->may_be_data, &map.data);
    extents_move(&p->uncertain, &map.uncertain);
    p->is_unsteady = map.is_unsteady;
    if (p->is_in_chain) {
        query = (struct image_query){.first = base};
        if (image_map(&p->o->qemu, &chain, &query, &base_map, err) == -1)
            return -1;
        extents_move(&p->overlays, &map.overlays);
        extents_move(&p->base_data, &base_map.data);
        extents_move(&p->base_uncertain, &base_map.uncertain);
        p->base_format = strdup(chain.links[base].format);
        if (p->base_format == NULL)
            return error_set(err, ENOMEM, "base: name");
    }
    if (p->disk->source != NULL)
        return 0;
    return open_image(p, &chain, &map, &p->disk->source, err);
}

int export_open_base_image(struct preparation *p, struct error *err)
{
    struct chain CLEANUP(chain) chain = {0};
    struct image_map CLEANUP(image_map) map = {0};
    const struct image_query query = {.is_to_be_read = true};
    const char *format =
        p->base_format == NULL ? p->o->base.image_format : p->base_format;

    if (follow(p, "base", p->o->base.image_path, format, &chain, err) == -1 ||
        image_map(&p->o->qemu, &chain, &query, &map, err) == -1 ||
        open_image(p, &chain, &map, &p->base, err) == -1)
        return -1;
    extents_move(&p->base_data, &map.data);
    extents_move(&p->base_uncertain, &map.uncertain);
    return 0;
}

/* Opens a base that has to be read, and finds where it may have data. */
static int open_base(struct preparation *p, struct error *err)
{
    const struct export_source *base = &p->o->base;
    bool ignored;

    if (base->kind == EXPORT_IMAGE)
        return export_open_base_image(p, err);
    if (base->kind == EXPORT_NBD
            ? open_uri(p, "base", base->uri, &p->base, err) == -1
            : open_file(p, "base", base->device, &p->base, err) == -1)
        return -1;
    if (base->kind == EXPORT_RAW)
        warn_of_magic(p, p->base, base->device,
                      "compared as a raw disk, because the source is not "
                      "read as an image");
    if (p->o->base_map_fd != -1)
        return 0;
    return source_find_data(p->base, &p->base_data, &ignored, err);
}

/* Reads the maps that the caller passes in. */
static int read_maps(struct preparation *p, struct error *err)
{
    const struct export_options *o = p->o;
    struct mapfds maps[2];
    size_t n = 0;

    if (o->map_fd != -1)
        maps[n++] = (struct mapfds){"source",
                                    o->map_fd,
                                    o->info_fd,
                                    o->is_map_of_clusters,
                                    p->disk->source->disk_size,
                                    &p->may_be_data};
    if (o->base_map_fd != -1 && p->base != NULL)
        maps[n++] = (struct mapfds){"base",
                                    o->base_map_fd,
                                    o->base_info_fd,
                                    o->is_base_map_of_clusters,
                                    p->base->disk_size,
                                    &p->base_data};
    return mapfds_read(maps, n, err);
}

/* By a raw file's holes, which are zeroes for certain; the rest may be, too.
 * Where the ranges themselves count, they are those that have been written, if
 * the file system knows.
 */
static int ask_file(struct preparation *p, struct error *err)
{
    struct source *source = p->disk->source;
    struct ranges CLEANUP(ranges) written = {0};
    bool is_known = false, ignored;
    struct stat st;

    if (p->o->layout == LAYOUT_CONVERT &&
        fiemap_find_written(source->fd, &written, &is_known, err) == -1)
        return error_wrap(err, "source");
    for (size_t i = 0; i < written.count; i++) {
        uint64_t from = written.list[i].file_offset;
        uint64_t to = io_min(range_end(&written.list[i]), source->size);

        if (from < to &&
            extents_append(&p->may_be_data, from, to - from, err) == -1)
            return -1;
    }
    if (is_known)
        return 0;
    p->is_unsteady = fstat(source->fd, &st) == -1 || !S_ISBLK(st.st_mode);
    return source_find_data(source, &p->may_be_data, &ignored, err);
}

/* By what the source itself says of its data. */
static int ask_source(struct preparation *p, struct error *err)
{
    struct source *source =
        p->block_status == NULL ? p->disk->source : p->block_status;
    uint64_t disk_size = p->disk->source->disk_size;
    bool is_map = false;

    if (p->o->source.kind == EXPORT_RAW) {
        if (ask_file(p, err) == -1)
            return -1;
    } else {
        p->is_unsteady = true;
        if (source_find_data(source, &p->may_be_data, &is_map, err) == -1)
            return -1;
    }
    if (is_map || disk_size == 0)
        return 0;
    return extents_append(&p->uncertain, 0, disk_size, err);
}

/* Opens source and base, and finds out where there may be data on them. */
static int find_data(struct preparation *p, struct error *err)
{
    const struct export_options *o = p->o;

    if (open_source(p, err) == -1)
        return -1;
    if (p->disk->source != NULL &&
        accept_size(p, p->disk->source->disk_size, err) == -1)
        return -1;
    if (p->o->source.image_path != NULL && map_image(p, err) == -1)
        return -1;
    if (has_base(p) && !p->is_in_chain && open_base(p, err) == -1)
        return -1;
    if (read_maps(p, err) == -1)
        return -1;
    if (export_changes_are_known(&o->changes) && changes_find(p, err) == -1)
        return -1;
    if (o->map_fd != -1)
        p->is_unsteady = true;
    if (p->o->source.image_path != NULL || o->map_fd != -1 ||
        !selection_needs_map(p))
        return 0;
    return ask_source(p, err);
}

int export_identity(const struct export_disk *disk, char id[IDENTITY_SPACE],
                    struct error *err)
{
    return identity_compute(&disk->skeleton, disk->store,
                            disk->source->disk_size, id, err);
}

static int prepare(struct preparation *p, struct error *err)
{
    progress_phase(p->progress, PHASE_MAPPING);
    if (find_data(p, err) == -1)
        return -1;
    progress_phase(p->progress, PHASE_SCANNING);
    p->disk->is_stable = selection_is_stable(p);
    if (p->o->must_be_stable && !p->disk->is_stable)
        return selection_refuse_unstable(p, err);
    if (selection_make(p, err) == -1 || laying_out(p, err) == -1)
        return -1;
    return expectations_check(p->o, p->disk, err);
}

int export_open(const struct export_options *options, int destination_fd,
                struct progress *progress, struct export_disk *disk,
                struct error *err)
{
    struct preparation CLEANUP(preparation) p = {
        .o = options,
        .destination_fd = destination_fd,
        .progress = progress,
        .disk = disk,
    };

    *disk = (struct export_disk){0};
    if (qemu_check_proc(err) == 0 &&
        qemu_img_check(&options->qemu, err) == 0 && prepare(&p, err) == 0)
        return 0;
    if (options->report != NULL)
        export_report(disk, options->report);
    export_close(disk);
    return -1;
}

void export_report(const struct export_disk *disk, struct report *r)
{
    const struct skeleton *skeleton = &disk->skeleton;
    struct error ignored;

    if (disk->source != NULL)
        r->disk_size = disk->source->disk_size;
    if (disk->store == NULL || skeleton->file_length == 0)
        return;
    r->image_length = skeleton->file_length;
    r->data = filemap_total(&skeleton->map);
    r->metadata = skeleton->file_length - r->data;
    r->ranges = skeleton->map.count;
    r->spool_peak = store_spooled(disk->store);
    r->has_stable = true;
    r->is_stable = disk->is_stable;
    if (export_identity(disk, r->id, &ignored) == -1)
        r->id[0] = '\0';
}

void export_close(struct export_disk *disk)
{
    skeleton_clear(&disk->skeleton);
    store_free(disk->store);
    source_free(disk->source);
    *disk = (struct export_disk){0};
}
