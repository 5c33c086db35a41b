/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Breaks an image in a way that a number decides. */

#include "config.h"

#include "mutate.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct mutation {
    struct image *image;
    const struct places *places;
    struct geometry g; /* of the image before */
    size_t size;       /* likewise */
    uint64_t state;
    struct story *story;
};

/* splitmix64 */
static uint64_t next(struct mutation *m)
{
    uint64_t z = m->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t below(struct mutation *m, uint64_t limit)
{
    return limit == 0 ? 0 : next(m) % limit;
}

__attribute__((format(printf, 2, 3))) static void tell(struct mutation *m,
                                                       const char *format, ...)
{
    size_t used = strlen(m->story->text);
    va_list ap;

    va_start(ap, format);
    vsnprintf(m->story->text + used, sizeof m->story->text - used, format, ap);
    va_end(ap);
}

static void put(struct mutation *m, const char *what, uint64_t at,
                size_t width, uint64_t value)
{
    tell(m, "%s at %" PRIu64 ": 0x%" PRIx64 " -> 0x%" PRIx64 "; ", what, at,
         image_get(m->image, at, width), value);
    image_put(m->image, at, width, value);
}

/* Numbers at which something changes, near the one that is there. */
static uint64_t boundary(struct mutation *m, uint64_t now)
{
    uint64_t power = UINT64_C(1) << below(m, 64);

    switch (below(m, 9)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return now + 1;
    case 3:
        return now - 1;
    case 4:
        return now * 2;
    case 5:
        return power;
    case 6:
        return power - 1;
    case 7:
        return now ^ power;
    default:
        return below(m, 32);
    }
}

static uint64_t any_place(struct mutation *m, enum place_kind kind)
{
    const struct places *p = &m->places[kind];

    return p->count == 0 ? 0 : p->at[below(m, p->count)];
}

/* A cluster of the file, or hardly. */
static uint64_t offset(struct mutation *m)
{
    uint64_t cluster = m->g.cluster;

    switch (below(m, 12)) {
    case 0:
        return 0;
    case 1:
        return m->g.l1_offset;
    case 2:
        return m->g.refcount_offset;
    case 3: /* a refcount block */
        return image_get(m->image, any_place(m, PLACE_REFCOUNT_TABLE), 8) &
               ENTRY_OFFSET;
    case 4: /* an L2 table */
        return image_get(m->image, any_place(m, PLACE_L1), 8) & ENTRY_OFFSET;
    case 5:
    case 6: /* data, as another entry has it */
        return image_get(m->image, any_place(m, PLACE_L2), 8) & ENTRY_OFFSET;
    case 7: /* around the end */
        return m->size / cluster * cluster + (below(m, 3) - 1) * cluster;
    case 8:
        return boundary(m, m->size) & ENTRY_OFFSET;
    case 9: /* no cluster begins there */
        return below(m, m->size) & ENTRY_OFFSET;
    default:
        return below(m, m->size / cluster + 1) * cluster;
    }
}

static uint64_t compressed(struct mutation *m, uint64_t now)
{
    unsigned shift = 62 - (m->g.bits - 8);
    uint64_t sectors = UINT64_C(1) << (m->g.bits - 8);

    if (!(now & ENTRY_COMPRESSED) || below(m, 4) == 0)
        now = ENTRY_COMPRESSED | below(m, m->size + 4096);
    switch (below(m, 6)) {
    case 0: /* a length */
        now &= ~((sectors - 1) << shift);
        return now | below(m, sectors) << shift;
    case 1: /* one sector more or less */
        return now + ((below(m, 2) * 2 - 1) << shift);
    case 2: /* it begins elsewhere */
        return now + below(m, 1024) - 512;
    case 3:
        return now | (sectors - 1) << shift;
    case 4: /* reserved in both versions */
        return now | ENTRY_COPIED;
    default:
        return now;
    }
}

/* What an entry of an L1 or L2 table might be. */
static uint64_t table_entry(struct mutation *m, enum place_kind kind,
                            uint64_t now)
{
    switch (below(m, 10)) {
    case 0: /* any bit */
        return now ^ UINT64_C(1) << below(m, 64);
    case 1: /* a bit of the offset that leads into the file */
        return now ^ UINT64_C(1) << (9 + below(m, 16));
    case 2: /* the same cluster as another */
        return image_get(m->image, any_place(m, kind), 8);
    case 3:
        return now ^ (kind == PLACE_L2 ? ENTRY_ZERO : ENTRY_COPIED);
    case 4:
        return 0;
    case 5:
        return next(m);
    case 6: /* a neighbour */
        return now + (below(m, 5) - 2) * m->g.cluster;
    case 7:
        if (kind == PLACE_L2)
            return compressed(m, now);
        /* fall through */
    default:
        return offset(m) | ENTRY_COPIED;
    }
}

static void change_entry(struct mutation *m, enum place_kind kind)
{
    uint64_t at = any_place(m, kind), other, now, there;

    if (at == 0)
        return;
    now = image_get(m->image, at, 8);
    /* Most of a table is empty: look for one that is not. */
    for (int i = 0; now == 0 && i < 8; i++) {
        at = any_place(m, kind);
        now = image_get(m->image, at, 8);
    }
    if (below(m, 8) == 0) {
        other = any_place(m, kind);
        there = image_get(m->image, other, 8);
        put(m, place_names[kind], at, 8, there);
        put(m, "swapped with", other, 8, now);
        return;
    }
    put(m, place_names[kind], at, 8, table_entry(m, kind, now));
}

static void change_field(struct mutation *m)
{
    enum field_number field = below(m, N_FIELDS);
    const struct field *f = &fields[field];
    uint64_t now, value;

    if (field == F_MAGIC) /* it seldom matters how */
        field = below(m, N_FIELDS);
    f = &fields[field];
    now = image_field(m->image, field);
    value = boundary(m, now);
    if ((field == F_L1_OFFSET || field == F_REFCOUNT_OFFSET ||
         field == F_SNAPSHOTS_OFFSET || field == F_BACKING_OFFSET) &&
        below(m, 2) == 0)
        value = offset(m);
    /* A disk may be a little larger or smaller. */
    if (field == F_SIZE && below(m, 2) == 0)
        value = now + (below(m, 9) - 4) * 512;
    if (field == F_HEADER_LENGTH && below(m, 2) == 0)
        value = now + (below(m, 5) - 2) * 8;
    if (f->width < 8)
        value &= (UINT64_C(1) << f->width * 8) - 1;
    put(m, f->name, f->at, f->width, value);
}

static void change_feature(struct mutation *m)
{
    enum field_number field = F_INCOMPATIBLE + below(m, 3);
    const struct field *f = &fields[field];
    /* Most of the known ones are among the first. */
    uint64_t bit = UINT64_C(1)
                   << (below(m, 4) == 0 ? below(m, 64) : below(m, 6));

    put(m, f->name, f->at, 8, image_field(m->image, field) ^ bit);
    if (bit == INCOMPATIBLE_COMPRESSION && below(m, 2) == 0)
        put(m, "compression_type", fields[F_COMPRESSION].at, 1, below(m, 2));
}

static void change_extension(struct mutation *m)
{
    static const uint32_t types[] = {
        0,          0xe2792aca, /* the format of the backing file */
        0x6803f857,             /* names of features */
        0x23852875,             /* bitmaps */
        0x0537be77,             /* an encryption header */
        0x44415441,             /* the name of a data file */
        0x12345678};
    uint64_t at = any_place(m, PLACE_EXTENSION);
    uint64_t value = types[below(m, sizeof types / sizeof types[0])];

    if (below(m, 2) == 0)
        value = boundary(m, image_get(m->image, at, 4)) & UINT32_MAX;
    put(m, "header extension", at, 4, value);
}

static void change_word(struct mutation *m, enum place_kind kind)
{
    uint64_t at = any_place(m, kind);

    if (at == 0)
        return;
    if (below(m, 3) == 0)
        put(m, place_names[kind], at, 8, offset(m));
    else
        put(m, place_names[kind], at, 8,
            boundary(m, image_get(m->image, at, 8)));
}

static void change_data(struct mutation *m)
{
    uint64_t at = below(m, m->size);
    uint64_t length = 1 + below(m, 64);

    tell(m, "noise at %" PRIu64 " length %" PRIu64 "; ", at, length);
    for (uint64_t i = 0; i < length; i++)
        image_put(m->image, at + i, 1, next(m));
}

/* Inside what a compressed cluster has. */
static void change_compressed_data(struct mutation *m)
{
    uint64_t from, to, entry = 0;

    for (int i = 0; !(entry & ENTRY_COMPRESSED) && i < 8; i++)
        entry = image_get(m->image, any_place(m, PLACE_L2), 8);
    if (!(entry & ENTRY_COMPRESSED)) {
        change_data(m);
        return;
    }
    image_compressed_range(&m->g, entry, &from, &to);
    from += below(m, to - from);
    put(m, "compressed data", from, 1,
        image_get(m->image, from, 1) ^ 1 << below(m, 8));
}

static void change_length(struct mutation *m)
{
    size_t room = m->size + MUTATE_ROOM - m->image->size, more;

    if (below(m, 4) == 0) {
        more = 1 + below(m, room < 65536 ? room : 65536);
        tell(m, "%zu bytes more; ", more);
        m->image->size += more;
    } else if (below(m, 2) == 0) {
        m->image->size = below(m, m->image->size + 1);
        tell(m, "cut to %zu bytes; ", m->image->size);
    } else {
        more = below(m, m->image->size < 2048 ? m->image->size : 2048);
        m->image->size -= more;
        tell(m, "%zu bytes less; ", more);
    }
}

static void change_something(struct mutation *m)
{
    uint64_t what = below(m, 100);

    if (what < 16)
        change_field(m);
    else if (what < 20)
        change_feature(m);
    else if (what < 25)
        change_extension(m);
    else if (what < 37)
        change_entry(m, PLACE_L1);
    else if (what < 74)
        change_entry(m, PLACE_L2);
    else if (what < 78)
        change_word(m, PLACE_REFCOUNT_TABLE);
    else if (what < 81)
        change_word(m, PLACE_REFCOUNT_BLOCK);
    else if (what < 84)
        change_word(m, PLACE_SNAPSHOT);
    else if (what < 87)
        change_word(m, PLACE_BITMAP);
    else if (what < 93)
        change_compressed_data(m);
    else if (what < 95)
        change_data(m);
    else
        change_length(m);
}

void mutate(struct image *image, const struct places places[N_PLACE_KINDS],
            uint64_t number, struct story *story)
{
    static const int counts[] = {1, 1, 1, 1, 2, 2, 3, 5};
    struct mutation m = {
        .image = image,
        .places = places,
        .g = image_geometry(image),
        .size = image->size,
        .state = number,
        .story = story,
    };

    story->text[0] = '\0';
    for (int n = counts[below(&m, 8)]; n > 0; n--)
        change_something(&m);
}
