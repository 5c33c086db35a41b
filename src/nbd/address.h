/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Where an NBD server is, and what ends a wait for it. */

#ifndef QT_NBD_ADDRESS_H
#define QT_NBD_ADDRESS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Something else that can end a wait for the server.  It ends as soon as fd
 * has one of events (poll(2); an error or a hang-up always counts), with the
 * error that report fills in.  role is that of who was waited for.  fd stays
 * the caller's, and has to outlive the client.
 */
struct nbd_watch {
    int fd;
    short events;
    int (*report)(void *opaque, const char *role, struct error *err); /* -1 */
    void *opaque;
};

/* Bytes in the name of a bitmap (BDRV_BITMAP_MAX_NAME_SIZE of QEMU 7.2). */
enum { BITMAP_NAME_LONGEST = 1023 };

/* Which server it is, and how it is reached: by socket_fd, which becomes the
 * client's once it begins to connect; else by uri, as nbd_connect_uri(3) has
 * it, with TLS and its certificates; else by export_name at socket_path.
 */
struct nbd_address {
    const char *role; /* begins messages: "QEMU", "source" */
    int socket_fd;    /* connected; or -1 */
    const char *uri;
    const char *socket_path, *export_name;

    /* A dirty bitmap of QEMU's, by its name, which has to be there; NULL: none
     * is wanted.  is_bitmap_all: nothing else is to be told of the export's
     * ranges, which may take the server long.
     */
    const char *bitmap;
    bool is_bitmap_all;

    struct nbd_watch watch; /* zeroes: nothing else is watched */

    /* How many bytes one request asks for: it ends at a multiple of this.  0:
     * as much as is fast.  A server that takes only less is asked for less.
     */
    uint64_t piece;

    /* One request is answered before the next is sent: for a server that may
     * stop otherwise.  Only who writes heeds it.
     */
    bool is_serial;
};

#endif
