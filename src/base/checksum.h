/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The SHA-256 of bytes that come in pieces. */

#ifndef QT_CHECKSUM_H
#define QT_CHECKSUM_H

#include "base/error.h"

#include <stddef.h>

enum {
    CHECKSUM_DIGITS = 64,                 /* hexadecimal ones */
    CHECKSUM_SPACE = CHECKSUM_DIGITS + 1, /* with the zero that ends it */
};

struct checksum;

/* One of no bytes.  *checksum is for checksum_free. */
int checksum_new(struct checksum **checksum, struct error *err);

/* NULL is fine. */
void checksum_free(struct checksum *checksum);

/* For CLEANUP(checksum). */
static inline void cleanup_checksum(struct checksum **checksum)
{
    checksum_free(*checksum);
}

/* The next length bytes. */
int checksum_add(struct checksum *checksum, const void *buf, size_t length,
                 struct error *err);

/* All has been added: writes it in lower case. */
int checksum_finish(struct checksum *checksum, char text[CHECKSUM_SPACE],
                    struct error *err);

#endif
