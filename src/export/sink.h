/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Where an exported stream goes: a socket, a pipe or a file. */

#ifndef QT_SINK_H
#define QT_SINK_H

#include "base/claim.h"
#include "base/error.h"
#include "base/newfile.h"
#include "base/progress.h"
#include "base/rate.h"
#include "export/mover.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where to send to: the first of these that is not NULL, else fd.  The strings
 * belong to the struct: sink_address_clear.
 */
struct sink_address {
    char *path;        /* a file or device */
    char *socket_path; /* a Unix socket to connect to */
    char *host,
        *port; /* to connect to by TCP; an IPv6 address has no brackets,
                          the port is a number */
    int fd;    /* the caller's, if it is none of these */
};

/* Frees the strings; then it is fd 0. */
void sink_address_clear(struct sink_address *address);

/* Is it the caller's fd? */
bool sink_address_is_fd(const struct sink_address *address);

#define cleanup_sink_address sink_address_clear /* for CLEANUP() */

struct sink {
    const char *path; /* the address's; NULL: none */
    int fd;
    bool is_opened;           /* ours to close, flush and cut */
    bool is_file;             /* a regular one */
    bool is_disk;             /* that, or a device; else somebody reads it */
    struct newfile made;      /* there was no such file: removed on failure */
    enum claim_policy policy; /* CLAIM_FORCE before sink_claim */
    int held_fd;              /* by sink_claim; or -1 */
    int beginning_fd;         /* reads what it holds already; -1: nothing */
    uint64_t file_offset;     /* where in the stream it stands */
    uint64_t length;          /* of the whole stream, once known */
    struct mover mover;
    struct rate rate;          /* that nothing goes out faster than */
    struct progress *progress; /* told of each byte sent; NULL: nobody is */
    uint64_t progress_from;    /* file offset that it counts from */
};

/* For sink_close, before sink_open. */
#define SINK_NONE ((struct sink){.fd = -1, .held_fd = -1, .beginning_fd = -1})

/* address has to outlive the sink.  A terminal is refused.  Nothing is changed
 * yet, but for a file that did not exist.
 */
int sink_open(const struct sink_address *address, struct sink *sink,
              struct error *err);

/* From now on all that is sent is added to checksum, which has to outlive the
 * sink; so it passes through buffers of ours.  NULL is none.
 */
void sink_set_checksum(struct sink *sink, struct checksum *checksum);

/* Refuses a file or device that somebody uses; see claim.h.  sink_begin looks
 * once more.
 */
int sink_claim(struct sink *sink, enum claim_policy policy, struct error *err);

/* The stream is going to have length bytes in all, and what comes next is from
 * file_offset on.  Finds out, and changes nothing yet, whether the destination
 * holds what comes before: it can be read from beginning_fd then.
 *
 * A block device does, as far as anybody knows.  So does a file that ends at
 * file_offset, and one whose fd its caller has set there.  An empty file gets
 * the rest only, as a pipe does.  Any other file is refused.
 */
int sink_aim(struct sink *sink, uint64_t file_offset, uint64_t length,
             struct error *err);

/* Goes where sink_aim was told to.  A file that was given by its path is
 * emptied if that is the beginning.
 */
int sink_begin(struct sink *sink, struct error *err);

/* What messages call it. */
enum { SINK_NAME = 256 };
const char *sink_name(const struct sink *sink, char name[SINK_NAME]);

/* Something that bytes are read from. */
struct sink_from {
    const char *name; /* for messages: "source", "spool" */
    const char *path; /* and what of it, if there are several; else NULL */
    const char *unit; /* of its offsets: "disk" or "file" */
    int fd;
    bool is_direct; /* it has O_DIRECT */
};

/* Sends length bytes of from, from offset on.  *sent may be less, at the end
 * of from only.
 */
int sink_send(struct sink *sink, const struct sink_from *from, uint64_t offset,
              uint64_t length, uint64_t *sent, struct error *err);

int sink_write(struct sink *sink, const void *buf, size_t length,
               struct error *err);

int sink_send_zeroes(struct sink *sink, uint64_t length, struct error *err);

/* All went well so far: flushes, closes. */
int sink_finish(struct sink *sink, struct error *err);

/* Removes what a failure left.  After sink_finish it does nothing. */
void sink_close(struct sink *sink);

#define cleanup_sink sink_close /* for CLEANUP(sink) */

#endif
