/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The bytes of a stream that are kept, and how much room they take. */

#ifndef QT_SPOOL_H
#define QT_SPOOL_H

#include "base/error.h"
#include "import/kept.h"
#include "nbd/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes stand in its file at their file offsets in the stream.  What is
 * counted is whole blocks of KEPT_BLOCK bytes.  It has no lock of its own:
 * spool_write and spool_read touch the file only, and may run beside anything;
 * the others want one thread at a time.
 */
struct spool {
    struct store *store; /* a file without a name */
    uint64_t limit;      /* bytes; 0: none */
    struct kept kept;
    uint64_t stuck;    /* bytes that the file system did not take back */
    uint64_t appended; /* bytes: all that was ever written */
    uint64_t peak;     /* bytes: the most there were at a time */
};

/* An empty one, in the directory dir; limit in bytes, 0: none; or
 * STORE_HALF_FREE (store.h).
 */
int spool_open(struct spool *spool, const char *dir, uint64_t limit,
               struct error *err);

/* All-zero is fine. */
void spool_close(struct spool *spool);

/* Is there room for length bytes more? */
bool spool_has_room(const struct spool *spool, uint64_t length);

/* For how many; UINT64_MAX without a limit. */
uint64_t spool_room(const struct spool *spool);

/* Notes that length bytes at file_offset are about to be written.  Fails if
 * that is more than the limit.
 */
int spool_note(struct spool *spool, uint64_t file_offset, uint64_t length,
               struct error *err);

/* Writes what has been noted. */
int spool_write(struct spool *spool, const void *buf, size_t length,
                uint64_t file_offset, struct error *err);

/* For when that failed: if there is no room, err says so (store_explain_full).
 * Returns -1.
 */
int spool_explain_full(const struct spool *spool, struct error *err);

/* Reads what has been written. */
int spool_read(const struct spool *spool, void *buf, size_t length,
               uint64_t file_offset, struct error *err);

/* Gives back the room of length bytes at file_offset, which nobody will read
 * again.
 */
void spool_give_back(struct spool *spool, uint64_t file_offset,
                     uint64_t length);

#endif
