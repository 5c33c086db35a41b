/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What of a file has been written, as its file system has it on disk. */

#include "config.h"

#include "base/cleanup.h"
#include "export/fiemap.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>

enum { BATCH = 512 }; /* extents in one answer */

/* ENOTTY is a block device's, too; EACCES and EPERM come from who filters
 * system calls.
 */
static bool means_unknown(int errnum)
{
    return errnum == ENOTTY || errnum == EOPNOTSUPP || errnum == ENOSYS ||
           errnum == EINVAL || errnum == EACCES || errnum == EPERM;
}

/* Takes one answer; *file_offset is where the next question begins, and does
 * not move if there is none.
 */
static int add_answer(const struct fiemap *answer, uint64_t *file_offset,
                      struct ranges_batch *batch, struct error *err)
{
    uint64_t next = *file_offset;

    for (uint32_t i = 0; i < answer->fm_mapped_extents; i++) {
        const struct fiemap_extent *e = &answer->fm_extents[i];

        if (!(e->fe_flags & FIEMAP_EXTENT_UNWRITTEN) &&
            ranges_batch_add(batch, e->fe_logical, e->fe_length, err) == -1)
            return -1;
        if (e->fe_flags & FIEMAP_EXTENT_LAST)
            return 0;
        next = e->fe_logical + e->fe_length;
    }
    if (next > *file_offset)
        *file_offset = next;
    return 0;
}

int fiemap_find_written(int fd, struct ranges *written, bool *is_known,
                        struct error *err)
{
    struct ranges_batch CLEANUP(ranges_batch) batch = {0};
    struct fiemap *CLEANUP(free_ptr) answer =
        calloc(1, sizeof *answer + BATCH * sizeof answer->fm_extents[0]);
    uint64_t from = 0, next = 0;

    *is_known = false;
    if (answer == NULL)
        return error_set(err, errno, "no memory for a map of the file");
    do {
        from = next;
        *answer = (struct fiemap){
            .fm_start = from,
            .fm_length = FIEMAP_MAX_OFFSET - from,
            .fm_flags = FIEMAP_FLAG_SYNC,
            .fm_extent_count = BATCH,
        };
        if (ioctl(fd, FS_IOC_FIEMAP, answer) == -1) {
            if (from == 0 && means_unknown(errno))
                return 0;
            return error_set(err, errno,
                             "cannot map the file at file offset %" PRIu64,
                             from);
        }
        if (add_answer(answer, &next, &batch, err) == -1)
            return -1;
    } while (next != from);
    *is_known = true;
    return ranges_unite(written, &batch, err);
}
