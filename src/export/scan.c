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

enum { MOST_PIECES = 64 };

struct piece {
    uint64_t disk_offset, length;
    size_t place; /* in the buffers */
};

/* What is asked for together.  There are two of them: while one is looked at
 * the other is being read.
 */
struct batch {
    char *buf, *base_buf;
    size_t used;
    struct piece pieces[MOST_PIECES];
    size_t n_pieces;
    uint64_t count, base_count; /* as source_count had them then */
};

struct scan {
    struct source *source, *base; /* base: NULL if it is for zeroes only */
    uint64_t granule;
    struct progress *progress;
    struct extents *data, *zeroes;
    size_t length; /* of each of the buffers */
    struct batch batches[2];
    size_t filling; /* which of them: the other was asked for before it */
};

static void cleanup_scan(struct scan *s)
{
    for (size_t i = 0; i < 2; i++) {
        free(s->batches[i].buf);
        free(s->batches[i].base_buf);
    }
}

static int make_buffers(struct scan *s, struct error *err)
{
    uint64_t ahead = io_max(SCAN_PIECE, s->source->ahead);

    if (s->base != NULL)
        ahead = io_max(ahead, s->base->ahead);
    s->length = ahead + 2 * IO_ALIGN;
    for (size_t i = 0; i < 2; i++) {
        struct batch *b = &s->batches[i];

        b->buf = io_alloc_aligned(s->length);
        if (s->base != NULL)
            b->base_buf = io_alloc_aligned(s->length);
        if (b->buf == NULL || (s->base != NULL && b->base_buf == NULL))
            return error_set(err, errno, "no memory to look at the disk");
    }
    return 0;
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

/* Sorts all of a batch, and forgets it. */
static int sort_batch(struct scan *s, struct batch *b, struct error *err)
{
    if (b->n_pieces == 0)
        return 0;
    if (source_wait_first(s->source, b->count, err) == -1 ||
        (s->base != NULL &&
         source_wait_first(s->base, b->base_count, err) == -1))
        return -1;
    for (size_t i = 0; i < b->n_pieces; i++) {
        const struct piece *p = &b->pieces[i];

        if (sort_piece(s, b->buf + p->place,
                       s->base == NULL ? NULL : b->base_buf + p->place,
                       p->disk_offset, p->length, err) == -1)
            return -1;
        progress_set(s->progress, p->disk_offset + p->length);
    }
    b->n_pieces = b->used = 0;
    return 0;
}

/* The batch is full: sorts the other, which is the next to be filled. */
static int turn(struct scan *s, struct error *err)
{
    struct batch *full = &s->batches[s->filling];

    full->count = source_count(s->source);
    full->base_count = s->base == NULL ? 0 : source_count(s->base);
    s->filling = 1 - s->filling;
    return sort_batch(s, &s->batches[s->filling], err);
}

/* Asks for a piece, from both disks. */
static int ask_for_piece(struct scan *s, uint64_t disk_offset, uint64_t length,
                         struct error *err)
{
    uint64_t skip = disk_offset % IO_ALIGN;
    uint64_t aligned = IO_ROUND_UP(length + skip, IO_ALIGN);
    struct batch *b = &s->batches[s->filling];

    if (b->n_pieces == MOST_PIECES || b->used + aligned > s->length) {
        if (turn(s, err) == -1)
            return -1;
        b = &s->batches[s->filling];
    }
    if (source_read(s->source, b->buf + b->used, disk_offset - skip, aligned,
                    err) == -1 ||
        (s->base != NULL &&
         source_read(s->base, b->base_buf + b->used, disk_offset - skip,
                     aligned, err) == -1))
        return -1;
    b->pieces[b->n_pieces++] =
        (struct piece){disk_offset, length, b->used + skip};
    b->used += aligned;
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
    if (turn(s, err) == -1) /* the one that was asked for before */
        return -1;
    return turn(s, err); /* and the one that was filled last */
}

/* The buffers may go only when nobody reads into them any more. */
static int scan_and_wait(struct scan *s, const struct extents *where,
                         struct error *err)
{
    if (make_buffers(s, err) == -1)
        return -1;
    if (scan_all(s, where, err) == 0)
        return 0;
    source_abandon(s->source);
    if (s->base != NULL)
        source_abandon(s->base);
    return -1;
}

int scan_data(struct source *source, const struct extents *where,
              uint64_t granule, struct progress *progress,
              struct extents *data, struct error *err)
{
    struct scan CLEANUP(scan) s = {
        .source = source,
        .granule = granule,
        .progress = progress,
        .data = data,
    };

    return scan_and_wait(&s, where, err);
}

int scan_uncertain(struct source *source, const struct extents *where,
                   const struct extents *uncertain, uint64_t granule,
                   struct progress *progress, struct extents *data,
                   struct error *err)
{
    uint64_t limit = source->disk_size;
    struct extents CLEANUP(extents) look = {0};
    struct extents CLEANUP(extents) found = {0};
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
    struct scan CLEANUP(scan) s = {
        .source = source,
        .base = base,
        .granule = granule,
        .progress = progress,
        .data = data,
        .zeroes = zeroes,
    };

    return scan_and_wait(&s, where, err);
}
