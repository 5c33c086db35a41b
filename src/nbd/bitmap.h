/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A dirty bitmap of QEMU's, at an NBD server. */

#ifndef QT_NBD_BITMAP_H
#define QT_NBD_BITMAP_H

#include "base/error.h"
#include "lists/extents.h"
#include "nbd/connections.h"

struct nbd_handle;

/* A bitmap is a metadata context, "qemu:dirty-bitmap:" and its name, of which
 * the lowest flag means that a range is dirty (docs/interop/nbd.txt in QEMU
 * 7.2).  Has a connection, before it is made, stop for nbd_bitmap_choose.
 */
int nbd_bitmap_prepare(struct nbd_handle *nbd);

/* The first connection has been made so far: chooses the bitmap of the
 * address, and waits until the connection is ready.  A server that has no such
 * bitmap is an error, which names those that it has.
 */
int nbd_bitmap_choose(struct nbd_connections *c,
                      const struct nbd_address *address, struct error *err);

/* Appends to dirty, which is empty, what that bitmap marks. */
int nbd_bitmap_read(struct nbd_connections *c, const char *bitmap,
                    struct extents *dirty, struct error *err);

#endif
