/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Allocation maps that the caller passes in, as text on pipes. */

#ifndef QT_MAPFDS_H
#define QT_MAPFDS_H

#include "base/error.h"
#include "lists/extents.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A disk, and the fds with what `qemu-img map --output=json` and `qemu-img
 * info --output=json` say of the image below it.
 */
struct mapfds {
    const char *role;     /* begins messages: "source", "base" */
    int map_fd, info_fd;  /* info_fd may be -1: there is none */
    bool is_of_clusters;  /* the map is clusters (clusterjson.h), and speaks
                             for itself: no information */
    uint64_t disk_size;   /* bytes that both must describe, in whole sectors */
    struct extents *data; /* what is data is appended here */
};

/* Reads all of count maps (IO_POLLED / 2 at most) to the end of each fd, as
 * they come: their writer may fill them in any order, or together.
 */
int mapfds_read(const struct mapfds *maps, size_t count, struct error *err);

#endif
