/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Where bytes of the disk lie in the files of images, just as they are. */

#include "config.h"

#include "base/assert.h"
#include "base/cleanup.h"
#include "lists/places.h"
#include "lists/sorted.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

VECTOR_FUNCTIONS(places, struct place, "places in files");
SORTED_SEARCH(find_behind, struct place, place_end);

int places_add(struct places *places, const struct place *p, struct error *err)
{
    struct place *last = NULL;

    if (places->count > 0)
        last = &places->list[places->count - 1];
    if (last != NULL && last->link == p->link &&
        place_end(last) == p->disk_offset &&
        last->file_offset + last->length == p->file_offset) {
        last->length += p->length;
        return 0;
    }
    return places_push(places, *p, err);
}

static int compare(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return (x->disk_offset > y->disk_offset) -
           (x->disk_offset < y->disk_offset);
}

/* Appends to covered, which is empty, what they cover. */
static int cover(const struct places *places, struct extents *covered,
                 struct error *err)
{
    for (size_t i = 0; i < places->count; i++) {
        const struct place *p = &places->list[i];

        if (extents_append(covered, p->disk_offset, p->length, err) == -1)
            return -1;
    }
    return 0;
}

static int find_others(const struct places *places, const struct extents *data,
                       struct extents *others, struct error *err)
{
    struct extents CLEANUP(extents) covered = {0};

    if (cover(places, &covered, err) == -1)
        return -1;
    return extents_combine(data, EXTENTS_WITHOUT, &covered, INT64_MAX, others,
                           err);
}

/* Leaves out the stretches that are too short; returns whether there were any.
 * Between two of others lies one stretch of places, or none.
 */
static bool leave_out_short(struct places *places,
                            const struct extents *others, uint64_t shortest)
{
    size_t kept = 0, i = 0, end;

    for (size_t next = 0; i < places->count; i = end, next++) {
        bool is_inside = next > 0 && next < others->count;
        uint64_t length = 0;

        end = i;
        while (end < places->count &&
               (next == others->count || places->list[end].disk_offset <
                                             others->list[next].disk_offset))
            length += places->list[end++].length;
        if (is_inside && length < shortest)
            continue;
        while (i < end)
            places->list[kept++] = places->list[i++];
    }
    if (kept == places->count)
        return false;
    places->count = kept;
    return true;
}

int places_settle(struct places *places, const struct extents *data,
                  uint64_t shortest, struct extents *others, struct error *err)
{
    ASSERT(others->count == 0);
    if (places->count > 0) /* qsort wants no NULL */
        qsort(places->list, places->count, sizeof *places->list, compare);
    if (find_others(places, data, others, err) == -1)
        return -1;
    if (leave_out_short(places, others, shortest)) {
        extents_clear(others);
        if (find_others(places, data, others, err) == -1)
            return -1;
    }
    places_shrink(places);
    return 0;
}

size_t places_find(const struct places *places, uint64_t disk_offset)
{
    return find_behind(places->list, places->count, disk_offset);
}

uint64_t places_total(const struct places *places)
{
    uint64_t total = 0;

    for (size_t i = 0; i < places->count; i++)
        total += places->list[i].length;
    return total;
}

void places_move(struct places *to, struct places *from)
{
    places_free(to);
    *to = *from;
    *from = (struct places){0};
}

void places_clear(struct places *places)
{
    places_free(places);
}
