/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads from an NBD server, with several requests in flight (libnbd). */

#ifndef QT_NBD_CLIENT_H
#define QT_NBD_CLIENT_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

struct nbd_client;

/* Negotiates over a connected socket, which becomes the client's, whatever
 * happens.  A cancel_fd that becomes readable ends any wait.
 */
int nbd_client_open(int socket_fd, int cancel_fd, struct nbd_client **client,
                    struct error *err);

/* NULL is fine. */
void nbd_client_free(struct nbd_client *client);

/* Takes length bytes of the export, at disk_offset, in no certain order. */
typedef int nbd_client_take(void *opaque, const void *buf, size_t length,
                            uint64_t disk_offset, struct error *err);

/* Asks for [disk_offset, disk_offset + length), in pieces, as soon as there is
 * room for more requests.  What has been answered meanwhile is given to take.
 */
int nbd_client_read(struct nbd_client *client, uint64_t disk_offset,
                    uint64_t length, nbd_client_take *take, void *opaque,
                    struct error *err);

/* Waits for all that has been asked for. */
int nbd_client_finish(struct nbd_client *client, nbd_client_take *take,
                      void *opaque, struct error *err);

#endif
