/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Finds out what each byte of an arriving qcow2 stream is. */

#ifndef QT_MAPPER_H
#define QT_MAPPER_H

#include "base/error.h"
#include "import/gate.h"
#include "import/inbox.h"
#include "lists/extents.h"
#include "lists/filemap.h"
#include "qemu/qemu.h"

/* What QEMU says of parts of the disk. */
struct mapper_window {
    uint64_t mapped;     /* bytes of the disk: as large are these parts */
    struct filemap data; /* plain data, and where it is in the file */
    struct extents compressed; /* data that only QEMU can read: it is
                                * compressed, or has no offset in the file */
    struct extents zeroes;     /* marked as zeroes on purpose */
    struct extents holes;      /* never allocated */
};

/* Called in the mapper's thread with what a window says.  It may move lists
 * out of *window; what is left there is freed.  Windows come in any order, and
 * each part of the disk is in one of them.
 */
typedef int mapper_give_window(void *opaque, struct mapper_window *window,
                               struct error *err);

/* Called in the mapper's thread.  How many bytes of memory do lists take that
 * get shorter when data comes, or has been moved?  *needed_end: the file
 * offset behind the last data that is known.
 */
typedef uint64_t mapper_backlog(void *opaque, uint64_t *needed_end);

struct mapper;

/* Starts a thread that maps the whole disk while inbox fills.  All that the
 * arguments point to must outlive it.  wake_fd, an eventfd, is written to
 * when it has ended, well or not.
 */
int mapper_start(const struct qemu *qemu, struct inbox *inbox,
                 const struct gate_image *image, mapper_give_window *give,
                 mapper_backlog *backlog, void *opaque, int wake_fd,
                 struct mapper **mapper, struct error *err);

/* Returns -1 with its error if it has failed. */
int mapper_check(struct mapper *mapper, struct error *err);

/* Has it mapped the whole disk? */
bool mapper_is_done(struct mapper *mapper);

/* How often QEMU was run, and how many windows came of that.  Any thread
 * may ask.
 */
unsigned mapper_runs(const struct mapper *mapper);
unsigned mapper_windows(const struct mapper *mapper);

/* If it is still at work, its QEMU is killed.  NULL is fine. */
void mapper_free(struct mapper *mapper);

#endif
