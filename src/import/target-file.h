/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The disk that an imported stream lands on: a raw file or block device. */

#ifndef QT_TARGET_FILE_H
#define QT_TARGET_FILE_H

#include "base/error.h"
#include "base/newfile.h"
#include "import/target.h"
#include "import/zeroing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* For target-file.c and its tests. */
struct target_file {
    struct target target; /* first */
    const char *path;     /* the caller's */
    int direct_fd;        /* the same with O_DIRECT, or -1 */
    uint64_t block;       /* what O_DIRECT wants multiples of, in bytes */

    /* With O_DIRECT, whole blocks go past the page cache.  Edges go through
     * it, and that writes whole blocks: so nobody else writes meanwhile.
     */
    pthread_rwlock_t edges;

    bool is_device, is_direct;
    atomic_bool is_cancelled; /* no more is to be zeroed */
    bool is_growing;          /* it is there, but for create to fill */
    struct zeroing zeroing;   /* what the kernel can do with it */
    struct newfile made;      /* the same, removed on failure */
    enum claim_policy policy; /* CLAIM_FORCE before claim */
    int held_fd;              /* by claim; or -1 */
};

struct target_file_how {
    bool is_direct;   /* past the page cache, where that can be */
    bool keeps_space; /* what is zeroed takes the space that it took */

    /* A file that is there and empty is to be as good as one that is not there
     * yet, but is nobody's to remove.
     */
    bool may_grow;
};

/* Opens an existing file or block device, changing nothing.  What does not
 * exist is not created yet, but the directory must be there.  path has to
 * outlive the target.
 *
 * target_claim is as claim.h says; a file that does not exist yet is going to
 * be held, too.  A file that begins as an image does (see foreign.h), and so
 * is hardly the raw disk that is to be written, is refused as well.
 */
int target_file_open(const char *path, const struct target_file_how *how,
                     struct target **target, struct error *err);

#endif
