/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* One request to an NBD server: what it is, and how libnbd is told. */

#include "config.h"

#include "base/io.h"
#include "nbd/request.h"

#include <errno.h>
#include <inttypes.h>
#include <libnbd.h>

void nbd_requests_push(struct nbd_requests *list, struct nbd_request *s)
{
    s->next = NULL;
    *list->end = s;
    list->end = &s->next;
}

struct nbd_request *nbd_requests_take(struct nbd_requests *list)
{
    struct nbd_request *first = list->first;

    *list = (struct nbd_requests){.end = &list->first};
    return first;
}

struct nbd_request *nbd_requests_take_one(struct nbd_requests *list)
{
    struct nbd_request *first = list->first;

    if (first == NULL)
        return NULL;
    list->first = first->next;
    if (list->first == NULL)
        list->end = &list->first;
    first->next = NULL;
    return first;
}

bool nbd_request_is_zeroing(enum nbd_request_kind kind)
{
    return kind == NBD_ZERO || kind == NBD_TRIM;
}

bool nbd_request_is_to_be_slow(const struct nbd_request *s)
{
    return s->is_fast && (s->errnum == ENOTSUP || s->errnum == EOPNOTSUPP);
}

bool nbd_request_may_fail(const struct nbd_request *s)
{
    return s->kind == NBD_TRIM || s->kind == NBD_COUNT_ZEROES;
}

/* As nbd_completion_callback(3): with 1, libnbd frees what it holds of the
 * request.  It reads that once more before it returns from issuing it, which
 * is too late if the connection was lost meanwhile.  So it keeps that one
 * until the connection is closed.
 */
static int take_answer(void *opaque, int *error)
{
    struct nbd_request *s = opaque;

    s->errnum = *error;
    nbd_requests_push(s->answered, s);
    return s->is_being_issued ? 0 : 1;
}

/* As nbd_extent_callback(3). */
static int take_status(void *opaque, const char *context, uint64_t disk_offset,
                       uint32_t *entries, size_t n_entries, int *error)
{
    struct nbd_request *s = opaque;

    (void)context;
    (void)error;
    if (disk_offset != s->disk_offset)
        return 0;
    for (size_t i = 0; i + 1 < n_entries; i += 2) {
        if (!(entries[i + 1] & LIBNBD_STATE_ZERO))
            break;
        s->zeroes += entries[i];
    }
    s->zeroes = io_min(s->zeroes, s->length);
    return 0;
}

static int64_t issue(struct nbd_request *s)
{
    const struct nbd_request_how *how = s->how;
    const nbd_completion_callback done = {
        .callback = take_answer,
        .user_data = s,
    };
    const nbd_extent_callback status = {
        .callback = take_status,
        .user_data = s,
    };
    uint32_t fua = how->has_fua ? LIBNBD_CMD_FLAG_FUA : 0;

    switch (s->kind) {
    case NBD_READ:
        return nbd_aio_pread(s->nbd, s->buf, s->length, s->disk_offset, done,
                             0);
    case NBD_WRITE:
        return nbd_aio_pwrite(s->nbd, s->buf, s->length, s->disk_offset, done,
                              fua);
    case NBD_ZERO:
        if (s->is_fast)
            fua |= LIBNBD_CMD_FLAG_FAST_ZERO;
        if (how->keeps_space)
            fua |= LIBNBD_CMD_FLAG_NO_HOLE;
        return nbd_aio_zero(s->nbd, s->length, s->disk_offset, done, fua);
    case NBD_TRIM:
        return nbd_aio_trim(s->nbd, s->length, s->disk_offset, done, fua);
    case NBD_COUNT_ZEROES:
        return nbd_aio_block_status(s->nbd, s->length, s->disk_offset, status,
                                    done, 0);
    default:
        return nbd_aio_flush(s->nbd, done, 0);
    }
}

int nbd_request_issue(struct nbd_request *s)
{
    int64_t cookie;

    s->is_being_issued = true;
    cookie = issue(s);
    s->is_being_issued = false;
    return cookie == -1 ? -1 : 0;
}

int nbd_request_failed(const char *role, const struct nbd_request *s,
                       const char *cause, struct error *err)
{
    static const char *const verbs[NBD_REQUEST_KINDS] = {
        [NBD_READ] = "read",   [NBD_WRITE] = "write",
        [NBD_ZERO] = "zero",   [NBD_TRIM] = "discard",
        [NBD_FLUSH] = "flush", [NBD_COUNT_ZEROES] = "find zeroes",
    };

    if (s->kind == NBD_FLUSH && cause == NULL)
        return error_set(err, s->errnum, "%s: cannot flush", role);
    if (s->kind == NBD_FLUSH)
        return error_set(err, 0, "%s: cannot flush: %s", role, cause);
    if (cause == NULL)
        return error_set(err, s->errnum,
                         "%s: cannot %s at disk offset %" PRIu64, role,
                         verbs[s->kind], s->disk_offset);
    return error_set(err, 0, "%s: cannot %s at disk offset %" PRIu64 ": %s",
                     role, verbs[s->kind], s->disk_offset, cause);
}
