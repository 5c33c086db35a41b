/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The bridge: shows QEMU a file of ours over one end of a socketpair. */

#ifndef QT_NBD_SERVER_H
#define QT_NBD_SERVER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* What is shown.  The callbacks run in the server's thread, one at a time,
 * with ranges that lie within size; they return 0 or an errno value, which
 * QEMU sees as the nearest one that NBD knows.
 */
struct nbd_export {
    uint64_t size;
    bool is_writable; /* if not, write and zero are never called */
    int (*read)(void *opaque, void *buf, uint32_t length,
                uint64_t file_offset);
    int (*write)(void *opaque, const void *buf, uint32_t length,
                 uint64_t file_offset);
    int (*zero)(void *opaque, uint32_t length, uint64_t file_offset);
    void *opaque;
};

struct nbd_server;

/* Starts a thread that serves one client, by the NBD protocol (doc/proto.md of
 * the NBD project).  export must live until nbd_server_stop.  *client_fd is
 * the client's end, for the child to inherit; it belongs to the server.
 * *server is for nbd_server_stop.
 */
int nbd_server_start(const struct nbd_export *export,
                     struct nbd_server **server, int *client_fd,
                     struct error *err);

/* Has the connection failed, other than by the client's leaving it?  Then that
 * is the cause of what the client did: returns -1 with it.  For when the
 * client has ended; server may be NULL, as there is nothing wrong with it.
 */
int nbd_server_check(const struct nbd_server *server, struct error *err);

/* Cuts the connection, whatever state it is in, waits for the thread and
 * frees it all.  For after the client has been reaped; NULL is fine.
 */
void nbd_server_stop(struct nbd_server *server);

#endif
