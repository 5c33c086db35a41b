/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A disk to read: the one to export, or the base it is compared with. */

#include "config.h"

#include "base/io.h"
#include "export/source.h"

#include <string.h>

/* How many of length bytes from disk_offset on there are. */
static uint64_t count_present(const struct source *s, uint64_t disk_offset,
                              uint64_t length)
{
    if (disk_offset >= s->size)
        return 0;
    return io_min(length, s->size - disk_offset);
}

int source_read(struct source *s, char *buf, uint64_t disk_offset,
                uint64_t length, struct error *err)
{
    uint64_t there = count_present(s, disk_offset, length);

    if (there > 0 && s->ops->read(s, buf, disk_offset, there, err) == -1)
        return -1;
    memset(buf + there, 0, length - there);
    return 0;
}

uint64_t source_count(struct source *s)
{
    return s->ops->count == NULL ? 0 : s->ops->count(s);
}

int source_wait_first(struct source *s, uint64_t count, struct error *err)
{
    return s->ops->wait == NULL ? 0 : s->ops->wait(s, count, err);
}

void source_abandon(struct source *s)
{
    if (s->ops->abandon != NULL)
        s->ops->abandon(s);
}

int source_wait(struct source *s, struct error *err)
{
    return source_wait_first(s, source_count(s), err);
}

int source_send(struct source *s, uint64_t disk_offset, uint64_t length,
                struct sink *sink, struct error *err)
{
    uint64_t there = count_present(s, disk_offset, length);

    if (there > 0 && s->ops->send(s, disk_offset, there, sink, err) == -1)
        return -1;
    if (there == length)
        return 0;
    if (source_flush(s, sink, err) == -1)
        return -1;
    return sink_send_zeroes(sink, length - there, err);
}

int source_flush(struct source *s, struct sink *sink, struct error *err)
{
    return s->ops->flush == NULL ? 0 : s->ops->flush(s, sink, err);
}

int source_find_data(struct source *s, struct extents *data, bool *is_map,
                     struct error *err)
{
    return s->ops->find_data(s, data, is_map, err);
}

void source_free(struct source *s)
{
    if (s != NULL)
        s->ops->free(s);
}
