/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qemu-io: writes to an image as a guest would, by commands. */

#ifndef QT_QEMU_IO_H
#define QT_QEMU_IO_H

#include "qemu/qemu.h"

enum { QEMU_IO_LINE = 96, QEMU_IO_COMPLAINT = 160 };

/* Asks qemu-io what it can do, if that is not known, and notes it in qemu. */
int qemu_io_probe(struct qemu *qemu, struct error *err);

/* Puts the next command into line, without a newline; false: no more. */
typedef bool qemu_io_next(void *opaque, char line[QEMU_IO_LINE]);

/* Runs commands on the qcow2 image behind the bridge, in order.  l2_slice as
 * for qemu_bridge_options.
 *
 * qemu-io goes on after a command that failed.  Most make it exit with 1 at
 * its end, which is an error here; its errnum is 0.  Not all do, so the caller
 * has to look at what became of the image.  The first line
 * that was printed besides prompts goes to complaint, cut to fit; if there
 * was none, that is empty.
 */
int qemu_io_run(const struct qemu *qemu, int bridge_fd, uint64_t l2_slice,
                qemu_io_next *next, void *opaque,
                char complaint[QEMU_IO_COMPLAINT], struct error *err);

#endif
