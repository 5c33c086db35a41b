/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qcow-stream-tool read_headers: what of an image's disk is data, as JSON. */

#ifndef QT_HEADERS_H
#define QT_HEADERS_H

#include "base/error.h"
#include "qemu/qemu.h"

struct headers_options {
    struct qemu qemu;
    const char *image; /* a qcow2 file or device; others may hold it */
};

/* Prints what clusterjson.h describes on standard output, without a newline,
 * in memory that has a bound however large the disk is.  If it fails, a part
 * may have been printed.
 */
int headers(const struct headers_options *options, struct error *err);

#endif
