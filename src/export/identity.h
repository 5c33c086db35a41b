/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* By what two streams can be told to be of one image. */

#ifndef QT_IDENTITY_H
#define QT_IDENTITY_H

#include "base/checksum.h"
#include "base/error.h"
#include "export/skeleton.h"
#include "nbd/store.h"

#include <stdbool.h>
#include <stdint.h>

/* A SHA-256 in lower-case hexadecimal digits, and the NUL. */
enum { IDENTITY_DIGITS = CHECKSUM_DIGITS, IDENTITY_SPACE = CHECKSUM_SPACE };

/* Fills id with the digest of all that is known of an image before its data:
 * how large disk and file are, every byte of metadata, and which piece of the
 * file is which piece of the disk.  Reads all metadata in the store.
 */
int identity_compute(const struct skeleton *skeleton,
                     const struct store *store, uint64_t disk_size,
                     char id[IDENTITY_SPACE], struct error *err);

/* Could text be an identity, in digits of either case? */
bool identity_is_valid(const char *text);

/* Are these two, which are valid, the same? */
bool identity_is_equal(const char *id, const char *other_id);

#endif
