/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Search in lists whose items follow each other and do not overlap. */

#ifndef QT_SORTED_H
#define QT_SORTED_H

#include <stddef.h>
#include <stdint.h>

/* SORTED_SEARCH(name, type, end); in a .c file defines
 *
 * size_t name(const type *list, size_t count, uint64_t offset)
 *     the index of the first item that ends behind offset, in whose unit
 *     end(item) is; count if there is none.
 */
#define SORTED_SEARCH(name, type, end)                                        \
    static inline size_t name(const type *list, size_t count,                 \
                              uint64_t offset)                                \
    {                                                                         \
        size_t from = 0, to = count;                                          \
                                                                              \
        while (from < to) {                                                   \
            size_t middle = from + (to - from) / 2;                           \
                                                                              \
            if (end(&list[middle]) <= offset)                                 \
                from = middle + 1;                                            \
            else                                                              \
                to = middle;                                                  \
        }                                                                     \
        return from;                                                          \
    }                                                                         \
                                                                              \
    struct name /* so that a semicolon follows */

#endif
