/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What is allocated in an image and its backing files. */

#ifndef QT_IMAGE_H
#define QT_IMAGE_H

#include "base/error.h"
#include "export/chain.h"
#include "lists/extents.h"
#include "lists/places.h"
#include "qemu/qemu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_query {
    size_t first; /* index into the chain: the link whose disk is mapped */

    /* The base that the disk is compared with is the link first + n_overlays:
     * the links from first on that come before it are its overlays.  0: there
     * is no base, or it is not in the chain.
     */
    size_t n_overlays;
    uint64_t disk_size; /* that the image must describe, in whole sectors; 0:
                           any */
    bool is_in_pieces;  /* data in the ranges that qemu-img convert would
                           read it in */
    bool is_to_be_read; /* places and others are wanted */

    /* The part of the disk to map, in bytes, if length is not 0.  disk_size
     * has to be 0 then.
     */
    uint64_t disk_offset, length;
};

struct image_map {
    struct extents data;      /* what is data, anywhere in the chain */
    struct extents overlays;  /* what is allocated in the overlays, be it data
                                 or zeroes */
    struct extents uncertain; /* part of data: it may be zeroes, which only
                                 reading it tells */
    bool is_unsteady; /* the file system may place uncertain elsewhere the next
                         time, though the disk is the same */
    bool has_compressed; /* some data has no file offset in the map: it is
                                 compressed, say */

    /* Where data lies in the files that are held open (chain_data_fd), just as
     * it is on the disk; and what of data QEMU has to read.  All else on the
     * disk is zero.
     */
    struct places places; /* link is an index into the chain */
    struct extents others;
};

/* Has qemu-img map the chain, and fills *map, which is empty and the caller's
 * to clear.  An image that has been cut short is an error, whether a table is
 * missing or data that the map knows of.  What is not uncertain is the same
 * however often it is asked for.
 */
int image_map(const struct qemu *qemu, struct chain *chain,
              const struct image_query *query, struct image_map *map,
              struct error *err);

void image_map_clear(struct image_map *map);

#define cleanup_image_map image_map_clear /* for CLEANUP(image_map) */

#endif
