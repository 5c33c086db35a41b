/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Finds by reading what is zero on a disk, and what differs between two. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/signals.h"
#include "export/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SCAN_PIECE (2 * IO_PIECE) /* as large as the largest granule */
#define BUF_LENGTH (2 * SCAN_PIECE + 2 * IO_ALIGN)

enum { MOST_PIECES = 64 };

/* Several are asked for before the first is looked at: over NBD they come
 * faster that way.
 */
struct piece {
    uint64_t disk_offset, length;
    size_t place; /* in the buffers */
};

struct scan {
    struct source *source, *base; /* base: NULL if it is for zeroes only */
    uint64_t granule;
    struct progress *progress;
    struct extents *data, *zeroes;
    char *buf, *base_buf; /* of BUF_LENGTH bytes */
    size_t used;
    struct piece pieces[MOST_PIECES];
    size_t n_pieces;
};

static char *new_buf(struct error *err)
{
    char *buf = io_alloc_aligned(BUF_LENGTH);

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

/* Sorts all that was asked for, and forgets it. */
static int sort_batch(struct scan *s, struct error *err)
{
    if (source_wait(s->source, err) == -1 ||
        (s->base != NULL && source_wait(s->base, err) == -1))
        return -1;
    for (size_t i = 0; i < s->n_pieces; i++) {
        const struct piece *p = &s->pieces[i];

        if (sort_piece(s, s->buf + p->place,
                       s->base == NULL ? NULL : s->base_buf + p->place,
                       p->disk_offset, p->length, err) == -1)
            return -1;
        progress_set(s->progress, p->disk_offset + p->length);
    }
    s->n_pieces = s->used = 0;
    return 0;
}

/* Asks for a piece, from both disks. */
static int ask_for_piece(struct scan *s, uint64_t disk_offset, uint64_t length,
                         struct error *err)
{
    uint64_t skip = disk_offset % IO_ALIGN;
    uint64_t aligned = IO_ROUND_UP(length + skip, IO_ALIGN);

    if ((s->n_pieces == MOST_PIECES || s->used + aligned > BUF_LENGTH) &&
        sort_batch(s, err) == -1)
        return -1;
    if (source_read(s->source, s->buf + s->used, disk_offset - skip, aligned,
                    err) == -1 ||
        (s->base != NULL &&
         source_read(s->base, s->base_buf + s->used, disk_offset - skip,
                     aligned, err) == -1))
        return -1;
    s->pieces[s->n_pieces++] =
        (struct piece){disk_offset, length, s->used + skip};
    s->used += aligned;
    return 0;
}

static int scan_all(struct scan *s, const struct extents *where,
                    struct error *err)
{
    for (size_t i = 0; i < where->count; i++) {
        uint64_t to = extent_end(&where->list[i]), end;

        for (uint64_t at = where->list[i].disk_offset; at < to; at = end) {
            /* No granule is cut in two. */
            end = io_min(to, IO_ROUND_DOWN(at + SCAN_PIECE, s->granule));
            if (signals_caught() != 0)
                return error_set(err, EINTR, "%s", s->source->role);
            if (ask_for_piece(s, at, end - at, err) == -1)
                return -1;
        }
    }
    return sort_batch(s, err);
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

int scan_uncertain(struct source *source, const struct extents *where,
                   const struct extents *uncertain, uint64_t granule,
                   struct progress *progress, struct extents *data,
                   struct error *err)
{
    uint64_t limit = source->disk_size;
    struct extents CLEANUP(extents) look = {0}, CLEANUP(extents) found = {0};
    struct extents CLEANUP(extents) certain = {0};

    if (extents_combine(where, EXTENTS_BOTH, uncertain, limit, &look, err) ==
            -1 ||
        extents_combine(where, EXTENTS_WITHOUT, uncertain, limit, &certain,
                        err) == -1)
        return -1;
    if (look.count > 0 &&
        scan_data(source, &look, granule, progress, &found, err) == -1)
        return -1;
    return extents_combine(&certain, EXTENTS_EITHER, &found, limit, data, err);
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
