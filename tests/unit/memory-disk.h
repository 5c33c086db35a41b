/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A source in memory, for tests of what reads one. */

#ifndef QT_MEMORY_DISK_H
#define QT_MEMORY_DISK_H

#include "base/io.h"
#include "export/source.h"
#include "test.h"

#define K(n) ((uint64_t)(n) << 10)
#define M(n) ((uint64_t)(n) << 20)

/* It cannot send, nor say where its data is. */
struct memory {
    struct source source; /* first */
    unsigned char *bytes;
    unsigned reads;
    uint64_t bad_from; /* what is read from here on fails */
};

enum { LARGEST = 7 << 20 };

static inline int memory_read(struct source *s, char *buf,
                              uint64_t disk_offset, uint64_t length,
                              struct error *err)
{
    struct memory *m = (struct memory *)s;

    m->reads++;
    CHECK(length > 0);
    CHECK(length <= s->size && disk_offset <= s->size - length);
    CHECK_UINT((uintptr_t)buf % IO_ALIGN, 0);
    CHECK_UINT(disk_offset % IO_ALIGN, 0);
    if (disk_offset + length > m->bad_from)
        return error_set(err, EIO, "%s: offset %ju", s->role,
                         (uintmax_t)disk_offset);
    memcpy(buf, m->bytes + disk_offset, length);
    return 0;
}

static inline void memory_open(struct memory *m, const char *role,
                               uint64_t size)
{
    static const struct source_ops ops = {.read = memory_read};

    test_require(size <= LARGEST, "LARGEST");
    *m = (struct memory){
        .source =
            {
                .ops = &ops,
                .role = role,
                .fd = -1,
                .size = size,
                .disk_size = IO_ROUND_UP(size, IO_SECTOR),
            },
        .bytes = calloc(1, size + 1),
        .bad_from = UINT64_MAX,
    };
    test_require(m->bytes != NULL, "calloc");
}

static inline void memory_close(struct memory *m)
{
    free(m->bytes);
}

#endif
