/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Room in lists that grow. */

#include "config.h"

#include "base/array.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int grow(void *list, size_t *space, size_t more, size_t item_size,
                const char *what, struct error *err)
{
    void *items;

    memcpy(&items, list, sizeof items);
    errno = ENOMEM;
    items =
        more > SIZE_MAX / item_size ? NULL : realloc(items, more * item_size);
    if (items == NULL)
        return error_set(err, errno, "no memory for %zu %s", more, what);
    memcpy(list, &items, sizeof items);
    *space = more;
    return 0;
}

int array_make_room(void *list, size_t count, size_t *space, size_t item_size,
                    const char *what, struct error *err)
{
    if (count < *space)
        return 0;
    return grow(list, space, *space == 0 ? 64 : *space * 2, item_size, what,
                err);
}

int array_reserve(void *list, size_t count, size_t *space, size_t item_size,
                  const char *what, struct error *err)
{
    if (count <= *space)
        return 0;
    return grow(list, space, count + count / 8, item_size, what, err);
}
