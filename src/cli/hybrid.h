/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Takes apart the names of sources that have several parts. */

#ifndef QT_HYBRID_H
#define QT_HYBRID_H

#include "base/error.h"
#include "export/source-address.h"

/* As names may have colons of their own, a part ends at the first colon
 * before which a file that exists is named; if there is none, at the first.
 */

/* Splits "DEVICE:IMAGE" into source, which has to be empty, and is the
 * caller's to clear even if that fails.  The image's format is left alone.
 */
int hybrid_split(const char *hybrid, struct export_source *source,
                 struct error *err);

/* The same for "DEVICE:NBD-SOCKET:EXPORT:SIZE".  SIZE, a number of bytes,
 * comes after the last colon.
 */
int hybrid_split_nbd(const char *hybrid, struct export_source *source,
                     struct error *err);

#endif
