/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The disk that an imported stream lands on. */

#ifndef QT_TARGET_H
#define QT_TARGET_H

#include "base/claim.h"
#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target;

/* What each kind of target does.  Only the functions below call it.  Offsets
 * and lengths are bytes of the disk, and lie on it.
 */
struct target_ops {
    /* As target_claim and target_create.  NULL: there is nothing to do. */
    int (*claim)(struct target *t, enum claim_policy policy,
                 struct error *err);
    int (*create)(struct target *t, uint64_t disk_size, struct error *err);

    /* As target_lend.  NULL: it lends none. */
    int (*lend)(struct target *t, uint64_t disk_offset, uint64_t length,
                char **buf, struct error *err);

    /* Several threads call these at a time, but for ranges that no other call
     * has.  When they return, the buffer is the caller's again, but what was
     * in it may still be on its way: an error is that of this call or of an
     * earlier one.
     */
    int (*write)(struct target *t, const void *buf, size_t length,
                 uint64_t disk_offset, struct error *err);
    int (*zero)(struct target *t, uint64_t disk_offset, uint64_t length,
                struct error *err);

    /* As target_cancel.  NULL: what is under way ends by itself. */
    void (*cancel)(struct target *t);

    /* As target_finish.  Nobody writes any more. */
    int (*finish)(struct target *t, struct error *err);

    /* Ends what is on its way, removes what a failure left, and frees it. */
    void (*close)(struct target *t);
};

/* One thread at a time opens, creates, finishes and closes it. */
struct target {
    const struct target_ops *ops;
    int fd;        /* of a raw file or device; -1: it is not one, or not yet */
    uint64_t size; /* UINT64_MAX: it does not exist yet, any will do */

    /* What is best written at once: at multiples of it on the disk.  It is
     * IO_PIECE at most, and a multiple of IO_ALIGN unless target_lend has
     * buffers.  Not known before target_create.
     */
    uint64_t piece;
    bool is_created;        /* by us: reads as zeroes */
    const char *made_path;  /* removed on failure; NULL: nothing is */
    atomic_bool is_written; /* target.c's; or zeroed: a byte of it, or not */
};

/* Refuses a disk that somebody else uses, if it can be known.  CLAIM_WARN only
 * warns of some of that, CLAIM_FORCE does not look.
 */
int target_claim(struct target *target, enum claim_policy policy,
                 struct error *err);

/* Creates the disk, of disk_size bytes, if there is none yet. */
int target_create(struct target *target, uint64_t disk_size,
                  struct error *err);

/* A buffer for what one thread is going to write to a range: without another
 * copy, where the target would have to make one.  *buf is NULL if there is
 * none.  It is the target's again when something has been written from where
 * it begins; until then it is the same again.
 */
int target_lend(struct target *target, uint64_t disk_offset, uint64_t length,
                char **buf, struct error *err);

/* Several threads may write at a time, each its own range.  For O_DIRECT buf
 * should lie in memory as it will on the disk, modulo IO_ALIGN.  The bytes may
 * not be there before target_finish has returned; nor may its error have been
 * told.
 */
int target_write(struct target *target, const void *buf, size_t length,
                 uint64_t disk_offset, struct error *err);

/* Makes a range read as zeroes, by the cheapest means there is, or by writing
 * them.  One thread at a time, beside those that write elsewhere.  Who wants
 * to stop in time asks for no more than TARGET_ZERO_PIECE at once.
 */
#define TARGET_ZERO_PIECE (UINT64_C(1) << 30)

int target_zero(struct target *target, uint64_t disk_offset, uint64_t length,
                struct error *err);

/* Whoever writes, or is going to, fails at once: nobody waits for a server any
 * more.  NULL is fine.  From any thread.
 */
void target_cancel(struct target *target);

/* Was something there that is no longer what it was?  Nobody may be writing
 * any more.
 */
bool target_is_spoilt(const struct target *target);

/* All is on stable storage when this returns 0, and what was created is to
 * stay.
 */
int target_finish(struct target *target, struct error *err);

/* Removes what a failure left.  After target_finish it removes nothing.  NULL
 * is fine.
 */
void target_close(struct target *target);

#endif
