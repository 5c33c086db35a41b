/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* By what two streams can be told to be of one image. */

/* Notes on the design
 *
 * What is digested, numbers as 8 bytes, the highest first:
 *
 *     tag | disk size | file length | metadata | entries | number of entries
 *
 * Metadata is every byte that no entry of the file map covers, ascending; an
 * entry is its file offset, length and disk offset.  Entries that continue
 * each other count as one, because where QEMU cuts its map does not matter.
 * Which bytes are metadata follows from the entries, so that no two images
 * are one text.  The tag changes if any of this does.
 */

#include "config.h"

#include "base/checksum.h"
#include "base/cleanup.h"
#include "export/identity.h"

#include <endian.h>
#include <string.h>
#include <strings.h>

static const char tag[] = "qcow-tool identity 1\n";

static int add_number(struct checksum *sum, uint64_t number, struct error *err)
{
    number = htobe64(number);
    return checksum_add(sum, &number, sizeof number, err);
}

static int hash_metadata(void *opaque, const void *buf, size_t length,
                         uint64_t file_offset, struct error *err)
{
    (void)file_offset;
    return checksum_add(opaque, buf, length, err);
}

static bool continues(const struct filemap_entry *e,
                      const struct filemap_entry *next)
{
    return e->file_offset + e->length == next->file_offset &&
           e->disk_offset + e->length == next->disk_offset;
}

static int add_map(struct checksum *sum, const struct filemap *map,
                   struct error *err)
{
    uint64_t n = 0;

    for (size_t i = 0; i < map->count; i++) {
        struct filemap_entry e = map->list[i];

        for (; i + 1 < map->count && continues(&e, &map->list[i + 1]); i++)
            e.length += map->list[i + 1].length;
        if (add_number(sum, e.file_offset, err) == -1 ||
            add_number(sum, e.length, err) == -1 ||
            add_number(sum, e.disk_offset, err) == -1)
            return -1;
        n++;
    }
    return add_number(sum, n, err);
}

int identity_compute(const struct skeleton *skeleton,
                     const struct store *store, uint64_t disk_size,
                     char id[IDENTITY_SPACE], struct error *err)
{
    struct checksum *CLEANUP(checksum) sum = NULL;

    if (checksum_new(&sum, err) == -1 ||
        checksum_add(sum, tag, sizeof tag - 1, err) == -1 ||
        add_number(sum, disk_size, err) == -1 ||
        add_number(sum, skeleton->file_length, err) == -1 ||
        skeleton_read_metadata(skeleton, store, skeleton->file_length,
                               hash_metadata, sum, err) == -1 ||
        store_settle(store, err) == -1 ||
        add_map(sum, &skeleton->map, err) == -1)
        return -1;
    return checksum_finish(sum, id, err);
}

bool identity_is_valid(const char *text)
{
    return strlen(text) == IDENTITY_DIGITS &&
           strspn(text, "0123456789abcdefABCDEF") == IDENTITY_DIGITS;
}

bool identity_is_equal(const char *id, const char *other_id)
{
    return strcasecmp(id, other_id) == 0;
}
