/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds out what each byte of an arriving qcow2 stream is. */

#ifndef QT_MAPPER_H
#define QT_MAPPER_H

#include "error.h"
#include "extents.h"
#include "filemap.h"
#include "gate.h"
#include "qemu.h"
#include "store.h"

/* What the stream says of the disk.  What is in neither list was never
 * allocated.
 */
struct mapper_map {
    struct filemap data;
    struct extents zeroes; /* ranges marked as zeroes on purpose */
};

void mapper_map_clear(struct mapper_map *map);

struct mapper;

/* Starts a thread that maps the whole disk while store fills.  All three
 * arguments must outlive it.
 */
int mapper_start(const struct qemu *qemu, struct store *store,
                 const struct gate_image *image, struct mapper **mapper,
                 struct error *err);

/* Becomes readable when the thread is done, well or not. */
int mapper_fd(const struct mapper *mapper);

/* How often QEMU was run so far.  After mapper_finish. */
unsigned mapper_runs(const struct mapper *mapper);

/* Waits for the thread; the map is the caller's. */
int mapper_finish(struct mapper *mapper, struct mapper_map *map,
                  struct error *err);

/* If the thread still runs, its QEMU is killed.  NULL is fine. */
void mapper_free(struct mapper *mapper);

#endif
