/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Lists that grow, each with items of its own type. */

#ifndef QT_VECTOR_H
#define QT_VECTOR_H

#include "base/error.h"

#include <stddef.h>
#include <stdlib.h>

/* VECTOR_TYPE(name, type); in a header defines struct name, a list of items
 * of that type.  All-zero is the empty list.  Who holds it frees list.
 */
#define VECTOR_TYPE(name, type)                                               \
    struct name {                                                             \
        type *list;                                                           \
        size_t count, space; /* items there are, and that have room */        \
    }

/* VECTOR_FUNCTIONS(name, type, what) in the one .c file that may add items
 * defines, for messages that call them what:
 *
 * int name_push(struct name *v, type item, struct error *err)
 *     adds an item behind the others;
 *
 * int name_reserve(struct name *v, size_t count, struct error *err)
 *     makes room for count items in all, and few more: for lists that are
 *     long and grow by many at once;
 *
 * void name_shrink(struct name *v)
 *     gives back room that is not used;
 *
 * void name_free(struct name *v)
 *     frees the list, which is empty then.
 *
 * The first two return -1 if there is no memory: the list is as it was then.
 */
#define VECTOR_FUNCTIONS(name, type, what)                                    \
    __attribute__((unused)) static inline int name##_resize(                  \
        struct name *v, size_t space, struct error *err)                      \
    {                                                                         \
        type *list = vector_resize(v->list, space, sizeof *list, what, err);  \
                                                                              \
        if (list == NULL)                                                     \
            return -1;                                                        \
        v->list = list;                                                       \
        v->space = space;                                                     \
        return 0;                                                             \
    }                                                                         \
                                                                              \
    __attribute__((unused)) static inline int name##_push(struct name *v,     \
                                                          type item,          \
                                                          struct error *err)  \
    {                                                                         \
        if (v->count == v->space &&                                           \
            name##_resize(v, v->space == 0 ? 64 : v->space * 2, err) == -1)   \
            return -1;                                                        \
        v->list[v->count++] = item;                                           \
        return 0;                                                             \
    }                                                                         \
                                                                              \
    __attribute__((unused)) static inline int name##_reserve(                 \
        struct name *v, size_t count, struct error *err)                      \
    {                                                                         \
        return count <= v->space ? 0                                          \
                                 : name##_resize(v, count + count / 8, err);  \
    }                                                                         \
                                                                              \
    __attribute__((unused)) static inline void name##_shrink(struct name *v)  \
    {                                                                         \
        struct error ignored;                                                 \
                                                                              \
        if (v->count > 0 && v->count < v->space)                              \
            name##_resize(v, v->count, &ignored);                             \
    }                                                                         \
                                                                              \
    __attribute__((unused)) static inline void name##_free(struct name *v)    \
    {                                                                         \
        free(v->list);                                                        \
        *v = (struct name){0};                                                \
    }                                                                         \
                                                                              \
    struct name /* so that a semicolon follows */

/* realloc(3) for count items of item_size bytes, at least one; items may be
 * NULL.  Returns NULL, and items stay as they are, if there is no memory.
 */
void *vector_resize(void *items, size_t count, size_t item_size,
                    const char *what, struct error *err);

#endif
