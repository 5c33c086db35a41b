/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Room in lists that grow. */

#include "config.h"

#include "array.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int array_make_room(void *list, size_t count, size_t *space, size_t item_size,
                    const char *what, struct error *err)
{
    size_t more = *space == 0 ? 64 : *space * 2;
    void *items;

    if (count < *space)
        return 0;
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
