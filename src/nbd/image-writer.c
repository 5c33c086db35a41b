/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Writes the disk of an image: a qemu-nbd of ours, and a writer to it. */

#include "config.h"

#include "base/cleanup.h"
#include "nbd/image-writer.h"
#include "qemu/qemu-nbd.h"

#include <errno.h>

int image_writer_open(const struct qemu *qemu, const char *format, int fd,
                      bool is_serial, struct child **qemu_nbd,
                      struct nbd_writer **writer, struct error *err)
{
    char *CLEANUP(free_ptr) options = qemu_image_options(format, fd);
    const struct qemu_nbd_image image = {
        .options = options,
        .inherit = &fd,
        .n_inherit = 1,
        .is_writable = true,
    };
    struct nbd_address address = {
        .role = "destination",
        .is_serial = is_serial,
    };

    *qemu_nbd = NULL;
    if (options == NULL)
        return error_set(err, errno, "destination: no memory");
    if (qemu_nbd_start(qemu, &image, qemu_nbd, &address.socket_fd, err) == -1)
        return -1;
    if (nbd_writer_open(&address, false, writer, err) == -1)
        return child_blame(*qemu_nbd, err);
    return 0;
}
