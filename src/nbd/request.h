/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* One request to an NBD server: what it is, and how libnbd is told. */

#ifndef QT_NBD_REQUEST_H
#define QT_NBD_REQUEST_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nbd_handle;

enum nbd_request_kind {
    NBD_READ,
    NBD_WRITE,
    NBD_ZERO,
    NBD_TRIM,
    NBD_COUNT_ZEROES, /* to be found at the beginning, by block status */
    NBD_FLUSH,
    NBD_REQUEST_KINDS
};

/* What the requests are like. */
struct nbd_request_how {
    uint64_t piece;   /* bytes: no buffer is larger */
    bool has_fua;     /* each is on stable storage when it is answered */
    bool is_fast;     /* zeroes are asked for with FAST_ZERO first */
    bool keeps_space; /* zeroes take the space that they took (NO_HOLE) */
    bool is_serial;   /* one is answered before the next is sent */
};

/* For pump.c, which says which thread may do what. */
struct nbd_request {
    struct nbd_request *next;      /* in the list that it is in */
    struct nbd_requests *answered; /* the list that it is put into then */
    const struct nbd_request_how *how;
    enum nbd_request_kind kind;
    uint64_t disk_offset, length;
    char *buf; /* NULL: it has had none to fill yet */
    bool is_fast;
    bool is_waited_for, is_done;
    bool is_being_issued;   /* libnbd is at it, in this thread */
    struct nbd_handle *nbd; /* where it is in flight */
    uint64_t number;        /* they are sent in this order */
    uint64_t zeroes;        /* bytes, NBD_COUNT_ZEROES */
    int errnum;             /* what it was answered with; 0: all is well */
};

/* First in, first out. */
struct nbd_requests {
    struct nbd_request *first, **end;
};

/* Puts a request behind those in a list. */
void nbd_requests_push(struct nbd_requests *list, struct nbd_request *request);

/* Takes all of a list, which is empty then: the first of them, or NULL. */
struct nbd_request *nbd_requests_take(struct nbd_requests *list);

/* Takes the first alone, so that none is behind it: that, or NULL. */
struct nbd_request *nbd_requests_take_one(struct nbd_requests *list);

/* Lets libnbd send it, or as much of it as the socket takes.  Once it has been
 * answered, which may be before this returns, it is in its list for that.
 * Returns -1 if libnbd does not take it.
 */
int nbd_request_issue(struct nbd_request *request);

/* Does it take the server's time, but no buffer of ours? */
bool nbd_request_is_zeroing(enum nbd_request_kind kind);

/* The server cannot zero fast there: it is to be asked to do it as it can. */
bool nbd_request_is_to_be_slow(const struct nbd_request *request);

/* May it fail?  Space that is not given back is no loss, and zeroes that were
 * not found are written.
 */
bool nbd_request_may_fail(const struct nbd_request *request);

/* Says that it has failed: for cause or, if that is NULL, with the errnum that
 * it was answered with.  role begins the message.  Returns -1.
 */
int nbd_request_failed(const char *role, const struct nbd_request *request,
                       const char *cause, struct error *err);

#endif
