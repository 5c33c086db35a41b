/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk to read: the one to export, or the base it is compared with. */

#ifndef QT_SOURCE_H
#define QT_SOURCE_H

#include "base/error.h"
#include "lists/extents.h"
#include "export/sink.h"

#include <stdbool.h>
#include <stdint.h>

struct source;

/* What each kind of source does; the functions below call it, and see to it
 * that what it is asked for lies within size.
 */
struct source_ops {
    /* Fills buf with length bytes, by the time wait returns. */
    int (*read)(struct source *s, char *buf, uint64_t disk_offset,
                uint64_t length, struct error *err);
    int (*wait)(struct source *s, struct error *err); /* NULL: at once */

    /* Sends length bytes, or at least begins to: what it was asked for goes
     * out in that order, and has gone once flush returns.
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
    const char *who;    /* begins messages: "source", "base" */
    int fd;             /* to tell whether it is some other file; or -1 */
    bool is_slow;       /* its data passes through buffers of ours */
    uint64_t size;      /* bytes */
    uint64_t disk_size; /* size, rounded up to whole sectors as QEMU does */
};

/* Fills buf, behind the end of the source with zeroes; it need not be filled
 * before source_wait returns.  All three are to be multiples of IO_ALIGN, for
 * O_DIRECT.
 */
int source_read(struct source *s, char *buf, uint64_t disk_offset,
                uint64_t length, struct error *err);

int source_wait(struct source *s, struct error *err);

/* Sends length bytes from disk_offset on, later perhaps, but in order.
 * Behind the end of the source there are zeroes.
 */
int source_send(struct source *s, uint64_t disk_offset, uint64_t length,
                struct sink *sink, struct error *err);

/* All that was to be sent has gone into sink after this. */
int source_flush(struct source *s, struct sink *sink, struct error *err);

/* Appends to data, which is empty, where there may be anything but zeroes.
 * Without *is_map nobody could tell: to know, read it.
 */
int source_find_data(struct source *s, struct extents *data, bool *is_map,
                     struct error *err);

/* NULL is fine. */
void source_free(struct source *s);

#endif
