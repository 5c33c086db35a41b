/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Is what a file holds already the beginning of an image? */

#ifndef QT_BEGINNING_H
#define QT_BEGINNING_H

#include "base/error.h"
#include "export/skeleton.h"
#include "nbd/store.h"

#include <stdint.h>

/* Compares every byte of metadata before file_end with what fd has there, and
 * fails where they first differ.  The data is not looked at: to know it would
 * take the reading of all that comes before.  name is for messages.
 */
int beginning_check(const struct skeleton *skeleton, const struct store *store,
                    uint64_t file_end, int fd, const char *name,
                    struct error *err);

#endif
