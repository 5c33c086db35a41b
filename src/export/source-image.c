/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A disk to read that is in an image and its backing files. */

/* Notes on the design
 *
 * The map of an image tells of most data where in a file it lies as it is.
 * That is read from the very file that was mapped, as a raw disk is read.  The
 * others, which are compressed, encrypted or in no map, are read by a
 * qemu-nbd; where there are none, none is started.  What is neither is zero.
 *
 * qemu-nbd answers late, and in order.  So before anything else is sent it is
 * flushed.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/stall.h"
#include "export/source-image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct source_image {
    struct source source; /* first */
    struct chain chain;
    struct places places;
    struct extents others;
    struct source *qemu; /* that reads others; NULL: there are none */
    bool is_all_by_qemu;
};

static struct source_image *image_of(struct source *s)
{
    return (struct source_image *)s;
}

/* A piece of the disk that is in one place, or in none. */
struct part {
    enum { IN_FILE, BY_QEMU, ZERO } kind;
    uint64_t length;
    const struct chain_link *link; /* of IN_FILE, with file_offset */
    uint64_t file_offset;
};

/* What [disk_offset, disk_offset + length) begins with. */
static struct part first_part(const struct source_image *im,
                              uint64_t disk_offset, uint64_t length)
{
    struct part part = {.kind = BY_QEMU, .length = length};
    size_t i = places_find(&im->places, disk_offset);
    const struct place *p;
    uint64_t next;

    if (im->is_all_by_qemu)
        return part;
    if (!extents_covers(&im->others, disk_offset, &next))
        part.kind = ZERO;
    part.length = io_min(length, next - disk_offset);
    if (i == im->places.count)
        return part;
    p = &im->places.list[i];
    if (disk_offset < p->disk_offset) {
        part.length = io_min(part.length, p->disk_offset - disk_offset);
        return part;
    }
    return (struct part){
        .kind = IN_FILE,
        .length = io_min(length, place_end(p) - disk_offset),
        .link = &im->chain.links[p->link],
        .file_offset = p->file_offset + (disk_offset - p->disk_offset),
    };
}

/* A file ended before the end of a part, which is an error unless it is the
 * last sector of a raw disk: zeroes are behind its end.
 */
static int check_short(struct source_image *im, const struct part *part,
                       uint64_t got, struct error *err)
{
    if (chain_check_ends(&im->chain, err) == -1)
        return -1;
    if (part->length - got < IO_SECTOR)
        return 0;
    return error_set(err, 0,
                     "%s: %s: ended at file offset %" PRIu64
                     " while being read",
                     im->source.role, chain_data_path(part->link),
                     part->file_offset + got);
}

static int read_in_file(struct source_image *im, const struct part *part,
                        char *buf, struct error *err)
{
    STALL_WAIT_FOR(STALL_DISK, "the source");
    ssize_t got = io_pread_full(chain_data_fd(part->link), buf, part->length,
                                part->file_offset);

    if (got == -1)
        return error_set(err, errno,
                         "%s: %s: cannot read at file offset %" PRIu64,
                         im->source.role, chain_data_path(part->link),
                         part->file_offset);
    if ((uint64_t)got == part->length)
        return 0;
    memset(buf + got, 0, part->length - got);
    return check_short(im, part, got, err);
}

static int image_read(struct source *s, char *buf, uint64_t disk_offset,
                      uint64_t length, struct error *err)
{
    struct source_image *im = image_of(s);

    while (length > 0) {
        struct part part = first_part(im, disk_offset, length);
        int r = 0;

        if (part.kind == BY_QEMU)
            r = source_read(im->qemu, buf, disk_offset, part.length, err);
        else if (part.kind == IN_FILE)
            r = read_in_file(im, &part, buf, err);
        else
            memset(buf, 0, part.length);
        if (r == -1)
            return -1;
        buf += part.length;
        disk_offset += part.length;
        length -= part.length;
    }
    return 0;
}

static uint64_t image_count(struct source *s)
{
    return image_of(s)->qemu == NULL ? 0 : source_count(image_of(s)->qemu);
}

static int image_wait(struct source *s, uint64_t count, struct error *err)
{
    return image_of(s)->qemu == NULL
               ? 0
               : source_wait_first(image_of(s)->qemu, count, err);
}

static int flush_qemu(struct source_image *im, struct sink *sink,
                      struct error *err)
{
    return im->qemu == NULL ? 0 : source_flush(im->qemu, sink, err);
}

static int send_in_file(struct source_image *im, const struct part *part,
                        struct sink *sink, struct error *err)
{
    const struct sink_from from = {
        .name = im->source.role,
        .path = chain_data_path(part->link),
        .unit = "file",
        .fd = chain_data_fd(part->link),
    };
    uint64_t sent;

