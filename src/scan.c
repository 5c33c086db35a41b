/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds by reading what is zero on a disk, and what differs between two. */

#include "config.h"

#include "cleanup.h"
#include "io.h"
#include "scan.h"
#include "signals.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SCAN_PIECE (2 * IO_PIECE) /* as large as the largest granule */

struct scan {
    struct source *source, *base; /* base: NULL if it is for zeroes only */
    uint64_t granule;
    struct progress *progress;
    struct extents *data, *zeroes;
    char *buf, *base_buf;
};

static char *new_buf(struct error *err)
{
    char *buf = io_alloc_aligned(SCAN_PIECE + 2 * IO_ALIGN);

    if (buf == NULL)
        error_set(err, errno, "no memory to look at the disk");
    return buf;
}

/* Sorts the length bytes at disk_offset, of which buf (and base_buf) holds
 * the contents.
 */
static int sort_piece(struct scan *s, const char *buf, const char *base_buf,
                      uint64_t disk_offset, uint64_t length, struct error *err)
{
    while (length > 0) {
        uint64_t n = io_min(length, s->granule - disk_offset % s->granule);
        struct extents *to = s->data;

        if (s->base != NULL && memcmp(buf, base_buf, n) == 0)
            to = NULL;
        else if (io_is_zero(buf, n))
            to = s->zeroes;
        if (to != NULL && extents_append(to, disk_offset, n, err) == -1)
            return -1;
        buf += n;
        if (base_buf != NULL)
            base_buf += n;
        disk_offset += n;
        length -= n;
    }
    return 0;
}

static int scan_range(struct scan *s, uint64_t from, uint64_t to,
                      struct error *err)
{
    for (uint64_t at = from; at < to;) {
        /* Aligned pieces: for O_DIRECT, and no granule is cut in two. */
        uint64_t skip = at % IO_ALIGN;
        uint64_t end = io_min(to, IO_ROUND_DOWN(at + SCAN_PIECE, s->granule));
        uint64_t length = IO_ROUND_UP(end - at + skip, IO_ALIGN);
        const char *base_buf = NULL;

        if (signals_caught() != 0)
            return error_set(err, EINTR, "%s", s->source->who);
        if (source_read(s->source, s->buf, at - skip, length, err) == -1)
            return -1;
        if (s->base != NULL) {
            if (source_read(s->base, s->base_buf, at - skip, length, err) ==
                -1)
                return -1;
            base_buf = s->base_buf + skip;
        }
        if (sort_piece(s, s->buf + skip, base_buf, at, end - at, err) == -1)
            return -1;
        at = end;
        progress_set(s->progress, at);
    }
    return 0;
}

static int scan_all(struct scan *s, const struct extents *where,
                    struct error *err)
{
    for (size_t i = 0; i < where->count; i++)
        if (scan_range(s, where->list[i].disk_offset,
                       extent_end(&where->list[i]), err) == -1)
            return -1;
    return 0;
}

int scan_data(struct source *source, const struct extents *where,
              uint64_t granule, struct progress *progress,
              struct extents *data, struct error *err)
{
    char *CLEANUP(free_ptr) buf = new_buf(err);
    struct scan s = {
        .source = source,
        .granule = granule,
        .progress = progress,
        .data = data,
        .buf = buf,
    };

    return buf == NULL ? -1 : scan_all(&s, where, err);
}

int scan_differences(struct source *source, struct source *base,
                     const struct extents *where, uint64_t granule,
                     struct progress *progress, struct extents *data,
                     struct extents *zeroes, struct error *err)
{
    char *CLEANUP(free_ptr) buf = new_buf(err);
    char *CLEANUP(free_ptr) base_buf = buf == NULL ? NULL : new_buf(err);
    struct scan s = {
        .source = source,
        .base = base,
        .granule = granule,
        .progress = progress,
        .data = data,
        .zeroes = zeroes,
        .buf = buf,
        .base_buf = base_buf,
    };

    return base_buf == NULL ? -1 : scan_all(&s, where, err);
}
