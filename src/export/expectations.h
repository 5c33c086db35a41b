/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Whether an image that was laid out is the one that the caller means. */

#ifndef QT_EXPECTATIONS_H
#define QT_EXPECTATIONS_H

#include "base/error.h"
#include "export/export.h"

/* Fails if the image has another id or length than the options say, or ends
 * before the piece that is wanted of it.
 */
int expectations_check(const struct export_options *options,
                       const struct export_disk *disk, struct error *err);

#endif
