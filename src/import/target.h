/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The disk that an imported stream lands on. */

#ifndef QT_TARGET_H
#define QT_TARGET_H

#include "base/claim.h"
#include "base/error.h"
#include "base/newfile.h"
#include "import/zeroing.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One thread at a time opens and closes it; what several may do meanwhile says
 * so.  All sizes and offsets are bytes of the disk.
 */
struct target {
    const char *path; /* the caller's */
    int fd;
    int direct_fd;          /* the same with O_DIRECT, or -1 */
    uint64_t block;         /* what O_DIRECT wants multiples of, in bytes */
    pthread_rwlock_t edges; /* see target_write */
    uint64_t size; /* UINT64_MAX: it does not exist yet, any will do */
    bool is_device, is_direct;
    bool is_created;          /* by us: reads as zeroes */
    bool is_growing;          /* it is there, but for target_create to fill */
    struct zeroing zeroing;   /* what the kernel can do with it */
    struct newfile made;      /* the same, removed on failure */
    enum claim_policy policy; /* CLAIM_FORCE before target_claim */
    int held_fd;              /* by target_claim; or -1 */
};

/* For target_close, before target_open. */
#define TARGET_NONE ((struct target){.fd = -1, .direct_fd = -1, .held_fd = -1})

/* Opens an existing file or block device, changing nothing.  What does not
 * exist is not created yet, but the directory must be there.
 */
int target_open(const char *path, bool is_direct, struct target *target,
                struct error *err);

/* Refuses a disk that somebody uses; see claim.h.  A file that does not exist
 * yet is going to be held, too.  A file that begins as an image does (see
 * foreign.h), and so is hardly the raw disk that is to be written, is refused
 * as well; CLAIM_WARN only warns, CLAIM_FORCE does not look.
 */
int target_claim(struct target *target, enum claim_policy policy,
                 struct error *err);

/* The file is there and empty: it is to be as good as one that is not there
 * yet, but is nobody's to remove.
 */
void target_let_grow(struct target *target);

/* Creates the file if there is none, for a disk of disk_size bytes; nothing
 * otherwise.
 */
int target_create(struct target *target, uint64_t disk_size,
                  struct error *err);

/* With O_DIRECT, whole blocks go past the page cache if buf lies in memory as
 * it will on the disk, modulo IO_ALIGN.  Edges go through the cache, and that
 * writes whole blocks: so nobody else writes meanwhile.  Several threads may
 * write at a time.
 */
int target_write(struct target *target, const void *buf, size_t length,
                 uint64_t disk_offset, struct error *err);

/* Makes a range read as zeroes, by the cheapest means there is (zeroing.h), or
 * by writing them.  One thread at a time, beside those that write elsewhere.
 * Who wants to stop in time asks for no more than TARGET_ZERO_PIECE at once.
 */
#define TARGET_ZERO_PIECE (UINT64_C(1) << 30)

int target_zero(struct target *target, uint64_t disk_offset, uint64_t length,
                struct error *err);

/* All is on stable storage when this returns 0, and the file is to stay. */
int target_finish(struct target *target, struct error *err);

/* Removes what a failure left.  After target_finish it removes nothing. */
void target_close(struct target *target);

#define cleanup_target target_close /* for CLEANUP(target) */

#endif
