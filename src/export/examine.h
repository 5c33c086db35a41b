/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Examines a whole qcow2 image: is it sound, and who can read it forwards? */

#ifndef QT_EXAMINE_H
#define QT_EXAMINE_H

#include "base/error.h"
#include "export/findings.h"
#include "qemu/qemu.h"

#include <stdbool.h>
#include <stdint.h>

/* Of the image that is open as fd, of file_length bytes.  QEMU opens no other
 * file for it.  must_be_ordered: that a reader which only goes forwards can
 * read it is a check, not only a reason for which readers take it.  Fails if
 * it is no qcow2 image, or one that names other files.
 */
int examine(const struct qemu *qemu, int fd, uint64_t file_length,
            bool must_be_ordered, struct findings *findings,
            struct error *err);

#endif
