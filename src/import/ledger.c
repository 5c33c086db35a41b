/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Who owns which byte of an arriving qcow2 file: data or metadata. */

#include "config.h"

#include "base/assert.h"
#include "base/io.h"
#include "import/ledger.h"

#include <inttypes.h>

/* Compressed clusters come one by one.  So many of them are collected, but at
 * least a share of those that are known, before they are sorted into the rest:
 * so each is looked at a few times only.
 */
enum { MOST_COLLECTED = 4096, COLLECTED_SHARE = 8 };

static int add_piece(struct ranges *set, uint64_t file_offset, uint64_t length,
                     struct error *err)
{
    struct ranges_batch batch = {0};

    if (ranges_batch_add(&batch, file_offset, length, err) == 0 &&
        ranges_unite(set, &batch, err) == 0)
        return 0;
    ranges_batch_clear(&batch);
    return -1;
}

int ledger_protect(struct ledger *l, uint64_t file_offset, uint64_t length,
                   struct error *err)
{
    return add_piece(&l->protected, file_offset, length, err);
}

static int refuse_both(uint64_t file_offset, struct error *err)
{
    return error_set(err, 0,
                     "source: file offset %" PRIu64
                     " is both data and metadata",
                     file_offset);
}

int ledger_check_compressed(struct ledger *l, struct error *err)
{
    uint64_t first;

    if (ranges_batch_overlaps(&l->new_compressed, &l->compressed, &first))
        return error_set(err, 0,
                         "source: file offset %" PRIu64
                         " belongs to two compressed clusters",
                         first);
    return ranges_unite(&l->compressed, &l->new_compressed, err);
}

int ledger_check_table(struct ledger *l, uint64_t file_offset, uint64_t length,
                       struct error *err)
{
    uint64_t first;

    if (ranges_has_any(&l->data, file_offset, length, &first) ||
        ranges_has_any(&l->dropped, file_offset, length, &first))
        return refuse_both(first, err);
    return 0;
}

bool ledger_is_dropped(const struct ledger *l, uint64_t file_offset,
                       uint64_t length)
{
    uint64_t first;

    return ranges_has_any(&l->dropped, file_offset, length, &first);
}

int ledger_add_tables(struct ledger *l, struct ranges_batch *reads,
                      bool may_drop, struct error *err)
{
    struct ranges_batch droppable = {0};
    int r = ledger_check_compressed(l, err);

    for (size_t i = 0; i < reads->count && r == 0; i++) {
        const struct range *read = &reads->list[i];
        uint64_t first;

        if (ranges_has_any(&l->compressed, read->file_offset, read->length,
                           &first))
            r = refuse_both(first, err);
        else if (may_drop && !ranges_has_any(&l->protected, read->file_offset,
                                             read->length, &first))
            r = ranges_batch_add(&droppable, read->file_offset, read->length,
                                 err);
    }
    if (r == 0)
        r = ranges_unite(&l->droppable, &droppable, err);
    if (r == 0)
        r = ranges_unite(&l->tables, reads, err);
    ranges_batch_clear(&droppable);
    return r;
}

/* One piece of data: may it be that? */
static int check_data(const struct ledger *l, uint64_t file_offset,
                      uint64_t length, uint64_t disk_offset, struct error *err)
{
    uint64_t first;
    const char *is_else;

    if (ranges_has_any(&l->data, file_offset, length, &first))
        is_else = "claimed twice, again";
    else if (ranges_has_any(&l->compressed, file_offset, length, &first))
        is_else = "compressed data, and plain data";
    else if (ranges_has_any(&l->tables, file_offset, length, &first) ||
             ranges_has_any(&l->dropped, file_offset, length, &first))
        is_else = "metadata, and data";
    else
        return 0;
    return error_set(err, 0,
                     "source: file offset %" PRIu64
                     " is %s for disk offset %" PRIu64,
                     first, is_else, disk_offset + first - file_offset);
}

static bool entry_ends_before(const struct filemap_entry *a,
                              const struct filemap_entry *b)
{
    return a->file_offset + a->length <= b->file_offset;
}

/* Adds the clusters of the entry number i, as far as the one before has not.
 */
