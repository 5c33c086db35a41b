/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A disk that is ready to go out: what of it, and laid out how. */

#ifndef QT_EXPORT_H
#define QT_EXPORT_H

#include "base/error.h"
#include "base/progress.h"
#include "base/report.h"
#include "export/identity.h"
#include "export/importer.h"
#include "export/layout.h"
#include "export/skeleton.h"
#include "export/source-address.h"
#include "export/source.h"
#include "lists/extents.h"
#include "nbd/store.h"
#include "qemu/qemu.h"

#include <stdbool.h>
#include <stdint.h>

/* Bytes [file_offset, file_offset + length) of the image. */
struct export_piece {
    uint64_t file_offset;
    uint64_t length; /* 0: to the end of the image */
};

/* Where the piece ends in an image of this length, if it has all of it. */
static inline uint64_t export_piece_end(const struct export_piece *piece,
                                        uint64_t image_length)
{
    return piece->length == 0 ? image_length
                              : piece->file_offset + piece->length;
}

/* A record of what has changed on the source since somebody has had it. */
struct export_changes {
    const char *bitmap;      /* at the source's NBD server; NULL: none */
    const char *blocks_path; /* of a file (changed-blocks.h); NULL: none */
    int blocks_fd;           /* one that is open; -1: none */
};

static inline bool export_changes_are_known(const struct export_changes *c)
{
    return c->bitmap != NULL || c->blocks_path != NULL || c->blocks_fd != -1;
}

struct export_options {
    struct qemu qemu;
    struct export_source source;

    /* Send only what differs from it: EXPORT_RAW, EXPORT_IMAGE or EXPORT_NBD.
     * EXPORT_NONE: send all.
     */
    struct export_source base;

    /* In the place of a base: send all of what has changed, whatever it is. */
    struct export_changes changes;

    /* What is zero here but not on the base, or has changed, becomes no data,
     * but marked.
     */
    bool is_marking_zeroes;
    bool is_detecting_zeroes; /* in what the map says is data */

    /* For a raw source and base, maps of what they hold; -1: none.  Some are
     * clusters as clusterjson.h has them, not qemu-img's.
     */
    int map_fd, info_fd, base_map_fd, base_info_fd;
    bool is_map_of_clusters, is_base_map_of_clusters;

    /* The caller knows that a raw source or base is raw: else there is a
     * warning if it looks like qcow2.
     */
    bool is_raw_for_sure;

    enum layout layout;
    struct qcow2_options qcow2;
    bool is_direct;
    const char *spool_dir;
    uint64_t spool_limit; /* bytes; 0: none; or STORE_HALF_FREE (store.h) */

    struct report *report; /* to be filled in; NULL: none is wanted */

    const char *expected_id; /* of the image, or fail; NULL: any */
    bool has_expected_length;
    uint64_t expected_length; /* bytes */

    /* Called once the size of the disk is known, in bytes, and can be sent: it
     * has not been mapped or read yet.  NULL: not called.
     */
    int (*on_size)(void *opaque, uint64_t disk_size, struct error *err);
    void *opaque;

    /* What of the image is wanted: fail unless the image has all of it.  All
     * of the image is laid out all the same.
     */
    struct export_piece piece;

    /* The piece is to be joined with others: fail unless it is sure to be of
     * the same image.
     */
    bool must_be_stable;
};

struct export_disk {
    struct source *source;
    struct store *store;
    struct skeleton skeleton;        /* metadata in store, data in source */
    struct importer_verdict verdict; /* of xapi's importer on it */
    bool is_stable; /* as long as the disk does not change, neither does it */
};

/* Takes the first part of progress.  destination_fd (-1 for none) must not be
 * a file that the image is made from: writing would lose the disk.  (Not found
 * is what is below a loop device.)
 */
int export_open(const struct export_options *options, int destination_fd,
                struct progress *progress, struct export_disk *disk,
                struct error *err);

struct preparation;

/* For selection.c, if a base that is an image has to be read after all: opens
 * it, and finds where it may have data.
 */
int export_open_base_image(struct preparation *p, struct error *err);

/* What tells the image from others (identity.h). */
int export_identity(const struct export_disk *disk, char id[IDENTITY_SPACE],
                    struct error *err);

/* Fills in what it knows of the image, which may be nothing. */
void export_report(const struct export_disk *disk, struct report *report);

void export_close(struct export_disk *disk);

#define cleanup_export export_close /* for CLEANUP(export) */

#endif
