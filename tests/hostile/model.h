/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What has to become of an image, judged without QEMU. */

#ifndef QT_HOSTILE_MODEL_H
#define QT_HOSTILE_MODEL_H

#include "image.h"

enum verdict {
    UNSURE, /* too odd to say */
    SOUND,  /* no rule of `serve' is broken: it has to be taken */
    BROKEN, /* one is: it has to be refused */
};

extern const char *const verdict_names[];

/* *why is a literal, and says for BROKEN which rule.  An image that ends in
 * the middle of a sector is one thing if its length is told beforehand, and
 * another if not.
 */
enum verdict model_judge(const struct image *image, bool is_length_told,
                         const char **why);

#endif
