/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Names what came in the place of a qcow2 image, or stands in its way. */

#ifndef QT_FOREIGN_H
#define QT_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>

enum {
    FOREIGN_BYTES = 33 << 10, /* of its beginning tell all that can be told */
    FOREIGN_WORDS = 200,
    FOREIGN_IMAGE_BYTES = 512, /* of its beginning tell foreign_find_image */
};

/* Says in words what begins with these length bytes, and what to do with it:
 * "gzip data: pipe it through gzip -dc".  False: nobody knows.
 */
bool foreign_describe(const unsigned char *bytes, size_t length,
                      char words[FOREIGN_WORDS]);

/* What begins with these length bytes, if that is an image in a format that
 * QEMU reads, raw ones aside: "a qcow2 image".  NULL: it is none.
 */
const char *foreign_find_image(const unsigned char *bytes, size_t length);

#endif
