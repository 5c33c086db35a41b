/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Writes a disk to an NBD server, by any range that the caller likes. */

/* Notes on the design
 *
 * A range is cut at multiples of a piece.  Less than a block, at its ends, is
 * an edge: it is read, changed and written while nobody else does that.  Its
 * neighbours may be edges of the same block, but no whole block is an edge of
 * anybody: so all else may be in flight beside it.
 *
 * Zeroes are asked for by WRITE_ZEROES.  With FAST_ZERO, as long as the server
 * is fast, in large pieces; the first is a small one, and shows it.  Without,
 * each may take it as long as writing does: so in pieces that are answered in
 * time for who watches the progress.
 * A server that has no WRITE_ZEROES is sent zeroes.  But if it can trim, and
 * block status says that what was trimmed reads as zeroes, that is as good.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/lock.h"
#include "nbd/connections.h"
#include "nbd/pump.h"
#include "nbd/writer.h"

#include <errno.h>
#include <libnbd.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_PIECE (UINT64_C(256) << 10)
#define FAST_ZERO_PIECE (UINT64_C(1) << 30)
#define ZERO_PIECE (UINT64_C(32) << 20)

struct nbd_writer {
    struct nbd_connections connections;
    struct nbd_pump *pump;
    uint64_t block;          /* requests have to be multiples of it ... */
    uint64_t piece;          /* ... and are cut at multiples of that */
    bool has_zeroed;         /* once, so whether it is fast is known */
    bool can_zero, can_trim; /* can_trim: where it cannot zero */
    bool has_flush, has_fua;
    pthread_mutex_t edges; /* held from the read to the write */
};

static bool can(int answer)
{
    return answer == 1;
}

/* What the first connection says holds for all: they are of one export. */
static int start(struct nbd_writer *w, bool keeps_space, bool is_serial,
                 struct error *err)
{
    const struct nbd_connections *c = &w->connections;
    struct nbd_handle *nbd = c->list[0];
    struct nbd_request_how how = {
        .is_fast = can(nbd_can_fast_zero(nbd)),
        .keeps_space = keeps_space,
        .is_serial = is_serial,
    };

    if (nbd_is_read_only(nbd) != 0)
        return error_set(err, 0, "%s: the NBD server exports it read-only",
                         c->role);
    w->can_zero = can(nbd_can_zero(nbd));
    w->can_trim =
        !w->can_zero && !keeps_space && can(nbd_can_trim(nbd)) &&
        can(nbd_can_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION));
    w->has_flush = can(nbd_can_flush(nbd));
    /* The next best, where nothing can be flushed. */
    w->has_fua = how.has_fua = !w->has_flush && can(nbd_can_fua(nbd));
    w->block = c->block;
    w->piece = io_min(io_max(c->preferred, LEAST_PIECE), IO_PIECE);
    w->piece = IO_ROUND_DOWN(io_min(w->piece, c->most), w->block);
    how.piece = w->piece;
    nbd_connections_widen(&w->connections);
    return nbd_pump_start(&w->connections, &how, &w->pump, err);
}

int nbd_writer_open(const struct nbd_address *address, bool keeps_space,
                    struct nbd_writer **writer, struct error *err)
{
    struct nbd_writer *w = calloc(1, sizeof *w);

    if (w == NULL) {
        cleanup_close_fd(&address->socket_fd);
        return error_set(err, errno, "no memory to write over NBD");
    }
    w->connections.cancel_fd = w->connections.wake_fd = -1;
    pthread_mutex_init(&w->edges, NULL);
    if (nbd_connections_open(&w->connections, address,
                             address->socket_fd == -1, err) == -1 ||
        start(w, keeps_space, address->is_serial, err) == -1) {
        nbd_writer_free(w);
        return -1;
    }
    *writer = w;
    return 0;
}

uint64_t nbd_writer_size(const struct nbd_writer *w)
{
    return w->connections.size;
}

bool nbd_writer_can_flush(const struct nbd_writer *w)
{
    return w->has_flush || w->has_fua;
}

uint64_t nbd_writer_piece(const struct nbd_writer *w)
{
    return w->piece;
}

/* length bytes inside of one block; buf is NULL for zeroes. */
static int write_edge(struct nbd_writer *w, const char *buf, size_t length,
                      uint64_t disk_offset, struct error *err)
{
    uint64_t start = IO_ROUND_DOWN(disk_offset, w->block);
    char *CLEANUP(free_ptr) block = malloc(w->block);
    char *at;

    if (block == NULL)
        return error_set(err, errno, "no memory for NBD requests");
    at = block + (disk_offset - start);

    LOCK_FOR_SCOPE(&w->edges);
    if (nbd_pump_do(w->pump, NBD_READ, start, w->block, block, err) == -1)
        return -1;
    if (buf == NULL)
        memset(at, 0, length);
    else
        memcpy(at, buf, length);
    return nbd_pump_do(w->pump, NBD_WRITE, start, w->block, block, err);
}

/* How many of length bytes from disk_offset on go as one request: up to the
 * end of a block, if they do not begin with one, else up to that of a piece.
 * *is_edge: they are no whole blocks.
 */
