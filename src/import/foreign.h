/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names what came in the place of a qcow2 image. */

#ifndef QT_FOREIGN_H
#define QT_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>

enum {
    FOREIGN_BYTES = 33 << 10, /* of its beginning tell all that can be told */
    FOREIGN_WORDS = 200,
};

/* Says in words what begins with these length bytes, and what to do with it:
 * "gzip data: pipe it through gzip -dc".  False: nobody knows.
 */
bool foreign_describe(const unsigned char *bytes, size_t length,
                      char words[FOREIGN_WORDS]);

#endif
