/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads what only QEMU can: the compressed clusters of an arriving image. */

#ifndef QT_READBACK_H
#define QT_READBACK_H

#include "base/error.h"
#include "import/inbox.h"
#include "nbd/client.h"
#include "qemu/qemu.h"

#include <stdint.h>

struct readback;

/* Starts a qemu-nbd on a bridge that waits for what has not arrived.  inbox
 * must outlive it.
 */
int readback_open(const struct qemu *qemu, struct inbox *inbox,
                  uint64_t cluster_size, int cancel_fd,
                  struct readback **readback, struct error *err);

/* As in nbd-client.h, of whole clusters that are compressed (the last may end
 * with the disk), each one once.
 */
int readback_read(struct readback *readback, uint64_t disk_offset,
                  uint64_t length, nbd_client_take *take, void *opaque,
                  struct error *err);
int readback_finish(struct readback *readback, struct error *err);

/* NULL is fine. */
void readback_close(struct readback *readback);

#endif
