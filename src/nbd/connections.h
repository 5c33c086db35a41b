/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Connections to one export of an NBD server, and the wait for it (libnbd). */

#ifndef QT_NBD_CONNECTIONS_H
#define QT_NBD_CONNECTIONS_H

#include "base/error.h"
#include "nbd/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nbd_handle;

enum { NBD_CONNECTIONS = 4 };

/* For one thread at a time. */
struct nbd_connections {
    const char *role; /* begins messages */
    char server[48];  /* who it is, in them */
    bool is_ours;     /* the server is a qemu-nbd that we started */
    int cancel_fd;    /* readable: a wait ends with ECANCELED; -1: none */
    int wake_fd;      /* readable: a wait ends, and all is well; -1: none */
    struct nbd_watch watch;

    struct nbd_handle *list[NBD_CONNECTIONS];
    size_t count;
    size_t first_for_data; /* index into list */

    /* Of the export, in bytes.  Requests have to be multiples of block, and
     * are best multiples of preferred; a buffer goes up to most.
     */
    uint64_t size, block, preferred, most;

    /* Why a connection was lost, as far as it is known; or "". */
    char loss[160];
};

/* The largest block that a server may ask for (the NBD protocol, "Block size
 * constraints").
 */
#define NBD_LARGEST_BLOCK (UINT64_C(64) << 10)

/* Connects and negotiates.  All of c is zeroes, but cancel_fd and wake_fd.  A
 * server that allows several connections gets some, unless it was given by
 * socket_fd.  With is_structured the first one has structured replies and
 * block status.  socket_fd is closed even if this fails.
 */
int nbd_connections_open(struct nbd_connections *c,
                         const struct nbd_address *address, bool is_structured,
                         struct error *err);

/* Has a Unix socket take a whole request at once, if it may.  TCP does what is
 * best by itself.
 */
void nbd_connections_widen(struct nbd_connections *c);

void nbd_connections_close(struct nbd_connections *c);

/* Waits until a socket is ready for what libnbd wants, and lets it do that; or
 * timeout_ms (-1 for none).  A connection that was lost wants nothing: what
 * that means is up to those whose request it had.
 */
int nbd_connections_wait(struct nbd_connections *c, int timeout_ms,
                         struct error *err);

/* Can nothing be asked of that connection any more? */
bool nbd_connections_is_lost(struct nbd_handle *connection);

/* To be called when a command has been sent: libnbd then takes it, and says
 * in this thread alone if that was when the connection was lost.  Keeps why.
 */
void nbd_connections_sent(struct nbd_connections *c,
                          struct nbd_handle *connection);

/* What libnbd says of its last failure in this thread. */
const char *nbd_cause(void);

/* Why that connection was lost; NULL: it was not.  What was in flight on it
 * has failed with ENOTCONN, and what could not be sent for libnbd's state.
 * That is not why.
 */
const char *nbd_connections_loss(const struct nbd_connections *c,
                                 struct nbd_handle *nbd);

/* Why a command to nbd failed: the above, or else what libnbd said last. */
const char *nbd_connections_cause(const struct nbd_connections *c,
                                  struct nbd_handle *nbd);

#endif
