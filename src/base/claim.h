/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Makes sure that nobody else uses a destination, before it is written. */

#ifndef QT_CLAIM_H
#define QT_CLAIM_H

#include "base/error.h"

#include <stdbool.h>

/* What if somebody does? */
enum claim_policy {
    CLAIM_REFUSE,
    CLAIM_WARN,  /* as CLAIM_REFUSE, but about O_EXCL is only a warning */
    CLAIM_FORCE, /* nothing is looked at, and nothing held */
};

/* Refuses, unless it is to be forced, a file or block device
 *
 * - that a QEMU program has open for writing, or does not share with writers,
 *   as its locks say (raw_check_lock_bytes in QEMU's block/file-posix.c);
 * - that the kernel uses: see occupied.h;
 * - that is held with O_EXCL (open(2)), as a block device is by file systems
 *   of other mount namespaces, by mkfs and the like; if it is_ours.
 *
 * With is_ours, which means that fd was opened by us, it is held in the same
 * ways, so that QEMU and mount(8) refuse it, until fd and *held_fd are both
 * closed.  The caller closes *held_fd, if it is not -1, and may pass it to a
 * later call.  Where locks are not supported there are none.  name is for
 * messages.
 */
int claim_take(int fd, const char *name, bool is_ours,
               enum claim_policy policy, int *held_fd, struct error *err);

#endif
