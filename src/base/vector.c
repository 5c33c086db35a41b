/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Lists that grow, each with items of its own type. */

#include "config.h"

#include "base/vector.h"

#include <errno.h>
#include <stdint.h>

void *vector_resize(void *items, size_t count, size_t item_size,
                    const char *what, struct error *err)
{
    errno = ENOMEM;
    items = count > SIZE_MAX / item_size ? NULL
                                         : realloc(items, count * item_size);
    if (items == NULL)
        error_set(err, errno, "no memory for %zu %s", count, what);
    return items;
}
