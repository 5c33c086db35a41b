/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes apart the names of sources that have several parts. */

#ifndef QT_HYBRID_H
#define QT_HYBRID_H

#include "base/error.h"

#include <stdint.h>

/* As names may have colons of their own, a part ends at the first colon
 * before which a file that exists is named; if there is none, at the first.
 */

/* Splits "DEVICE:IMAGE".  Memory to free, in both. */
int hybrid_split(const char *hybrid, char **device, char **image,
                 struct error *err);

struct hybrid_nbd {
    char *device, *socket_path, *export_name;
    uint64_t size; /* bytes */
};

/* Splits "DEVICE:NBD-SOCKET:EXPORT:SIZE".  SIZE comes after the last colon. */
int hybrid_split_nbd(const char *hybrid, struct hybrid_nbd *parts,
                     struct error *err);

void hybrid_nbd_clear(struct hybrid_nbd *parts);

#define cleanup_hybrid_nbd hybrid_nbd_clear /* for CLEANUP(hybrid_nbd) */

#endif
