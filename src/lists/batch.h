/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Items that come in any order, and go into an ascending list. */

#ifndef QT_BATCH_H
#define QT_BATCH_H

#include "base/vector.h"

#include <stdlib.h>
#include <string.h>

/* BATCH_FUNCTIONS(set, batch, type, what, join); is for two lists (vector.h)
 * of items that have a file_offset: batch has them in any order, set ascends
 * by file_offset.  join tells whether the item next continues last, which it
 * then makes longer by it:
 *
 * bool join(type *last, const type *next);
 *
 * It defines the VECTOR_FUNCTIONS of both, and
 *
 * void batch_sort(struct batch *b)
 *     sorts it by file_offset;
 *
 * int set_merge_sorted(struct set *s, struct batch *b, struct error *err)
 *     moves all items of b, which is sorted, into s, and leaves b empty.  Both
 *     are as they were if there is no memory.
 *
 * Merging is done in place, or the batch becomes the set: it takes no more
 * memory than both have.
 */
#define BATCH_FUNCTIONS(set, batch, type, what, join)                         \
    VECTOR_FUNCTIONS(set, type, what);                                        \
    VECTOR_FUNCTIONS(batch, type, what);                                      \
                                                                              \
    static int batch##_compare(const void *a, const void *b)                  \
    {                                                                         \
        const type *x = a, *y = b;                                            \
                                                                              \
        return (x->file_offset > y->file_offset) -                            \
               (x->file_offset < y->file_offset);                             \
    }                                                                         \
                                                                              \
    static void batch##_sort(struct batch *b)                                 \
    {                                                                         \
        if (b->count > 0) /* qsort wants no NULL */                           \
            qsort(b->list, b->count, sizeof *b->list, batch##_compare);       \
    }                                                                         \
                                                                              \
    /* Joins what can be joined, from the item number first on. */            \
    static void set##_join_from(struct set *s, size_t first)                  \
    {                                                                         \
        size_t last = first;                                                  \
                                                                              \
        for (size_t i = first + 1; i < s->count; i++)                         \
            if (!join(&s->list[last], &s->list[i]))                           \
                s->list[++last] = s->list[i];                                 \
        s->count = last + 1;                                                  \
    }                                                                         \
                                                                              \
    static int set##_merge_sorted(struct set *s, struct batch *b,             \
                                  struct error *err)                          \
    {                                                                         \
        size_t i = s->count, j = b->count, to = i + j;                        \
                                                                              \
        if (j == 0)                                                           \
            return 0;                                                         \
        if (i == 0) { /* nothing to merge with */                             \
            set##_free(s);                                                    \
            *s = (struct set){b->list, b->count, b->space};                   \
            *b = (struct batch){0};                                           \
            set##_join_from(s, 0);                                            \
            set##_shrink(s);                                                  \
            return 0;                                                         \
        }                                                                     \
        if (set##_reserve(s, to, err) == -1)                                  \
            return -1;                                                        \
        s->count = to;                                                        \
        /* From the back, so that it needs no room besides. */                \
        while (j > 0) {                                                       \
            if (i > 0 &&                                                      \
                s->list[i - 1].file_offset > b->list[j - 1].file_offset)      \
                s->list[--to] = s->list[--i];                                 \
            else                                                              \
                s->list[--to] = b->list[--j];                                 \
        }                                                                     \
        set##_join_from(s, i > 0 ? i - 1 : 0);                                \
        batch##_free(b);                                                      \
        return 0;                                                             \
    }                                                                         \
                                                                              \
    struct set /* so that a semicolon follows */

#endif
