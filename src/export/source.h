/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A disk to read: the one to export, or the base it is compared with. */

#ifndef QT_SOURCE_H
#define QT_SOURCE_H

#include "base/error.h"
#include "export/sink.h"
#include "lists/extents.h"

#include <stdbool.h>
#include <stdint.h>

struct source;

/* What each kind of source does.  Only the functions below call it; they never
 * ask for bytes behind the end of the source.  Offsets and lengths are bytes.
 */
struct source_ops {
    /* Begins to fill buf with length bytes of the disk.  They are there once
     * wait has returned for as many reads as count says now.  NULL: read waits
     * itself.
     */
    int (*read)(struct source *s, char *buf, uint64_t disk_offset,
                uint64_t length, struct error *err);
    uint64_t (*count)(struct source *s);
    int (*wait)(struct source *s, uint64_t count, struct error *err);

    /* As source_abandon; NULL: there is nothing to wait for. */
    void (*abandon)(struct source *s);

    /* Begins to send length bytes of the disk into sink.  Several calls send
     * in the order in which they were made.  All has been sent once flush has
     * returned (NULL: send does it).
     */
    int (*send)(struct source *s, uint64_t disk_offset, uint64_t length,
                struct sink *sink, struct error *err);
    int (*flush)(struct source *s, struct sink *sink, struct error *err);

    /* As source_find_data. */
    int (*find_data)(struct source *s, struct extents *data, bool *is_map,
                     struct error *err);

    void (*free)(struct source *s);
};

struct source {
    const struct source_ops *ops;
    const char *role;   /* which one it is, in messages: "source", "base" */
    int fd;             /* of a raw file or device; -1: it is not one */
    bool is_buffered;   /* its data passes through buffers of ours, sendfile(2)
                           cannot move it */
    uint64_t ahead;     /* bytes to be asked for ahead, while as many that have
                           come are looked at; 0: few will do */
    uint64_t size;      /* bytes that can be read */
    uint64_t disk_size; /* bytes of the disk: size, rounded up to whole sectors
                           as QEMU does.  What is behind size is zero. */
};

/* Reads length bytes from disk_offset on into buf, zeroes behind the end of
 * the source.  buf may only be used once source_wait has returned.  Its
 * address, disk_offset and length have to be multiples of IO_ALIGN, for
 * O_DIRECT.
 */
int source_read(struct source *s, char *buf, uint64_t disk_offset,
                uint64_t length, struct error *err);

/* Waits for all that source_read has asked for. */
int source_wait(struct source *s, struct error *err);

/* Something has failed: returns once what source_read was given is not written
 * to any more.  Nothing but source_free is called after this.
 */
void source_abandon(struct source *s);

/* A number for what has been asked for so far; and waits for that alone. */
uint64_t source_count(struct source *s);
int source_wait_first(struct source *s, uint64_t count, struct error *err);

/* Sends length bytes from disk_offset on, zeroes behind the end of the source.
 * They may leave as late as in source_flush, but never before what was to be
 * sent earlier.
 */
int source_send(struct source *s, uint64_t disk_offset, uint64_t length,
                struct sink *sink, struct error *err);

/* Waits until sink has all that source_send was told to send. */
int source_flush(struct source *s, struct sink *sink, struct error *err);

/* Appends to data, which is empty, where the disk may hold data; all else is
 * zero.  *is_map says that this is what a map calls data.  Without it, what is
 * appended may just as well be zeroes, and only reading it tells.
 */
int source_find_data(struct source *s, struct extents *data, bool *is_map,
                     struct error *err);

/* NULL is fine. */
void source_free(struct source *s);

#endif
