/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where an exported stream goes: a socket, a pipe or a file. */

#ifndef QT_SINK_H
#define QT_SINK_H

#include "error.h"
#include "mover.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sink {
    const char *name; /* for messages; the caller's */
    int fd;
    bool is_opened;       /* by its path: ours to close, flush and cut */
    bool is_created;      /* there was no such file: removed on failure */
    uint64_t file_offset; /* how much went into it */
    uint64_t length;      /* of the whole stream, once known */
    struct mover mover;
};

/* By path, or by fd where path is NULL.  A terminal is refused.  Nothing is
 * changed yet, but for a file that did not exist.
 */
int sink_open(const char *path, int fd, struct sink *sink, struct error *err);

/* The stream is going to have length bytes, and comes next. */
int sink_begin(struct sink *sink, uint64_t length, struct error *err);

/* Something that bytes are read from. */
struct sink_from {
    const char *name; /* for messages: "source /dev/x", "spool" */
    const char *unit; /* of its offsets: "disk" or "file" */
    int fd;
    bool is_direct; /* it has O_DIRECT */
};

/* Sends length bytes of from, from offset on.  *sent may be less, at the end
 * of from only.
 */
int sink_send(struct sink *sink, const struct sink_from *from, uint64_t offset,
              uint64_t length, uint64_t *sent, struct error *err);

int sink_send_zeroes(struct sink *sink, uint64_t length, struct error *err);

/* All went well so far: flushes, closes. */
int sink_finish(struct sink *sink, struct error *err);

/* Removes what a failure left.  After sink_finish it does nothing. */
void sink_close(struct sink *sink);

#define cleanup_sink sink_close /* for CLEANUP(sink) */

#endif
