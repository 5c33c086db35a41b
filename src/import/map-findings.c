/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What one run of qemu-img map has found. */

#include "config.h"

#include "base/io.h"
#include "import/map-findings.h"

/* How many ranges there may be.  An entry of a table has 8 bytes and
 * describes a range; an extended L2 entry has 16, and 32 ranges.  Who sends
 * more has tables that share tables, and means to keep us busy.  Tables may
 * arrive while QEMU runs, so who reaches the bound asks again.
 */
static uint64_t most_entries(const struct map_findings *f)
{
    uint64_t most = inbox_arrived(f->inbox) / 8 * 16 + 16;

    return most - io_min(most, f->known_entries);
}

static bool is_hole(const struct mapjson_entry *e)
{
    return !(e->is_zero && e->is_present) && !mapjson_entry_has_data(e);
}

/* length bytes from disk_offset on are a part of the entry. */
static int add_piece(struct map_findings *f, const struct mapjson_entry *e,
                     uint64_t disk_offset, uint64_t length, struct error *err)
{
    struct mapper_window *w = &f->window;
    struct extents *extents;

    if (e->is_zero)
        extents = &w->zeroes;
    else if (e->is_compressed || !e->has_file_offset)
        extents = &w->compressed;
    else
        return filemap_batch_add(&f->data,
                                 e->file_offset + disk_offset - e->disk_offset,
                                 length, disk_offset, err);
    return extents_append(extents, disk_offset, length, err);
}

/* The entry has something of a part that is not mapped yet. */
static int note_new(struct map_findings *f, struct error *err)
{
    if (f->new_entries == f->most_new)
        f->most_new = most_entries(f);
    if (f->new_entries == f->most_new) {
        f->is_refused = true;
        return error_set(err, 0,
                         "more ranges than its tables have entries: they are "
                         "used more than once");
    }
    f->new_entries++;
    return 0;
}

/* What is not a hole. */
static int add_told(struct map_findings *f, const struct mapjson_entry *e,
                    struct error *err)
{
    const struct extents *unmapped = f->unmapped;
    uint64_t end = e->disk_offset + e->length;
    size_t first = extents_find(unmapped, e->disk_offset);

    if (extents_append(&f->told, e->disk_offset, e->length, err) == -1)
        return -1;
    for (size_t i = first;
         i < unmapped->count && unmapped->list[i].disk_offset < end; i++) {
        const struct extent *part = &unmapped->list[i];
        uint64_t from = io_max(e->disk_offset, part->disk_offset);
        uint64_t to = io_min(end, extent_end(part));

        if ((i == first && note_new(f, err) == -1) ||
            add_piece(f, e, from, to - from, err) == -1)
            return -1;
    }
    return 0;
}

int map_findings_add(void *opaque, const struct mapjson_entry *e,
                     struct error *err)
{
    struct map_findings *f = opaque;

    if (f->entries == MAP_MOST_FINDINGS) {
        f->is_full = true;
        return error_set(err, 0, "more ranges than are wanted at once");
    }
    f->entries++;
    f->disk_end = e->disk_offset + e->length;
    if (is_hole(e))
        return 0;
    return add_told(f, e, err);
}

/* Leaves out what is behind disk_end.  Returns how many extents that was. */
static size_t cut_extents(struct extents *extents, uint64_t disk_end)
{
    size_t before = extents->count;

    while (extents->count > 0 &&
           extents->list[extents->count - 1].disk_offset >= disk_end)
        extents->count--;
    if (extents->count > 0) {
        struct extent *last = &extents->list[extents->count - 1];

        last->length = io_min(last->length, disk_end - last->disk_offset);
    }
    return before - extents->count;
}

/* The same of data, which is in the order of the disk. */
static size_t cut_data(struct filemap_batch *data, uint64_t disk_end)
{
    size_t before = data->count;

    while (data->count > 0 &&
           data->list[data->count - 1].disk_offset >= disk_end)
        data->count--;
    if (data->count > 0) {
        struct filemap_entry *last = &data->list[data->count - 1];

        last->length = io_min(last->length, disk_end - last->disk_offset);
    }
    return before - data->count;
}

void map_findings_cut(struct map_findings *f, uint64_t disk_offset,
                      uint64_t slice)
{
    const struct extents *told = &f->told;
    uint64_t end = disk_offset;
    size_t cut;

    if (told->count > 0)
        end = extent_end(&told->list[told->count - 1]);
    end = io_max(disk_offset, IO_ROUND_DOWN(end, slice));
    cut_extents(&f->told, end);
    cut = cut_data(&f->data, end) + cut_extents(&f->window.compressed, end) +
          cut_extents(&f->window.zeroes, end);
    f->new_entries -= io_min(cut, f->new_entries);
    f->disk_end = end;
}

void map_findings_clear(struct map_findings *f)
{
    inbox_hide(&f->view);
    extents_clear(&f->told);
    filemap_batch_clear(&f->data);
    filemap_clear(&f->window.data);
    extents_clear(&f->window.compressed);
    extents_clear(&f->window.zeroes);
    extents_clear(&f->window.holes);
}
