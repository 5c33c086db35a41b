/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* How much of a file is kept, to the block. */

#include "config.h"

#include "base/io.h"
#include "import/kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_BLOCKS = 8192, /* blocks that are allocated at once: 32 MiB */
    BLOCK_SECTORS = KEPT_BLOCK / IO_SECTOR
};

/* Of each block, a bit for each sector. */
struct kept_chunk {
    unsigned used; /* blocks that are not 0 */
    unsigned char blocks[CHUNK_BLOCKS];
};

static const char what[] = "parts of what is spooled";

VECTOR_FUNCTIONS(kept_chunks, struct kept_chunk *, what);

/* The chunk that a block is in; NULL: no memory, and err says so. */
static struct kept_chunk *make_chunk(struct kept *k, uint64_t block,
                                     struct error *err)
{
    struct kept_chunks *chunks = &k->chunks;
    uint64_t number = block / CHUNK_BLOCKS;

    if (kept_chunks_reserve(chunks, number + 1, err) == -1)
        return NULL;
    while (chunks->count <= number)
        chunks->list[chunks->count++] = NULL;
    if (chunks->list[number] == NULL)
        chunks->list[number] = calloc(1, sizeof *chunks->list[number]);
    if (chunks->list[number] == NULL)
        error_set(err, errno, "no memory for %s", what);
    return chunks->list[number];
}

/* The bits of the sectors [from, to) that lie in a block. */
static unsigned char bits_of(uint64_t block, uint64_t from, uint64_t to)
{
    uint64_t start = block * BLOCK_SECTORS;
    unsigned low = io_max(from, start) - start;
    unsigned high = io_min(to, start + BLOCK_SECTORS) - start;

    return ((1U << high) - 1) & ~((1U << low) - 1);
}

int kept_add(struct kept *k, uint64_t from, uint64_t to, struct error *err)
{
    uint64_t first = from / IO_SECTOR;
    uint64_t end = IO_ROUND_UP(to, IO_SECTOR) / IO_SECTOR;

    if (from >= to)
        return 0;
    for (uint64_t block = first / BLOCK_SECTORS; block * BLOCK_SECTORS < end;
         block++) {
        struct kept_chunk *chunk = make_chunk(k, block, err);
        unsigned char *bits;

        if (chunk == NULL)
            return -1;
        bits = &chunk->blocks[block % CHUNK_BLOCKS];
        if (*bits == 0) {
            chunk->used++;
            k->blocks++;
        }
        *bits |= bits_of(block, first, end);
    }
    return 0;
}

/* Takes sectors away from a block.  Is it empty?  Blocks that nobody keeps
 * are.
 */
static bool remove_from(struct kept *k, uint64_t block, uint64_t first,
                        uint64_t end)
{
    uint64_t number = block / CHUNK_BLOCKS;
    struct kept_chunk *chunk =
        number < k->chunks.count ? k->chunks.list[number] : NULL;
    unsigned char *bits;

    if (chunk == NULL)
        return true;
    bits = &chunk->blocks[block % CHUNK_BLOCKS];
    if (*bits == 0)
        return true;
    *bits &= ~bits_of(block, first, end);
    if (*bits != 0)
        return false;
    k->blocks--;
    if (--chunk->used == 0) {
        free(chunk);
        k->chunks.list[number] = NULL;
    }
    return true;
}

uint64_t kept_remove(struct kept *k, uint64_t from, uint64_t to,
                     uint64_t *empty_from, uint64_t *empty_to)
{
    uint64_t first = IO_ROUND_UP(from, IO_SECTOR) / IO_SECTOR;
    uint64_t end = to / IO_SECTOR, before = k->blocks;
    uint64_t block = first / BLOCK_SECTORS;

    *empty_from = *empty_to = 0;
    if (first >= end)
        return 0;
    /* All but the first and the last are empty then. */
    for (; block * BLOCK_SECTORS < end; block++) {
        if (!remove_from(k, block, first, end))
            continue;
        if (*empty_to == 0)
            *empty_from = block * KEPT_BLOCK;
        *empty_to = (block + 1) * KEPT_BLOCK;
    }
    return (before - k->blocks) * KEPT_BLOCK;
}

uint64_t kept_bytes(const struct kept *k)
{
    return k->blocks * KEPT_BLOCK;
}

void kept_clear(struct kept *k)
{
    for (size_t i = 0; i < k->chunks.count; i++)
        free(k->chunks.list[i]);
    kept_chunks_free(&k->chunks);
    *k = (struct kept){0};
}
