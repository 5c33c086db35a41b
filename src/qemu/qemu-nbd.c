/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qemu-nbd: lets us read or write what is on the disk of an image. */

#include "config.h"

#include "base/cleanup.h"
#include "qemu/qemu-nbd.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A listening socket, and a connection to it that is all its queue takes.  The
 * kernel makes up a name for it (unix(7), autobind), in no file system.  If
 * somebody finds that, and is faster, we notice, as there is no room for us.
 * Later ones wait in vain: qemu-nbd takes one client, and ends when it leaves.
 */
static int make_connection(int *listen_fd, int *client_fd, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address.sun_family;

    *listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *client_fd =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*listen_fd == -1 || *client_fd == -1 ||
        bind(*listen_fd, (struct sockaddr *)&address, length) == -1 ||
        listen(*listen_fd, 0) == -1)
        return error_set(err, errno, "cannot make a socket for qemu-nbd");
    length = sizeof address;
    if (getsockname(*listen_fd, (struct sockaddr *)&address, &length) == -1 ||
        connect(*client_fd, (struct sockaddr *)&address, length) == -1)
        return error_set(err, errno, "cannot connect a socket for qemu-nbd");
    return 0;
}

int qemu_nbd_start(const struct qemu *qemu, const struct qemu_nbd_image *image,
                   struct child **child, int *client_fd, struct error *err)
{
    int CLEANUP(close_fd) listening = -1;
    int CLEANUP(close_fd) connection = -1;
    const char *argv[6] = {qemu->nbd};
    size_t n = 1;
    struct cage_spec cage = qemu_cage(qemu, image->files, image->n_inherit);
    struct child_spec spec = {
        .argv = argv,
        .cage = &cage,
        .inherit = image->inherit,
        .n_inherit = image->n_inherit,
        .cancel_fd = -1,
    };

    cage.may_write = image->is_writable;
    if (!image->is_writable)
        argv[n++] = "--read-only";
    if (image->node != NULL) {
        argv[n++] = image->node;
    } else {
        argv[n++] = "--image-opts";
        argv[n++] = image->options;
    }
    argv[n] = NULL;
    if (make_connection(&listening, &connection, err) == -1)
        return -1;
    spec.listen_fd = listening;
    if (qemu_start(&spec, child, err) == -1)
        return -1;
    *client_fd = steal_fd(&connection);
    return 0;
}
