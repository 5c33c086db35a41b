/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What has to become of an image, judged without QEMU. */

/* Notes on the design
 *
 * This walks the tables by itself, as docs/interop/qcow2.txt in QEMU's source
 * has them.  It sorts what it finds in the file by position and looks for two
 * that overlap.  What is legal and unusual, or illegal in a way that QEMU does
 * not mind, is UNSURE: then it is for `qemu-img convert' alone to say what the
 * disk holds, and refusing is fine, too.
 */

#include "config.h"

#include "model.h"

#include <err.h>
#include <stdlib.h>

const char *const verdict_names[] = {"unsure", "sound", "broken"};

/* Bytes of the file that the disk needs. */
struct piece {
    uint64_t from, to;
    enum { DATA, COMPRESSED, TABLE } kind;
};

struct model {
    const struct image *image;
    struct geometry g;
    struct piece *pieces;
    size_t count;
    bool is_odd;
    uint64_t compressed_end; /* where compressed data may end */
    const char *broken;      /* NULL: by no rule so far */
};

static void break_rule(struct model *m, const char *rule)
{
    if (m->broken == NULL)
        m->broken = rule;
}

static void add(struct model *m, uint64_t from, uint64_t length, int kind)
{
    if (m->count % 1024 == 0)
        m->pieces = realloc(m->pieces, (m->count + 1024) * sizeof *m->pieces);
    if (m->pieces == NULL)
        err(EXIT_FAILURE, "model");
    m->pieces[m->count++] = (struct piece){from, from + length, kind};
}

/* What only the header tells.  Returns false if there is no use in going on.
 */
static bool judge_header(struct model *m)
{
    const struct image *image = m->image;
    const struct geometry *g = &m->g;
    uint64_t features = 0, length = 72;

    if (image->size < HEADER_END || image_get(image, 0, 4) != 0x514649fb ||
        g->version < 2 || g->version > 3 || g->cluster == 0 ||
        image_field(image, F_CRYPT) != 0)
        return false;
    if (g->version == 3) {
        features = image_field(image, F_INCOMPATIBLE);
        length = image_field(image, F_HEADER_LENGTH);
        if (features & ~(INCOMPATIBLE_DIRTY | INCOMPATIBLE_COMPRESSION |
                         INCOMPATIBLE_EXTENDED_L2) ||
            length % 8 != 0 || length < 104 || length > g->cluster ||
            image_field(image, F_REFCOUNT_ORDER) > 6)
            return false;
        if ((length > 104 ? image_field(image, F_COMPRESSION) : 0) !=
            ((features & INCOMPATIBLE_COMPRESSION) != 0))
            return false;
        if (g->entry == 16 && g->bits < 14)
            return false;
    }
    if (image_field(image, F_BACKING_OFFSET) != 0)
        return false;
    if (g->l1_entries > (32 << 20) / 8 ||
        g->refcount_length > UINT64_C(8) << 20 || g->refcount_length == 0 ||
        g->virtual_size > g->l1_entries * g->window ||
        image_field(image, F_SNAPSHOTS) > 65536)
        return false;
    if (g->l1_offset % g->cluster != 0 || g->l1_offset < g->cluster ||
        g->refcount_offset % g->cluster != 0 ||
        g->refcount_offset < g->cluster || g->l1_offset >> 56 != 0 ||
        g->refcount_offset >> 56 != 0)
        return false;
    return true;
}

static void judge_compressed(struct model *m, uint64_t entry, uint64_t bitmap)
{
    uint64_t from, to;

    image_compressed_range(&m->g, entry, &from, &to);
    if (bitmap != 0 || entry & ENTRY_COPIED)
        m->is_odd = true;
    if (from >= m->image->size)
        break_rule(m, "compressed data behind the end");
    else if (to > m->compressed_end)
        m->is_odd = true;
    /* It has the first byte of its last sector at least, or that would not be
     * its own.  Behind that the next one may begin.
     */
    add(m, from, to - from > 512 ? to - from - 511 : 1, COMPRESSED);
}

