/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a disk is to be sent: what is data, or differs from the base. */

#ifndef QT_CHOOSE_H
#define QT_CHOOSE_H

#include "export/delta.h"
#include "base/error.h"
#include "export/export.h"
#include "lists/extents.h"
#include "base/progress.h"
#include "export/source.h"

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
    struct extents uncertain;    /* of it: what only its contents tell */
    bool is_unsteady;            /* both may be others without the disk */
    struct extents above;        /* allocated since the base */
    bool is_in_chain;            /* the base is */
    char *base_format;           /* of an image; NULL: as the source's */
    struct extents base_data;    /* may be data on the base */
    struct extents base_uncertain;
    struct delta delta; /* what is to be sent */
};

/* Will as much be sent the next time, if neither source nor base changes?
 * For when all but the delta is
 * known.
 */
bool choose_is_stable(const struct preparation *p);

/* The error that says so; returns -1. */
int choose_refuse_unstable(const struct preparation *p, struct error *err);

/* Decides what is to be sent, p->delta, by what else is known.  Reads what is
 * uncertain.
 */
int choose(struct preparation *p, struct error *err);

#endif
