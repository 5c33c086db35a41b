/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What an NBD server says of the ranges of an export. */

/* Notes on the design
 *
 * A large disk takes thousands of questions, and each answer may be far away.
 * So several are in flight, in a ring.  What a server answers may end before
 * what it was asked for, then it is asked for the rest; or go past that, then
 * so much of the next answer does not count.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "nbd/block-status.h"

#include <inttypes.h>
#include <libnbd.h>
#include <string.h>

enum { IN_FLIGHT = 8 };

/* What one question asks for: a length of the protocol has 32 bits. */
#define PIECE (UINT64_C(2) << 30)

struct reading {
    struct nbd_connections *connections;
    const struct nbd_status_query *query;
    struct extents *list;
    struct question {
        struct reading *reading;
        int64_t cookie;
        uint64_t disk_offset, disk_end; /* asked for */
        uint64_t known_end;             /* answered so far */
        struct extents found;
        struct error err; /* of taking the answer; "": none */
    } questions[IN_FLIGHT];
    uint64_t asked, taken; /* questions; taken is the oldest in flight */
    uint64_t asked_end;    /* of the disk */
    uint64_t known_end;    /* how far list goes */
};

static void cleanup_reading(struct reading *r)
{
    for (size_t i = 0; i < IN_FLIGHT; i++)
        extents_clear(&r->questions[i].found);
}

static int take_answer(void *opaque, const char *context, uint64_t disk_offset,
                       uint32_t *entries, size_t n_entries, int *error)
{
    struct question *q = opaque;
    const struct nbd_status_query *query = q->reading->query;
    uint64_t size = q->reading->connections->size;

    (void)error;
    if (strcmp(context, query->context) != 0 || disk_offset != q->known_end)
        return 0;
    for (size_t i = 0; i + 1 < n_entries; i += 2) {
        uint64_t length = io_min(entries[i], size - q->known_end);
        bool is_set = entries[i + 1] & query->flag;

        if (length > 0 && is_set == query->is_set && q->err.msg[0] == '\0')
            extents_append(&q->found, q->known_end, length, &q->err);
        q->known_end += length;
    }
    return 0;
}

static int status_failed(const struct question *q, struct error *err)
{
    return error_set(err, 0,
                     "%s: no block status at disk offset %" PRIu64 ": %s",
                     q->reading->connections->role, q->disk_offset,
                     nbd_connections_cause(q->reading->connections,
                                           q->reading->connections->list[0]));
}

/* Asks for the rest of what q asks for. */
static int ask(struct question *q, struct error *err)
{
    struct nbd_connections *c = q->reading->connections;

    q->disk_offset = q->known_end;
    q->cookie =
        nbd_aio_block_status(c->list[0], q->disk_end - q->disk_offset,
                             q->disk_offset,
                             (nbd_extent_callback){.callback = take_answer,
                                                   .user_data = q},
                             NBD_NULL_COMPLETION, 0);
    nbd_connections_sent(c, c->list[0]);
    return q->cookie == -1 ? status_failed(q, err) : 0;
}

static int ask_next(struct reading *r, struct error *err)
{
    struct question *q = &r->questions[r->asked % IN_FLIGHT];

    *q = (struct question){.reading = r, .known_end = r->asked_end};
    q->disk_end =
        r->asked_end + io_min(PIECE, r->connections->size - r->asked_end);
    r->asked++;
    r->asked_end = q->disk_end;
    return ask(q, err);
}

/* Adds to the list what an answer says of behind its end. */
static int add_found(struct reading *r, struct question *q, struct error *err)
{
    if (q->err.msg[0] != '\0') {
        *err = q->err;
        return -1;
    }
    for (size_t i = 0; i < q->found.count; i++) {
        const struct extent *e = &q->found.list[i];
        uint64_t from = io_max(e->disk_offset, r->known_end);

        if (from < extent_end(e) &&
            extents_append(r->list, from, extent_end(e) - from, err) == -1)
            return -1;
    }
    extents_clear(&q->found);
    r->known_end = io_max(r->known_end, q->known_end);
    return 0;
}

/* Waits for the answer to the oldest question. */
static int take_oldest(struct reading *r, struct error *err)
{
    struct question *q = &r->questions[r->taken % IN_FLIGHT];
    struct nbd_connections *c = r->connections;
    int done;

    while ((done = nbd_aio_command_completed(c->list[0], q->cookie)) == 0)
        if (nbd_connections_wait(c, -1, err) == -1)
            return -1;
    if (done == -1)
        return status_failed(q, err);
    if (q->known_end == q->disk_offset)
        return error_set(err, 0,
                         "%s: empty block status at disk offset %" PRIu64,
                         c->role, q->disk_offset);
    if (add_found(r, q, err) == -1)
        return -1;
    if (q->known_end < q->disk_end)
        return ask(q, err);
    r->taken++;
    return 0;
}

int nbd_connections_status(struct nbd_connections *c,
                           const struct nbd_status_query *query,
                           struct extents *list, struct error *err)
{
    struct reading CLEANUP(reading) r = {
        .connections = c,
        .query = query,
        .list = list,
    };

    while (r.known_end < c->size) {
        while (r.asked - r.taken < IN_FLIGHT && r.asked_end < c->size)
            if (ask_next(&r, err) == -1)
                return -1;
        if (take_oldest(&r, err) == -1)
            return -1;
    }
    return 0;
}
