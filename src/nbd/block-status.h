/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What an NBD server says of the ranges of an export. */

#ifndef QT_NBD_BLOCK_STATUS_H
#define QT_NBD_BLOCK_STATUS_H

#include "base/error.h"
#include "lists/extents.h"
#include "nbd/connections.h"

#include <stdbool.h>
#include <stdint.h>

/* What of the export is asked for. */
struct nbd_status_query {
    const char *context; /* a metadata context that was negotiated */
    uint32_t flag;       /* one of its flags ... */
    bool is_set;         /* ... and whether it is to be set, or not */
};

/* Appends to list, which is empty, the ranges of which that is so.  It is
 * asked over the first connection.  After a failure c can only be closed.
 */
int nbd_connections_status(struct nbd_connections *c,
                           const struct nbd_status_query *query,
                           struct extents *list, struct error *err);

#endif