static int add_clusters(const struct ledger *l, const struct filemap *data,
                        size_t i, uint64_t cluster_size,
                        struct ranges_batch *batch, struct error *err)
{
    const struct filemap_entry *e = &data->list[i];
    const struct filemap_entry *last = i > 0 ? e - 1 : NULL;
    uint64_t from = IO_ROUND_DOWN(e->file_offset, cluster_size);
    uint64_t to = IO_ROUND_UP(e->file_offset + e->length, cluster_size);

    ASSERT(e->length > 0);
    ASSERT(last == NULL || entry_ends_before(last, e));
    if (last != NULL &&
        IO_ROUND_UP(last->file_offset + last->length, cluster_size) > from) {
        if (e->file_offset - e->disk_offset !=
            last->file_offset - last->disk_offset)
            return error_set(err, 0,
                             "source: file offset %" PRIu64
                             " is claimed twice, for disk offsets %" PRIu64
                             " and %" PRIu64,
                             from,
                             IO_ROUND_DOWN(last->disk_offset, cluster_size),
                             IO_ROUND_DOWN(e->disk_offset, cluster_size));
        from += cluster_size;
    }
    if (from >= to)
        return 0;
    if (check_data(l, from, to - from, e->disk_offset + from - e->file_offset,
                   err) == -1)
        return -1;
    return ranges_batch_add(batch, from, to - from, err);
}

int ledger_add_data(struct ledger *l, const struct filemap *data,
                    uint64_t cluster_size, struct error *err)
{
    struct ranges_batch batch = {0};
    int r = ledger_check_compressed(l, err);

    ASSERT(cluster_size > 0 && (cluster_size & (cluster_size - 1)) == 0);
    for (size_t i = 0; i < data->count && r == 0; i++)
        r = add_clusters(l, data, i, cluster_size, &batch, err);
    if (r == 0)
        r = ranges_unite(&l->data, &batch, err);
    ranges_batch_clear(&batch);
    return r;
}

int ledger_add_compressed(struct ledger *l, bool is_opening,
                          uint64_t file_offset, uint64_t length,
                          bool *is_compressed, struct error *err)
{
    uint64_t first, sure = 1;
    *is_compressed = false;
    if (ranges_has_any(&l->data, file_offset, length, &first) ||
        ranges_has_any(&l->dropped, file_offset, length, &first))
        return refuse_both(first, err);
    if (is_opening ||
        (file_offset % IO_SECTOR == 0 &&
         ranges_has_all(&l->tables, file_offset, length) &&
         !ranges_has_any(&l->protected, file_offset, length, &first)))
        return 0;
    *is_compressed = true;
    if (ranges_has_any(&l->tables, file_offset, length, &first) ||
        ranges_has_any(&l->protected, file_offset, length, &first))
        return error_set(err, 0,
                         "source: file offset %" PRIu64
                         " is metadata, and compressed data",
                         first);
    /* What is surely its own goes on to the first byte of the last sector. */
    if (length > IO_SECTOR)
        sure = length - IO_SECTOR + 1;
    if (ranges_batch_add(&l->new_compressed, file_offset, sure, err) == -1)
        return -1;
    if (l->new_compressed.count <
        io_max(MOST_COLLECTED, l->compressed.count / COLLECTED_SHARE))
        return 0;
    return ledger_check_compressed(l, err);
}

int ledger_drop_tables(struct ledger *l, ledger_drop *drop, void *opaque,
                       struct error *err)
{
    struct ranges_batch dropped = {0};
    int r = 0;

    for (size_t i = 0; i < l->droppable.count && r == 0; i++) {
        const struct range *table = &l->droppable.list[i];

        drop(opaque, table->file_offset, table->length);
        r = ranges_batch_add(&dropped, table->file_offset, table->length, err);
    }
    if (r == 0)
        r = ranges_unite(&l->dropped, &dropped, err);
    ranges_clear(&l->droppable);
    ranges_batch_clear(&dropped);
    return r;
}

void ledger_clear(struct ledger *l)
{
    ranges_clear(&l->data);
    ranges_clear(&l->compressed);
    ranges_batch_clear(&l->new_compressed);
    ranges_clear(&l->tables);
    ranges_clear(&l->protected);
    ranges_clear(&l->droppable);
    ranges_clear(&l->dropped);
}
