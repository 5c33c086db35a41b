/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The disk that an imported stream lands on: that of a new image file. */

#ifndef QT_TARGET_IMAGE_H
#define QT_TARGET_IMAGE_H

#include "base/error.h"
#include "import/target.h"
#include "qemu/qemu.h"

#include <stdbool.h>

/* The strings are the caller's, and have to outlive the target. */
struct target_image_how {
    const char *path;
    const char *format;  /* as QEMU calls it */
    const char *options; /* as `qemu-img create -o' has them, or NULL; they
                            name no other file */
    bool may_replace;    /* a file that is there */
};

/* Looks whether there can be a file, and makes none yet.  target_create makes
 * the image, with QEMU, under a name that nobody looks for; target_finish
 * gives it its own.
 */
int target_image_open(const struct qemu *qemu,
                      const struct target_image_how *how,
                      struct target **target, struct error *err);

#endif
