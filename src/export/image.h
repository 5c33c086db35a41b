/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is allocated in an image and its backing files. */

#ifndef QT_IMAGE_H
#define QT_IMAGE_H

#include "export/chain.h"
#include "base/error.h"
#include "lists/extents.h"
#include "qemu/qemu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_query {
    size_t first;       /* index of the link to begin with */
    size_t n_above;     /* how many links from there on are above */
    uint64_t disk_size; /* that the image must describe, in whole sectors; 0:
                           any */
    bool is_in_pieces;  /* data in the ranges that qemu-img convert would
                           read it in */
};

struct image_map {
    struct extents data;      /* what is data, anywhere in the chain */
    struct extents above;     /* what is allocated in the links above, be it
                                 data or zeroes */
    struct extents uncertain; /* of data, what only its contents tell */
    bool is_unsteady;         /* where that lies may change by itself */
    bool has_coded;           /* some data has no place in a file: it is
                                 compressed, say */
};

/* Asks for the allocation map.  An image that has been cut short is an error,
 * whether it is a table that is missing or data that the map knows of.  What
 * is not uncertain is the same however often it is asked for.
 */
int image_map(const struct qemu *qemu, struct chain *chain,
              const struct image_query *query, struct image_map *map,
              struct error *err);

void image_map_clear(struct image_map *map);

#define cleanup_image_map image_map_clear /* for CLEANUP(image_map) */

#endif