static void judge_plain(struct model *m, uint64_t entry, uint64_t bitmap,
                        uint64_t disk_offset)
{
    const struct geometry *g = &m->g;
    uint64_t offset = entry & ENTRY_OFFSET, allocated = bitmap & UINT32_MAX;

    if (entry & ~(ENTRY_OFFSET | ENTRY_COPIED | ENTRY_ZERO))
        m->is_odd = true;
    if (entry & ENTRY_ZERO && (g->version < 3 || g->entry == 16))
        m->is_odd = true;
    if (allocated & bitmap >> 32)
        m->is_odd = true;
    if (offset == 0) {
        if (entry & ENTRY_COPIED || allocated != 0)
            m->is_odd = true;
        return;
    }
    if (offset % g->cluster != 0)
        m->is_odd = true;
    if (entry & ENTRY_ZERO || (g->entry == 16 && allocated == 0))
        return; /* it is kept for later, and nobody reads it */
    if (m->is_odd)
        return;
    if (offset >= m->image->size)
        break_rule(m, "data behind the end");
    else if (m->image->size - offset < g->cluster)
        m->is_odd = true;
    /* Where the disk ends inside it only that part is data. */
    if (g->virtual_size - disk_offset < g->cluster)
        m->is_odd = true;
    add(m, offset, g->cluster, DATA);
}

static void judge_table(struct model *m, uint64_t table, uint64_t disk_offset)
{
    const struct geometry *g = &m->g;
    uint64_t end = disk_offset + g->window;

    if (end > g->virtual_size)
        end = g->virtual_size;
    for (uint64_t at = table; disk_offset < end;
         at += g->entry, disk_offset += g->cluster) {
        uint64_t entry = image_get(m->image, at, 8);
        uint64_t bitmap = g->entry == 16 ? image_get(m->image, at + 8, 8) : 0;

        if (at + g->entry > m->image->size) {
            break_rule(m, "an L2 table behind the end");
            return;
        }
        if (entry & ENTRY_COMPRESSED)
            judge_compressed(m, entry, bitmap);
        else
            judge_plain(m, entry, bitmap, disk_offset);
    }
}

static void judge_tables(struct model *m)
{
    const struct geometry *g = &m->g;

    add(m, 0, g->cluster, TABLE);
    add(m, g->l1_offset, g->l1_entries * 8, TABLE);
    add(m, g->refcount_offset, g->refcount_length, TABLE);
    /* An empty disk needs nothing. */
    if (g->virtual_size > 0 &&
        (g->l1_offset + g->l1_entries * 8 > m->image->size ||
         g->refcount_offset + g->refcount_length > m->image->size))
        break_rule(m, "the L1 or refcount table behind the end");
    for (uint64_t i = 0; m->broken == NULL && i * g->window < g->virtual_size;
         i++) {
        uint64_t entry = image_get(m->image, g->l1_offset + i * 8, 8);
        uint64_t table = entry & ENTRY_OFFSET;

        if (entry & ~(ENTRY_OFFSET | ENTRY_COPIED))
            m->is_odd = true;
        if (table == 0)
            continue;
        if (table % g->cluster != 0 || m->image->size < g->cluster ||
            table > m->image->size - g->cluster)
            m->is_odd = true;
        if (table % g->cluster == 0) {
            add(m, table, g->cluster, TABLE);
            judge_table(m, table, i * g->window);
        }
    }
}

static int compare(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;

    return (x->from > y->from) - (x->from < y->from);
}

/* Of two that begin at the same offset or overlap, at least one is wrong.
 * Whether it is noticed where tables overlap depends on which of them are
 * read; where a compressed cluster is one of them, on where it ends.
 */
static void judge_overlaps(struct model *m)
{
    const struct piece *last = m->pieces; /* the one that reaches farthest */

    qsort(m->pieces, m->count, sizeof *m->pieces, compare);
    for (size_t i = 1; i < m->count; i++) {
        const struct piece *p = &m->pieces[i];

        if (p->from < last->to) {
            if (last->kind == DATA && p->kind == DATA)
                break_rule(m, "data of two places of the disk");
            else
                m->is_odd = true;
        }
        if (p->to > last->to)
            last = p;
    }
}

enum verdict model_judge(const struct image *image, bool is_length_told,
                         const char **why)
{
    struct model m = {
        .image = image,
        .g = image_geometry(image),
        .compressed_end = image->size,
    };

    if (is_length_told)
        m.compressed_end = (image->size + 511) / 512 * 512;
    *why = "";
    if (!judge_header(&m))
        return UNSURE;
    judge_tables(&m);
    judge_overlaps(&m);
    free(m.pieces);
    /* Odd first: an image may be refused for more than one reason, but what
     * is odd may be no entry at all for QEMU.
     */
    if (m.broken != NULL && !m.is_odd) {
        *why = m.broken;
        return BROKEN;
    }
    return m.is_odd ? UNSURE : SOUND;
}
