/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What an image has behind the end of the disk that it lands on. */

#include "config.h"

#include "base/io.h"
#include "import/overhang.h"

#include <inttypes.h>

static int refuse_overhang(const struct target *t, uint64_t disk_offset,
                           struct error *err)
{
    return error_set(err, 0,
                     "destination: too small: it has %" PRIu64
                     " bytes, and there is data at disk offset %" PRIu64,
                     t->size, disk_offset);
}

int overhang_write(struct target *t, const char *buf, uint64_t length,
                   uint64_t disk_offset, struct error *err)
{
    uint64_t fits = 0;

    if (disk_offset < t->size)
        fits = io_min(length, t->size - disk_offset);
    if (fits < length && !io_is_zero(buf + fits, length - fits))
        return refuse_overhang(t, disk_offset + fits, err);
    if (fits == 0)
        return 0;
    return target_write(t, buf, fits, disk_offset, err);
}

int overhang_check(struct inbox *inbox, const struct target *t,
                   const struct filemap_entry *e, struct error *err)
{
    char buf[4096]; /* less than a cluster has to be read */
    uint64_t end = e->disk_offset + e->length;
    uint64_t at = io_max(e->disk_offset, t->size);

    while (at < end) {
        size_t n = io_min(end - at, sizeof buf);

        if (inbox_read(inbox, buf, n, e->file_offset + at - e->disk_offset,
                       err) == -1)
            return -1;
        if (!io_is_zero(buf, n))
            return refuse_overhang(t, at, err);
        at += n;
    }
    return 0;
}
