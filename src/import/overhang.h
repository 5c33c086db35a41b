/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What an image has behind the end of the disk that it lands on. */

#ifndef QT_OVERHANG_H
#define QT_OVERHANG_H

#include "base/error.h"
#include "import/inbox.h"
#include "import/target.h"
#include "lists/filemap.h"

#include <stdint.h>

/* Writes what fits onto the target, and expects zeroes of the rest. */
int overhang_write(struct target *target, const char *buf, uint64_t length,
                   uint64_t disk_offset, struct error *err);

/* Looks at that part of entry which lies behind the end of the target, and has
 * arrived in the inbox: it has to be zeroes.
 */
int overhang_check(struct inbox *inbox, const struct target *target,
                   const struct filemap_entry *entry, struct error *err);

#endif
