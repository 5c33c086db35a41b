/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The bytes of a stream that are kept, and how much room they take. */

#include "config.h"

#include "base/io.h"
#include "import/spool.h"

#include <errno.h>
#include <inttypes.h>

int spool_open(struct spool *s, const char *dir, uint64_t limit,
               struct error *err)
{
    *s = (struct spool){.limit = limit};
    if (store_new(dir, &s->store, err) == -1)
        return -1;
    s->limit = store_limit(s->store, limit);
    return 0;
}

void spool_close(struct spool *s)
{
    store_free(s->store);
    kept_clear(&s->kept);
    s->store = NULL;
}

/* Bytes that are kept now. */
static uint64_t bytes(const struct spool *s)
{
    return kept_bytes(&s->kept) + s->stuck;
}

/* Bytes that there would be with length more, at the most. */
static uint64_t bytes_with(const struct spool *s, uint64_t length)
{
    return bytes(s) + IO_ROUND_UP(length, KEPT_BLOCK);
}

bool spool_has_room(const struct spool *s, uint64_t length)
{
    return s->limit == 0 || bytes_with(s, length) <= s->limit;
}

uint64_t spool_room(const struct spool *s)
{
    if (s->limit == 0)
        return UINT64_MAX;
    return s->limit - io_min(s->limit, bytes(s));
}

int spool_note(struct spool *s, uint64_t file_offset, uint64_t length,
               struct error *err)
{
    if (!spool_has_room(s, length))
        return error_set(
            err, 0,
            "spool: %" PRIu64 " bytes needed at file offset %" PRIu64
            ", and the limit is %" PRIu64
            ": what came so far has its tables still to come, or is "
            "compressed",
            bytes_with(s, length), file_offset, s->limit);
    if (kept_add(&s->kept, file_offset, file_offset + length, err) == -1)
        return -1;
    s->peak = io_max(s->peak, bytes(s));
    return 0;
}

int spool_write(struct spool *s, const void *buf, size_t length,
                uint64_t file_offset, struct error *err)
{
    if (io_pwrite_full(store_fd(s->store), buf, length, file_offset) == 0)
        return 0;
    return error_set(err, errno, "spool: cannot write at file offset %" PRIu64,
                     file_offset);
}

int spool_explain_full(const struct spool *s, struct error *err)
{
    return store_explain_full(s->store, bytes(s), err);
}

int spool_read(const struct spool *s, void *buf, size_t length,
               uint64_t file_offset, struct error *err)
{
    ssize_t got = io_pread_full(store_fd(s->store), buf, length, file_offset);

    if (got == (ssize_t)length)
        return 0;
    return error_set(err, got == -1 ? errno : 0,
                     "spool: cannot read at file offset %" PRIu64,
                     file_offset);
}

void spool_give_back(struct spool *s, uint64_t file_offset, uint64_t length)
{
    uint64_t from, to, freed;

    freed =
        kept_remove(&s->kept, file_offset, file_offset + length, &from, &to);
    if (freed > 0 && !store_punch(s->store, from, to - from))
        s->stuck += freed;
}
