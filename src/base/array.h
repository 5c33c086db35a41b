/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Room in lists that grow. */

#ifndef QT_ARRAY_H
#define QT_ARRAY_H

#include "base/error.h"

#include <stddef.h>

/* Makes room for one more item behind the count that *list has, of *space;
 * what says what they are.  list is the address of a pointer to items of
 * item_size bytes, from malloc or NULL.
 */
int array_make_room(void *list, size_t count, size_t *space, size_t item_size,
                    const char *what, struct error *err);

/* The same for count items in all, and little more: for lists that are long,
 * and grow by many at once.
 */
int array_reserve(void *list, size_t count, size_t *space, size_t item_size,
                  const char *what, struct error *err);

#endif
