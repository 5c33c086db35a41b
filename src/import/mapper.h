/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds out what each byte of an arriving qcow2 stream is. */

#ifndef QT_MAPPER_H
#define QT_MAPPER_H

#include "base/error.h"
#include "lists/extents.h"
#include "lists/filemap.h"
#include "import/gate.h"
#include "import/inbox.h"
#include "qemu/qemu.h"

/* What QEMU says of a part of the disk, bytes [disk_offset, disk_end). */
struct mapper_window {
    uint64_t disk_offset, disk_end;
    struct filemap data;       /* plain data, and where it is in the file */
    struct extents compressed; /* data that only QEMU can read: compressed */
    struct extents zeroes;     /* marked as zeroes on purpose */
    struct extents holes;      /* never allocated */
};

/* Takes over what a window says; windows come in any order, each part of the
 * disk in one, and in the mapper's thread.
 */
typedef int mapper_take_window(void *opaque, struct mapper_window *window,
                               struct error *err);

/* How many bytes of memory do lists take that get shorter when data comes, or
 * has been moved?  Data goes on to *needed_end in the file.
 */
typedef uint64_t mapper_backlog(void *opaque, uint64_t *needed_end);

struct mapper;

/* Starts a thread that maps the whole disk while inbox fills.  All that the
 * arguments point to must outlive it.  wake_fd, an eventfd, is written to
 * when it has ended, well or not.
 */
int mapper_start(const struct qemu *qemu, struct inbox *inbox,
                 const struct gate_image *image, mapper_take_window *take,
                 mapper_backlog *backlog, void *opaque, int wake_fd,
                 struct mapper **mapper, struct error *err);

/* Returns -1 with its error if it has failed. */
int mapper_check(struct mapper *mapper, struct error *err);

/* Has it mapped the whole disk? */
bool mapper_is_done(struct mapper *mapper);

/* How often QEMU was run, for how many windows. */
unsigned mapper_runs(const struct mapper *mapper);
unsigned mapper_windows(const struct mapper *mapper);

/* If it is still at work, its QEMU is killed.  NULL is fine. */
void mapper_free(struct mapper *mapper);

#endif
