/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Where an imported stream is to go. */

#ifndef QT_DESTINATION_H
#define QT_DESTINATION_H

#include "base/claim.h"
#include "base/error.h"
#include "import/target.h"
#include "qemu/qemu.h"

#include <stdbool.h>

/* The strings are the caller's. */
struct destination {
    const char *path; /* of a file or device; or NULL */
    const char *uri;  /* of an NBD export, as nbd_connect_uri(3) has it */

    /* NULL: the raw disk.  Else a new image, as QEMU calls it, at path, with
     * options as in target-image.h.
     */
    const char *image_format, *image_options;

    bool is_stdout;   /* path is: if it is empty, it grows */
    bool is_direct;   /* path, past the page cache */
    bool keeps_space; /* zeroes are to take the space that they took */
    enum claim_policy claim;
};

/* The caller's name for it; NULL: there is none. */
const char *destination_name(const struct destination *destination);

/* Opens it, changing nothing, and claims it.  qemu has to outlive it. */
int destination_open(const struct destination *destination,
                     const struct qemu *qemu, struct target **target,
                     struct error *err);

#endif
