/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The source of an export, as QEMU reads it by itself. */

#ifndef QT_REFERENCE_H
#define QT_REFERENCE_H

#include "base/error.h"
#include "export/chain.h"
#include "export/source-address.h"
#include "qemu/qemu-img.h"

#include <stdbool.h>

struct reference {
    struct qemu_disk disk; /* what QEMU is told */
    char *options;         /* the text of it */
    int fd;                /* a raw disk, that QEMU inherits; -1: none */
    struct chain chain;    /* or an image: holds the fd that QEMU inherits */
};

/* Of a source that has a device and an image: has_map says that QEMU is to
 * read the image, which has the map of the disk; else it reads the device.
 * *reference is the caller's, whatever happens.
 */
int reference_open(const struct qemu *qemu, const struct export_source *source,
                   bool has_map, struct reference *reference,
                   struct error *err);

void reference_close(struct reference *reference);

#define cleanup_reference reference_close /* for CLEANUP(reference) */

#endif
