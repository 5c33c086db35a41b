/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qemu-io: writes to an image as a guest would, by commands. */

#ifndef QT_QEMU_IO_H
#define QT_QEMU_IO_H

#include "qemu.h"

enum { QEMU_IO_LINE = 96, QEMU_IO_SAID = 160 };

/* Puts the next command into line, without a newline; false: no more. */
typedef bool qemu_io_next(void *opaque, char line[QEMU_IO_LINE]);

/* Runs commands on the qcow2 image behind bridge_fd, in order.  Zeroes that
 * QEMU writes to the bridge come as WRITE_ZEROES, clusters that it frees as
 * TRIM.
 *
 * qemu-io goes on after a command that failed and exits with 0: success
 * here only means that it ran.  The first thing it printed besides prompts,
 * most likely a complaint, is in said, else that is empty; the caller has to
 * look at what became of the image.
 */
int qemu_io_run(const struct qemu *qemu, int bridge_fd, qemu_io_next *next,
                void *opaque, char said[QEMU_IO_SAID], struct error *err);

#endif
