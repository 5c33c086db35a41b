/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The disk to export: a raw file or block device. */

#ifndef QT_SOURCE_H
#define QT_SOURCE_H

#include "error.h"
#include "extents.h"
#include "progress.h"
#include "sink.h"

#include <stdbool.h>
#include <stdint.h>

struct source {
    const char *path; /* the caller's */
    int fd;
    bool is_direct; /* O_DIRECT */
    uint64_t size;
    uint64_t disk_size; /* size, rounded up to whole sectors as QEMU does */
};

/* is_direct asks for O_DIRECT; where there is none, it is done without. */
int source_open(const char *path, bool is_direct, struct source *source,
                struct error *err);

/* Where the disk's data is. */
struct source_map {
    /* What the file system, or the image, says is data. */
    struct extents status;
    /* What of it is to be allocated, in the source's own granularity. */
    struct extents data;
};

void source_map_clear(struct source_map *map);

#define cleanup_source_map source_map_clear /* for CLEANUP(source_map) */

/* Finds the data by reading: a file's holes are skipped (SEEK_DATA, lseek(2)),
 * and granules of zeroes, aligned on the disk, are left out.
 */
int source_scan(const struct source *source, uint64_t granule,
                struct progress *progress, struct source_map *map,
                struct error *err);

/* Sends length bytes from disk_offset on.  Behind the end of the file there
 * are zeroes as far as disk_size, and a cluster's rest after that.
 */
int source_send(const struct source *source, uint64_t disk_offset,
                uint64_t length, struct sink *sink, struct error *err);

void source_close(struct source *source);

#define cleanup_source source_close /* for CLEANUP(source) */

#endif
