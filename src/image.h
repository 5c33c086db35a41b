/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image file with its backing files: its chain, and what is allocated. */

#ifndef QT_IMAGE_H
#define QT_IMAGE_H

#include "error.h"
#include "extents.h"
#include "qemu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image {
    const char *who; /* begins messages: "source", "base" */
    const char *path;
    const char *format; /* taken as told, never probed */
};

/* A file that may be one of the chain's. */
struct image_link {
    const char *path; /* NULL: is none */
    bool is_found;
    unsigned depth; /* 0: the image itself, 1: its backing file, ... */
    char *format;   /* as the link above records it */
};

void image_link_clear(struct image_link *link);

#define cleanup_image_link image_link_clear /* for CLEANUP(image_link) */

/* What has been learnt of the links. */
struct image_chain {
    /* For each, the pieces in which QEMU tells what is allocated: multiples
     * of so many bytes of disk; 0: no bound.
     */
    uint64_t *pieces;
    size_t count, space;
};

void image_chain_clear(struct image_chain *chain);

#define cleanup_image_chain image_chain_clear /* for CLEANUP(image_chain) */

/* Follows the backing files to the end.  A link that does not record the
 * format of the next is refused, because to probe it is to trust what a guest
 * wrote onto its own disk; so is what QEMU does not follow, a differencing
 * VHD.  Finds those of wanted that are among the links.  chain is empty.
 */
int image_follow(const struct qemu *qemu, const struct image *image,
                 struct image_link *wanted, size_t n_wanted,
                 struct image_chain *chain, struct error *err);

struct image_map {
    struct extents data;  /* what is data, anywhere in the chain, as ranges
                             that qemu-img convert would read it in */
    struct extents above; /* what is allocated in the first links, be it
                             data or zeroes */
};

void image_map_clear(struct image_map *map);

#define cleanup_image_map image_map_clear /* for CLEANUP(image_map) */

struct image_query {
    const struct image_chain *chain; /* in the pieces that this tells; NULL:
                                        they do not matter */
    uint64_t disk_size; /* that the image must describe, in whole sectors; 0:
                           any */
    unsigned depth;     /* how many links are above */
};

/* Asks for the allocation map of a chain that image_follow has passed.
 * Another process may hold the image.
 */
int image_map(const struct qemu *qemu, const struct image *image,
              const struct image_query *query, struct image_map *map,
              struct error *err);

#endif
