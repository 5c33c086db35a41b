/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The stream that an import reads, and how it may end. */

#ifndef QT_INCOMING_H
#define QT_INCOMING_H

#include "base/checksum.h"
#include "base/error.h"
#include "base/rate.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Milliseconds. */
enum {
    /* As much has come as the hint says, but the disk needs more.  The hint
     * may be wrong, so a sender gets so long to send more.
     */
    INCOMING_HINT_SILENCE_MS = 5000,

    /* Between two looks at the clock while a sender is silent. */
    INCOMING_LOOK_MS = 500,
};

struct incoming {
    int fd;
    uint64_t size; /* its exact length in bytes; 0: not known */
    uint64_t hint; /* if has_hint: may be that, or anything */
    bool has_hint;
    struct checksum *checksum; /* of what comes; NULL: not wanted */
    struct rate rate;          /* that nothing is taken faster than */

    uint64_t received;    /* bytes */
    uint64_t received_ms; /* when the last of them came: clock_ms */
    uint64_t silent_ms; /* since when nothing comes, while as much has come as
                         * the hint says; 0: something comes */
    bool is_ended;      /* the stream is */
    bool is_hinted;     /* because of the hint and silence: see ending */
    bool is_broken;     /* because its connection broke: see ending */
    struct error ending;
};

/* Can a stream come from fd? */
int incoming_check(int fd, struct error *err);

/* As much has come as the hint said.  It may be wrong. */
bool incoming_is_at_hint(const struct incoming *in);

/* Waits until there is something to read, or wake_fd is readable, or
 * timeout_ms have passed (-1: for ever).  Returns 1 if there is something to
 * read, else 0, or -1.
 */
int incoming_wait(struct incoming *in, int wake_fd, int timeout_ms,
                  struct error *err);

/* Reads up to length bytes; sets is_ended when there are no more.  Returns
 * how many, or -1.
 */
ssize_t incoming_read(struct incoming *in, char *buf, uint64_t length,
                      struct error *err);

/* It has ended: as much has come as was announced, or it is an error, even
 * if the disk needs no more.
 */
int incoming_check_size(const struct incoming *in, struct error *err);

/* Why the stream has ended, as a message begins that says what is missing;
 * NULL: because the sender has ended it.  It lives as long as in.
 */
const char *incoming_why_ended(const struct incoming *in);

#endif
