/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Reads what only QEMU can: the compressed clusters of an arriving image. */

#include "config.h"

#include "import/inbox-view.h"
#include "import/readback.h"
#include "nbd/image-reader.h"
#include "nbd/server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct readback {
    struct inbox *inbox;
    struct inbox_view view;
    struct nbd_server *bridge;
    struct image_reader *reader;
};

/* If the stream or the spool is to blame, that is the error. */
static int check(void *opaque, struct error *err)
{
    struct readback *rb = opaque;
    uint64_t fault_end;

    if (inbox_check(rb->inbox, err) == -1)
        return -1;
    if (inbox_take_fault(&rb->view, &fault_end))
        return inbox_truncated_sector(rb->inbox, fault_end, err);
    /* What one of two that share bytes has read is gone for the other. */
    if (inbox_check_compressed(rb->inbox, err) == -1)
        return -1;
    return nbd_server_check(rb->bridge, err);
}

/* A request has failed.  A qemu-nbd that says so, and goes on, could not
 * decode what it has read.
 */
static int failed_to_read(struct readback *rb, struct error *err)
{
    uint64_t disk_offset;

    if (nbd_client_is_refused(image_reader_client(rb->reader), &disk_offset))
        error_set(err, 0,
                  "source: compressed data at disk offset %" PRIu64
                  " cannot be decoded",
                  disk_offset);
    return image_reader_blame(rb->reader, err);
}

int readback_open(const struct qemu *qemu, struct inbox *inbox,
                  uint64_t cluster_size, int wake_fd, int cancel_fd,
                  struct readback **readback, struct error *err)
{
    struct readback *rb = calloc(1, sizeof *rb);
    int bridge_fd, r;
    const struct image_reader_spec spec = {
        .qemu = qemu,
        .cancel_fd = cancel_fd,
        .check = check,
        .opaque = rb,
    };

    if (rb == NULL)
        return error_set(err, errno, "no memory for reading back");
    rb->inbox = inbox;
    inbox_show_waiting(inbox, &rb->view, wake_fd);
    r = nbd_server_start(&rb->view.export, &rb->bridge, &bridge_fd, err);
    if (r == 0)
        r = image_reader_open_bridge(&spec, bridge_fd, cluster_size,
                                     &rb->reader, err);
    inbox_view_opened(&rb->view);
    if (r == -1) {
        readback_close(rb);
        return -1;
    }
    *readback = rb;
    return 0;
}

int readback_read(struct readback *rb, uint64_t disk_offset, uint64_t length,
                  nbd_client_deliver *deliver, void *opaque, struct error *err)
{
    if (nbd_client_read(image_reader_client(rb->reader), disk_offset, length,
                        deliver, opaque, err) == 0)
        return 0;
    return failed_to_read(rb, err);
}

int readback_finish(struct readback *rb, struct error *err)
{
    if (nbd_client_finish(image_reader_client(rb->reader), err) == -1)
        return failed_to_read(rb, err);
    return inbox_check_compressed(rb->inbox, err);
}

void readback_close(struct readback *rb)
{
    if (rb == NULL)
        return;
    image_reader_close(rb->reader);
    nbd_server_stop(rb->bridge);
    inbox_hide(&rb->view);
    free(rb);
}
