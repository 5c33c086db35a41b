/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads what only QEMU can: the compressed clusters of an arriving image. */

#include "config.h"

#include "child.h"
#include "nbd-server.h"
#include "qemu-nbd.h"
#include "readback.h"

#include <errno.h>
#include <stdlib.h>

struct readback {
    struct inbox *inbox;
    struct nbd_export export;
    struct nbd_server *bridge;
    struct child *qemu_nbd;
    struct nbd_client *client;
};

/* If the stream or the spool is to blame, that is the error. */
static int failed(struct readback *rb, struct error *err)
{
    uint64_t fault_end;

    if (inbox_check(rb->inbox, err) == -1)
        return -1;
    if (inbox_take_fault(rb->inbox, &fault_end))
        return inbox_truncated(rb->inbox, fault_end, err);
    return rb->qemu_nbd == NULL ? -1 : child_blame(rb->qemu_nbd, err);
}

int readback_open(const struct qemu *qemu, struct inbox *inbox, int cancel_fd,
                  struct readback **readback, struct error *err)
{
    struct readback *rb = calloc(1, sizeof *rb);
    char node[QEMU_NODE_SPACE];
    int bridge_fd, r;
    const struct qemu_nbd_image image = {
        .node = node,
        .inherit = &bridge_fd,
        .n_inherit = 1,
    };
    struct nbd_address address = {.who = "QEMU"};

    if (rb == NULL)
        return error_set(err, errno, "no memory for reading back");
    rb->inbox = inbox;
    inbox_show_waiting(inbox, &rb->export);
    r = nbd_server_start(&rb->export, &rb->bridge, &bridge_fd, err);
    if (r == 0)
        qemu_bridge_node(node, bridge_fd);
    if (r == 0)
        r = qemu_nbd_start(qemu, &image, &rb->qemu_nbd, &address.socket_fd,
                           err);
    if (r == 0) {
        r = nbd_client_open(&address, cancel_fd, &rb->client, err);
        if (r == -1)
            failed(rb, err);
    }
    if (r == -1) {
        readback_close(rb);
        return -1;
    }
    *readback = rb;
    return 0;
}

int readback_read(struct readback *rb, uint64_t disk_offset, uint64_t length,
                  nbd_client_take *take, void *opaque, struct error *err)
{
    if (nbd_client_read(rb->client, disk_offset, length, take, opaque, err) ==
        0)
        return 0;
    return failed(rb, err);
}

int readback_finish(struct readback *rb, struct error *err)
{
    return nbd_client_finish(rb->client, err) == 0 ? 0 : failed(rb, err);
}

void readback_close(struct readback *rb)
{
    if (rb == NULL)
        return;
    nbd_client_free(rb->client);
    child_stop(rb->qemu_nbd);
    nbd_server_stop(rb->bridge);
    free(rb);
}
