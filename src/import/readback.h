/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Reads what only QEMU can: the compressed clusters of an arriving image. */

#ifndef QT_READBACK_H
#define QT_READBACK_H

#include "base/error.h"
#include "import/inbox.h"
#include "nbd/client.h"
#include "qemu/qemu.h"

#include <stdint.h>

struct readback;

/* Starts a qemu-nbd on a bridge that waits for what has not arrived, for an
 * image of clusters of cluster_size bytes.  inbox must outlive it.  wake_fd is
 * for inbox_show_waiting.  When cancel_fd becomes readable, what is under way
 * fails.
 */
int readback_open(const struct qemu *qemu, struct inbox *inbox,
                  uint64_t cluster_size, int wake_fd, int cancel_fd,
                  struct readback **readback, struct error *err);

/* Reads length bytes of the disk: whole clusters that are compressed (the last
 * may end with the disk), each one once.  It returns before all has been given
 * to take, as nbd_client_read does; readback_finish waits for that.  Errors
 * name the stream or the spool if they are to blame, else what qemu-nbd said.
 */
int readback_read(struct readback *readback, uint64_t disk_offset,
                  uint64_t length, nbd_client_deliver *deliver, void *opaque,
                  struct error *err);

/* Waits for all that was read.  Fails if two clusters share a byte, too. */
int readback_finish(struct readback *readback, struct error *err);

/* Ends its qemu-nbd.  NULL is fine. */
void readback_close(struct readback *readback);

#endif
