/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The disk that an imported stream lands on: an export of an NBD server. */

#ifndef QT_TARGET_NBD_H
#define QT_TARGET_NBD_H

#include "base/error.h"
#include "import/target.h"

#include <stdbool.h>

/* Connects to the server, and refuses an export that is read-only.  One that
 * cannot be flushed is taken, with a warning.  keeps_space: zeroes are to take
 * the space that they took.
 */
int target_nbd_open(const char *uri, bool keeps_space, struct target **target,
                    struct error *err);

#endif
