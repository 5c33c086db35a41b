/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Writes the disk of an image: a qemu-nbd of ours, and a writer to it. */

#ifndef QT_IMAGE_WRITER_H
#define QT_IMAGE_WRITER_H

#include "base/child.h"
#include "base/error.h"
#include "nbd/writer.h"
#include "qemu/qemu.h"

#include <stdbool.h>

/* Of an image of a format in the file that is open as fd.  is_serial: one
 * request after the other.  A failure is blamed on whose it is.  *qemu_nbd is
 * the caller's, whatever happens; NULL: it has not begun.  The writer has to
 * be finished or freed before it ends.
 */
int image_writer_open(const struct qemu *qemu, const char *format, int fd,
                      bool is_serial, struct child **qemu_nbd,
                      struct nbd_writer **writer, struct error *err);

#endif
