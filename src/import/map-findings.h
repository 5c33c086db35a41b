/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What one run of qemu-img map has found. */

#ifndef QT_MAP_FINDINGS_H
#define QT_MAP_FINDINGS_H

#include "base/error.h"
#include "import/inbox-view.h"
#include "import/mapper.h"
#include "lists/extents.h"
#include "lists/filemap.h"
#include "qemu/mapjson.h"

#include <stdbool.h>
#include <stdint.h>

/* Ranges of one run. */
enum { MAP_MOST_FINDINGS = 1 << 18 };

struct map_findings {
    /* The caller's. */
    struct inbox *inbox;
    uint64_t known_entries;         /* of the map, by other runs */
    const struct extents *unmapped; /* no more of the disk is looked at */
    struct inbox_view view;         /* what QEMU is shown */

    /* The caller sets disk_end to where the run begins. */
    uint64_t disk_end;              /* so far the map has come */
    uint64_t entries;               /* of it */
    uint64_t new_entries, most_new; /* of them, no holes, and in unmapped */
    bool is_full;                   /* there are more than MAP_MOST_FINDINGS */
    bool is_refused;                /* there are more than there can be */
    struct extents told;            /* what is no hole */
    struct filemap_batch data;
    struct mapper_window window; /* has the rest, but no holes */
};

/* As mapjson_sink; opaque are the findings.  Where it fails what came before
 * counts.
 */
int map_findings_add(void *opaque, const struct mapjson_entry *entry,
                     struct error *err);

/* Of a run that was ended: no more counts than the whole slices (bytes of the
 * disk) that it has told of.  A hole that it ended with may go on.
 */
void map_findings_cut(struct map_findings *findings, uint64_t disk_offset,
                      uint64_t slice);

/* Frees what it holds; the view is hidden. */
void map_findings_clear(struct map_findings *findings);

#define cleanup_map_findings map_findings_clear /* for CLEANUP(map_findings) */

#endif
