/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Brings what the map says is disk data from the stream to the disk. */

#ifndef QT_ROUTE_H
#define QT_ROUTE_H

#include "error.h"
#include "mapper.h"
#include "progress.h"
#include "store.h"
#include "target.h"

#include <stdbool.h>
#include <stdint.h>

/* An image may be larger than the disk it lands on by less than a cluster,
 * since some clients round up, if it holds nothing but zeroes there.  Fails
 * if there is data behind the end of target.
 */
int route_check_end(struct store *store, const struct mapper_map *map,
                    const struct target *target, struct error *err);

/* Writes all data that map knows from store to target, and zeroes the
 * ranges marked as zeroes.  Ranges of [0, disk_size) that were never
 * allocated are zeroed too, or left alone if is_prezeroed.
 */
int route_move(struct store *store, const struct mapper_map *map,
               uint64_t disk_size, bool is_prezeroed, struct target *target,
               struct progress *progress, struct error *err);

#endif
