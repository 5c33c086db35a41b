/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Has qemu-img map an image that is shown to it over the bridge. */

#ifndef QT_NBD_MAP_H
#define QT_NBD_MAP_H

#include "base/error.h"
#include "nbd/server.h"
#include "qemu/qemu-img.h"

#include <stdbool.h>

/* What QEMU is shown. */
struct nbd_shown {
    /* A qcow2 image.  NULL: node and inherit of the map name what is shown
     * already.
     */
    const struct nbd_export *export;

    /* Has what was shown failed, or was it not all there?  Then that is the
     * cause of whatever QEMU did: returns -1 with it.  Called once QEMU has
     * ended, in the caller's thread; if it returns 0 it must leave err alone.
     */
    int (*check)(void *opaque, struct error *err);
    void *opaque;
};

/* Starts the bridge, runs qemu-img map as map says, whose node, n_images and
 * inherit are filled in for export, and stops the bridge.  If that fails
 * *is_qemus tells whose error it is: QEMU's, as err has it from qemu_img_map,
 * or one of the bridge or of what it showed.
 */
int nbd_map(const struct qemu *qemu, const struct nbd_shown *shown,
            const struct qemu_img_map *map, bool *is_qemus, struct error *err);

#endif