    if (sink_send(sink, &from, part->file_offset, part->length, &sent, err) ==
        -1)
        return -1;
    if (sent == part->length)
        return 0;
    if (check_short(im, part, sent, err) == -1)
        return -1;
    return sink_send_zeroes(sink, part->length - sent, err);
}

static int image_send(struct source *s, uint64_t disk_offset, uint64_t length,
                      struct sink *sink, struct error *err)
{
    struct source_image *im = image_of(s);

    while (length > 0) {
        struct part part = first_part(im, disk_offset, length);
        int r;

        if (part.kind == BY_QEMU)
            r = source_send(im->qemu, disk_offset, part.length, sink, err);
        else if (flush_qemu(im, sink, err) == -1)
            r = -1;
        else if (part.kind == IN_FILE)
            r = send_in_file(im, &part, sink, err);
        else
            r = sink_send_zeroes(sink, part.length, err);
        if (r == -1)
            return -1;
        disk_offset += part.length;
        length -= part.length;
    }
    return 0;
}

static int image_flush(struct source *s, struct sink *sink, struct error *err)
{
    if (flush_qemu(image_of(s), sink, err) == -1)
        return -1;
    /* An image that has shrunk meanwhile was read as zeroes. */
    return chain_check_ends(&image_of(s)->chain, err);
}

static void image_free(struct source *s)
{
    source_free(image_of(s)->qemu);
    places_clear(&image_of(s)->places);
    extents_clear(&image_of(s)->others);
    chain_close(&image_of(s)->chain);
    free(s);
}

static struct source_image *new_source(struct chain *chain,
                                       struct image_map *map,
                                       struct error *err)
{
    static const struct source_ops ops = {
        .read = image_read,
        .count = image_count,
        .wait = image_wait,
        .send = image_send,
        .flush = image_flush,
        .free = image_free,
    };
    struct source_image *im = calloc(1, sizeof *im);

    if (im == NULL) {
        error_set(err, errno, "%s: no memory", chain->role);
        return NULL;
    }
    im->source.ops = &ops;
    im->source.role = chain->role;
    im->source.fd = -1;
    im->chain = *chain;
    *chain = (struct chain){.role = chain->role};
    places_move(&im->places, &map->places);
    extents_move(&im->others, &map->others);
    return im;
}

static bool is_all_by_qemu(const struct source_nbd_how *how)
{
    const char *wanted = getenv("QCOW_TOOL_IMAGES");

    return how->is_direct || (wanted != NULL && strcmp(wanted, "qemu") == 0);
}

/* The kernel reads ahead. */
static void announce_order(const struct chain *chain)
{
    for (size_t i = 0; i < chain->count; i++) {
        int fd = chain_data_fd(&chain->links[i]);

        if (fd != -1)
            posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
}

/* Opens the qemu-nbd that reads what is in no place.  Is its disk the one that
 * was mapped?
 */
static int open_qemu(const struct qemu *qemu, struct source_image *im,
                     const struct source_nbd_how *how, struct error *err)
{
    const struct chain_link *link = &im->chain.links[0];

    if (source_nbd_open_image(qemu, &im->chain, how, &im->qemu, err) == -1)
        return -1;
    if (im->qemu->disk_size == IO_ROUND_UP(link->disk_size, IO_SECTOR))
        return 0;
    return error_set(err, 0,
                     "%s: %s: QEMU: qemu-nbd shows a disk of %" PRIu64
                     " bytes, not of %" PRIu64,
                     im->source.role, link->path, im->qemu->size,
                     link->disk_size);
}

static int open_image(const struct qemu *qemu, struct source_image *im,
                      const struct source_nbd_how *how, struct error *err)
{
    uint64_t size = im->chain.links[0].disk_size;

    im->is_all_by_qemu = is_all_by_qemu(how);
    log_debug("%s: %" PRIu64 " bytes lie in %zu places in its files, %" PRIu64
              " in %zu ranges are QEMU's to read",
              im->source.role, places_total(&im->places), im->places.count,
              extents_total(&im->others), im->others.count);
    if (im->is_all_by_qemu || im->others.count > 0 || size % IO_SECTOR != 0) {
        if (open_qemu(qemu, im, how, err) == -1)
            return -1;
        size = im->qemu->size;
    }
    im->source.size = size;
    im->source.disk_size = IO_ROUND_UP(size, IO_SECTOR);
    im->source.is_buffered = im->is_all_by_qemu || im->places.count == 0;
    announce_order(&im->chain);
    return 0;
}

int source_image_open(const struct qemu *qemu, struct chain *chain,
                      struct image_map *map, const struct source_nbd_how *how,
                      struct source **source, struct error *err)
{
    struct source_image *im = new_source(chain, map, err);

    if (im == NULL)
        return -1;
    if (open_image(qemu, im, how, err) == -1) {
        image_free(&im->source);
        return -1;
    }
    *source = &im->source;
    return 0;
}
