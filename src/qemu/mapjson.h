/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Parses what `qemu-img map --output=json` prints, as it arrives. */

#ifndef QT_MAPJSON_H
#define QT_MAPJSON_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One range, as qemu-img(1) describes it under "map". */
struct mapjson_entry {
    uint64_t disk_offset, length;
    uint64_t file_offset; /* if has_file_offset */
    bool has_file_offset; /* the bytes lie in the file as they are */
    bool is_data;         /* it has contents */
    bool is_zero;         /* it reads as zeroes */
    bool is_compressed;   /* said by QEMU from 8.2 on */
    uint64_t depth;       /* 0: in the image itself, not a backing file */

    /* One of the images that are mapped has it allocated.  qemu_img_map()
     * fills that in: the parser leaves it alone, and what QEMU prints of it,
     * from 6.1 on, is not looked at.
     */
    bool is_present;
};

/* Does it hold anything that has to be moved? */
static inline bool mapjson_entry_has_data(const struct mapjson_entry *e)
{
    return e->is_data && !e->is_zero;
}

/* Called for each entry, in the order of the text.  A map may have millions
 * of them, so no more than one is ever held.
 */
typedef int mapjson_sink(void *opaque, const struct mapjson_entry *entry,
                         struct error *err);

struct mapjson;

/* NULL: no memory. */
struct mapjson *mapjson_new(mapjson_sink *sink, void *opaque);

/* Takes the next piece of text; pieces may end anywhere.  Errors: the
 * sink's, text that is no JSON array of such objects, an entry that does not
 * begin where the one before ended.  After an error only mapjson_free is
 * allowed.
 */
int mapjson_feed(struct mapjson *m, const char *text, size_t length,
                 struct error *err);

/* The text is complete: checks that the array is, too. */
int mapjson_end(struct mapjson *m, struct error *err);

void mapjson_free(struct mapjson *m);

#endif
