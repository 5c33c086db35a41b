/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Has qemu-img map an image that is shown to it over the bridge. */

#include "config.h"

#include "nbd/map.h"

int nbd_map(const struct qemu *qemu, const struct nbd_shown *shown,
            const struct qemu_img_map *map, bool *is_qemus, struct error *err)
{
    struct qemu_img_map request = *map;
    struct nbd_server *server = NULL;
    char node[QEMU_NODE_SPACE];
    int bridge_fd, r;
    bool is_broken;

    *is_qemus = false;
    if (shown->export != NULL) {
        if (nbd_server_start(shown->export, &server, &bridge_fd, err) == -1)
            return -1;
        qemu_map_node(node, bridge_fd, map->disk_offset, map->length,
                      map->l2_slice);
        request.node = node;
        request.n_images = 1;
        request.is_part = true;
        request.inherit = &bridge_fd;
        request.n_inherit = 1;
    }
    r = qemu_img_map(qemu, &request, err);
    is_broken = r == -1 && nbd_server_check(server, err) == -1;
    nbd_server_stop(server);
    if (is_broken || shown->check(shown->opaque, err) == -1)
        return -1;
    *is_qemus = r == -1;
    return r;
}
