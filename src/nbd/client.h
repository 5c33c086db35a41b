/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Reads from an NBD server, with several requests in flight (libnbd). */

#ifndef QT_NBD_CLIENT_H
#define QT_NBD_CLIENT_H

#include "base/error.h"
#include "lists/extents.h"
#include "nbd/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nbd_client;

/* Connects and negotiates.  A server that allows several connections gets
 * some, unless it was given by socket_fd.  Any wait, here and below, ends with
 * ECANCELED when cancel_fd (-1: none) becomes readable.
 */
int nbd_client_open(const struct nbd_address *address, int cancel_fd,
                    struct nbd_client **client, struct error *err);

/* NULL is fine. */
void nbd_client_free(struct nbd_client *client);

/* Bytes of the export. */
uint64_t nbd_client_size(const struct nbd_client *client);

/* Appends to data what does not read as zeroes, by what the server says of
 * base:allocation (block status, in the NBD protocol).  If it says nothing of
 * that, or that all is data, *is_known is false, and data is all of the
 * export.  Not for servers given by socket_fd.
 */
int nbd_client_status(struct nbd_client *client, struct extents *data,
                      bool *is_known, struct error *err);

/* Appends to dirty, which is empty, what the address' bitmap marks. */
int nbd_client_dirty(struct nbd_client *client, struct extents *dirty,
                     struct error *err);

/* Takes length bytes of the export, at disk_offset. */
typedef int nbd_client_deliver(void *opaque, const void *buf, size_t length,
                               uint64_t disk_offset, struct error *err);

/* Asks for [disk_offset, disk_offset + length), in pieces, as soon as there is
 * room for more requests.  Each goes to deliver when it has been answered and
 * all asked for before have gone there: now, or in a later call.
 */
int nbd_client_read(struct nbd_client *client, uint64_t disk_offset,
                    uint64_t length, nbd_client_deliver *deliver, void *opaque,
                    struct error *err);

/* Waits for all that has been asked for. */
int nbd_client_finish(struct nbd_client *client, struct error *err);

/* How many requests there were so far; and waits for the first count of all
 * there ever were.
 */
uint64_t nbd_client_count(const struct nbd_client *client);
int nbd_client_finish_first(struct nbd_client *client, uint64_t count,
                            struct error *err);

/* Was the last failure that the server, which goes on, could not read?  Then
 * *disk_offset is where that piece begins.
 */
bool nbd_client_is_refused(const struct nbd_client *client,
                           uint64_t *disk_offset);

/* The version of libnbd, as "1.14.2"; "" if it does not tell. */
enum { LIBNBD_VERSION_SPACE = 32 };
void nbd_client_version(char version[LIBNBD_VERSION_SPACE]);

#endif
