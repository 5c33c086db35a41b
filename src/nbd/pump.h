/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Has many requests to an NBD server in flight, beside who makes them. */

#ifndef QT_NBD_PUMP_H
#define QT_NBD_PUMP_H

#include "base/error.h"
#include "nbd/connections.h"
#include "nbd/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nbd_pump;

/* Starts the thread, which has the connections from now on; they are open, and
 * outlive the pump.
 */
int nbd_pump_start(struct nbd_connections *connections,
                   const struct nbd_request_how *how, struct nbd_pump **pump,
                   struct error *err);

/* For any thread.  Disk offsets and lengths are in bytes, and multiples of the
 * server's block size; of NBD_READ and NBD_WRITE no longer than a piece.
 * Requests that overlap must not be in flight together.  Once a request has
 * failed all calls fail, with its error.
 */

/* Has a request sent; it is answered later.  What is to be written is copied
 * out of data.  Waits while too many are in flight: they take some 16 MiB.
 */
int nbd_pump_add(struct nbd_pump *pump, enum nbd_request_kind kind,
                 uint64_t disk_offset, uint64_t length, const void *data,
                 struct error *err);

/* Lends a buffer of a piece to one thread, and takes it back by having length
 * bytes of it written.  Until then it is the same again.  nbd_pump_lend waits
 * while too many requests are in flight; it returns NULL if it has failed.
 */
char *nbd_pump_lend(struct nbd_pump *pump, struct error *err);
bool nbd_pump_has_lent(struct nbd_pump *pump, const void *buf);
int nbd_pump_add_lent(struct nbd_pump *pump, uint64_t disk_offset,
                      uint64_t length, struct error *err);

/* Has one done, and waits for that.  buf is what it reads into, or writes; or
 * for a uint64_t, the bytes that it counts.
 */
int nbd_pump_do(struct nbd_pump *pump, enum nbd_request_kind kind,
                uint64_t disk_offset, uint64_t length, void *buf,
                struct error *err);

/* Does the server zero fast, as far as it has been asked for that? */
bool nbd_pump_is_fast(struct nbd_pump *pump);

/* Waits until all have been answered. */
int nbd_pump_drain(struct nbd_pump *pump, struct error *err);

/* Whoever waits, or is going to, fails.  Nothing more is sent. */
void nbd_pump_cancel(struct nbd_pump *pump);

/* Ends the thread, whatever is in flight, and frees the pump.  Nobody uses it
 * any more.  NULL is fine.
 */
void nbd_pump_stop(struct nbd_pump *pump);

#endif
