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

#include "base/cleanup.h"
#include "import/vhdx-order.h"
#include "nbd/image-reader.h"
#include "nbd/image-writer.h"
#include "qemu/qemu-img.h"

#include <errno.h>
#include <string.h>

/* Bytes.  These are the smallest blocks, and the disk has two of them. */
enum { BLOCK = 1 << 20, DISK = 2 * BLOCK, PROBE = 512 };

/* The second block before the first, as little as may be of each. */
static int write_blocks(const struct qemu *qemu, int fd, const char *probe,
                        struct error *err)
{
    struct child *qemu_nbd;
    struct nbd_writer *writer = NULL;
    int r = image_writer_open(qemu, "vhdx", fd, true, &qemu_nbd, &writer, err);

    if (r == 0 && (nbd_writer_write(writer, probe, PROBE, BLOCK, err) == -1 ||
                   nbd_writer_write(writer, probe, PROBE, 0, err) == -1 ||
                   nbd_writer_finish(writer, err) == -1))
        r = child_blame(qemu_nbd, err);
    nbd_writer_free(writer);
    if (r == 0)
        r = child_finish(qemu_nbd, err);
    child_stop(qemu_nbd);
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
    char *CLEANUP(free_ptr) options = qemu_image_options("vhdx", fd);
    const struct qemu_nbd_image image = {
        .options = options,
        .inherit = &fd,
        .n_inherit = 1,
    };
    const struct image_reader_spec spec = {
        .qemu = qemu,
        .image = &image,
        .role = "QEMU",
        .cancel_fd = -1,
    };
    struct image_reader *reader = NULL;
    struct nbd_client *client;
    int r;

    if (options == NULL)
        return error_set(err, errno, "destination: no memory");
    if (image_reader_open(&spec, &reader, err) == -1)
        return -1;
    client = image_reader_client(reader);
    r = nbd_client_read(client, BLOCK, PROBE, take, probe, err);
    if (r == 0)
        r = nbd_client_finish(client, err);
    if (r == -1)
        image_reader_blame(reader, err);
    image_reader_close(reader);
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
