/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What of a disk is to be sent: what is data, or differs from the base. */

#ifndef QT_SELECTION_H
#define QT_SELECTION_H

#include "base/error.h"
#include "base/progress.h"
#include "export/delta.h"
#include "export/export.h"
#include "export/source.h"
#include "lists/extents.h"

#include <stdbool.h>

/* What is known of a disk before it is ready to go out. */
struct preparation {
    const struct export_options *o;
    int destination_fd;
    struct progress *progress;
    struct export_disk *disk;

    struct source *block_status; /* nbdhybrid's export */
    struct source *base;         /* to be read; NULL: need not be */
    struct extents may_be_data;  /* on the disk */
    struct extents uncertain;    /* part of it: only reading tells */
    bool is_unsteady; /* may_be_data and uncertain may differ next time, of an
                       * equal disk */
    struct extents overlays;  /* allocated in the base's overlays */
    bool is_in_chain;         /* the base is */
    char *base_format;        /* of an image; NULL: as the source's */
    struct extents base_data; /* may be data on the base */
    struct extents base_uncertain;
    struct extents changed; /* by a record, if the options name one */
    struct delta delta;     /* what is to be sent */
};

/* Will the same ranges be sent the next time, if neither source nor base
 * changes?  All of p but delta has to be known.
 */
bool selection_is_stable(const struct preparation *p);

/* Fills err with why an export that is not stable is refused, and what to do
 * instead.  Returns -1.
 */
int selection_refuse_unstable(const struct preparation *p, struct error *err);

/* Is less sent than the disk: what differs from a base, or has changed? */
bool selection_is_difference(const struct preparation *p);

/* Must it be known where zeroes are, or are they sent as all else? */
bool selection_needs_map(const struct preparation *p);

/* Fills p->delta, what is to be sent, by all else that is known of p.  Reads
 * the disk where it is uncertain.
 */
int selection_make(struct preparation *p, struct error *err);

#endif