static uint64_t cut(const struct nbd_writer *w, uint64_t disk_offset,
                    uint64_t length, uint64_t piece, bool *is_edge)
{
    uint64_t in_block = disk_offset % w->block;

    *is_edge = in_block != 0 || length < w->block;
    if (*is_edge)
        return io_min(length, w->block - in_block);
    length = IO_ROUND_DOWN(length, w->block);
    return io_min(length, piece - disk_offset % piece);
}

int nbd_writer_lend(struct nbd_writer *w, uint64_t disk_offset,
                    uint64_t length, char **buf, struct error *err)
{
    bool is_edge;
    uint64_t n = cut(w, disk_offset, length, w->piece, &is_edge);

    *buf = NULL;
    if (is_edge || n != length)
        return 0;
    *buf = nbd_pump_lend(w->pump, err);
    return *buf == NULL ? -1 : 0;
}

int nbd_writer_write(struct nbd_writer *w, const void *buf, size_t length,
                     uint64_t disk_offset, struct error *err)
{
    const char *p = buf;
    bool is_edge;
    uint64_t n = cut(w, disk_offset, length, w->piece, &is_edge);

    if (nbd_pump_has_lent(w->pump, buf) && !is_edge && n == length)
        return nbd_pump_add_lent(w->pump, disk_offset, length, err);
    while (length > 0) {
        n = cut(w, disk_offset, length, w->piece, &is_edge);
        if (is_edge ? write_edge(w, p, n, disk_offset, err) == -1
                    : nbd_pump_add(w->pump, NBD_WRITE, disk_offset, n, p,
                                   err) == -1)
            return -1;
        p += n;
        disk_offset += n;
        length -= n;
    }
    return 0;
}

/* Whole blocks, by sending zeroes. */
static int send_zeroes(struct nbd_writer *w, uint64_t disk_offset,
                       uint64_t length, struct error *err)
{
    static const char zeroes[IO_PIECE];

    while (length > 0) {
        uint64_t n = io_min(length, w->piece - disk_offset % w->piece);

        if (nbd_pump_add(w->pump, NBD_WRITE, disk_offset, n, zeroes, err) ==
            -1)
            return -1;
        disk_offset += n;
        length -= n;
    }
    return 0;
}

/* Whole blocks, by trimming them if that makes zeroes.  If either request
 * fails, it has not.
 */
static int trim(struct nbd_writer *w, uint64_t disk_offset, uint64_t length,
                struct error *err)
{
    uint64_t zeroes;

    if (nbd_pump_do(w->pump, NBD_TRIM, disk_offset, length, NULL, err) == -1 ||
        nbd_pump_do(w->pump, NBD_COUNT_ZEROES, disk_offset, length, &zeroes,
                    err) == -1)
        return -1;
    zeroes = IO_ROUND_DOWN(zeroes, w->block);
    w->can_trim = zeroes > 0;
    return send_zeroes(w, disk_offset + zeroes, length - zeroes, err);
}

static int zero_blocks(struct nbd_writer *w, uint64_t disk_offset,
                       uint64_t length, struct error *err)
{
    if (w->can_zero && w->has_zeroed)
        return nbd_pump_add(w->pump, NBD_ZERO, disk_offset, length, NULL, err);
    w->has_zeroed = true;
    if (w->can_zero)
        return nbd_pump_do(w->pump, NBD_ZERO, disk_offset, length, NULL, err);
    if (w->can_trim)
        return trim(w, disk_offset, length, err);
    return send_zeroes(w, disk_offset, length, err);
}

int nbd_writer_zero(struct nbd_writer *w, uint64_t disk_offset,
                    uint64_t length, struct error *err)
{
    while (length > 0) {
        bool is_large = w->has_zeroed && nbd_pump_is_fast(w->pump);
        uint64_t piece = is_large ? FAST_ZERO_PIECE : ZERO_PIECE;
        bool is_edge;
        uint64_t n = cut(w, disk_offset, length, piece, &is_edge);

        if (is_edge ? write_edge(w, NULL, n, disk_offset, err) == -1
                    : zero_blocks(w, disk_offset, n, err) == -1)
            return -1;
        disk_offset += n;
        length -= n;
    }
    return 0;
}

int nbd_writer_finish(struct nbd_writer *w, struct error *err)
{
    if (nbd_pump_drain(w->pump, err) == -1)
        return -1;
    if (w->has_flush && nbd_pump_do(w->pump, NBD_FLUSH, 0, 0, NULL, err) == -1)
        return -1;
    /* A server that hears that we leave does not complain of it. */
    for (size_t i = 0; i < w->connections.count; i++)
        nbd_aio_disconnect(w->connections.list[i], 0);
    nbd_pump_stop(STEAL_PTR(w->pump));
    return 0;
}

bool nbd_writer_is_lost(const struct nbd_writer *w)
{
    for (size_t i = 0; i < w->connections.count; i++)
        if (nbd_connections_is_lost(w->connections.list[i]))
            return true;
    return false;
}

void nbd_writer_cancel(struct nbd_writer *w)
{
    if (w->pump != NULL)
        nbd_pump_cancel(w->pump);
}

void nbd_writer_free(struct nbd_writer *w)
{
    if (w == NULL)
        return;
    nbd_pump_stop(w->pump);
    nbd_connections_close(&w->connections);
    pthread_mutex_destroy(&w->edges);
    free(w);
}
