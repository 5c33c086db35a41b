/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Can QEMU write a VHDX image in any order? */

/* Notes on the design
 *
 * The block driver of QEMU 5.2 loses blocks: when it notes where the first one
 * is, it moves what it has noted of those behind it by one entry.  A write of
 * qemu-io at 1 MiB, and then one at 0, shows it.  It keeps all in mind, so it
 * shows only when the image is opened anew.  The driver of 7.2 does not.
 */

#include "config.h"

#include "base/child.h"
#include "base/cleanup.h"
#include "import/vhdx-order.h"
#include "nbd/client.h"
#include "nbd/writer.h"
#include "qemu/qemu-img.h"
#include "qemu/qemu-nbd.h"

#include <errno.h>
#include <string.h>

/* Bytes.  These are the smallest blocks, and the disk has two of them. */
enum { BLOCK = 1 << 20, DISK = 2 * BLOCK, PROBE = 512 };

/* A qemu-nbd that has the image open. */
struct session {
    struct child *qemu_nbd;
    struct nbd_address address;
};

static int begin(const struct qemu *qemu, int fd, bool is_writable,
                 struct session *s, struct error *err)
{
    char *CLEANUP(free_ptr) options = qemu_image_options("vhdx", fd);
    const struct qemu_nbd_image image = {
        .options = options,
        .inherit = &fd,
        .n_inherit = 1,
        .is_writable = is_writable,
    };

    *s = (struct session){
        .address = {.role = "destination", .is_serial = true},
    };
    if (options == NULL)
        return error_set(err, errno, "destination: no memory");
    return qemu_nbd_start(qemu, &image, &s->qemu_nbd, &s->address.socket_fd,
                          err);
}

/* The second block before the first, as little as may be of each. */
static int write_blocks(const struct qemu *qemu, int fd, const char *probe,
                        struct error *err)
{
    struct session s;
    struct nbd_writer *writer = NULL;
    int r;

    if (begin(qemu, fd, true, &s, err) == -1)
        return -1;
    r = nbd_writer_open(&s.address, false, &writer, err);
    if (r == 0)
        r = nbd_writer_write(writer, probe, PROBE, BLOCK, err);
    if (r == 0)
        r = nbd_writer_write(writer, probe, PROBE, 0, err);
    if (r == 0)
        r = nbd_writer_finish(writer, err);
    nbd_writer_free(writer);
    if (r == 0)
        r = child_finish(s.qemu_nbd, err);
    else
        child_blame(s.qemu_nbd, err);
    child_stop(s.qemu_nbd);
    return r;
}

/* As nbd_client_deliver. */
static int take(void *opaque, const void *buf, size_t length,
                uint64_t disk_offset, struct error *err)
{
    (void)disk_offset;
    (void)err;
    memcpy(opaque, buf, length);
    return 0;
}

static int read_block(const struct qemu *qemu, int fd, char *probe,
                      struct error *err)
{
    struct session s;
    struct nbd_client *client = NULL;
    int r;

    if (begin(qemu, fd, false, &s, err) == -1)
        return -1;
    r = nbd_client_open(&s.address, -1, &client, err);
    if (r == 0)
        r = nbd_client_read(client, BLOCK, PROBE, take, probe, err);
    if (r == 0)
        r = nbd_client_finish(client, err);
    nbd_client_free(client);
    if (r == -1)
        child_blame(s.qemu_nbd, err);
    child_stop(s.qemu_nbd);
    return r;
}

int vhdx_order_check(const struct qemu *qemu, int fd, struct error *err)
{
    char written[PROBE], read[PROBE];

    memset(written, 0x5a, sizeof written);
    if (qemu_img_create_any(qemu, fd, NULL, "vhdx", "block_size=1M", DISK,
                            err) == -1 ||
        write_blocks(qemu, fd, written, err) == -1 ||
        read_block(qemu, fd, read, err) == -1)
        return -1;
    if (memcmp(written, read, sizeof read) == 0)
        return 0;
    error_set(err, 0,
              "QEMU: this qemu-nbd loses data of a VHDX image that is not "
              "written in order (that of 5.2 does, of 7.2 not)");
    err->errnum = ENOTSUP;
    return -1;
}
