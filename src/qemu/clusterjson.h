/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Parses the JSON in which xapi 26.0 to 26.15 tells what of a disk is data. */

#ifndef QT_CLUSTERJSON_H
#define QT_CLUSTERJSON_H

#include "base/error.h"
#include "lists/extents.h"

#include <stddef.h>
#include <stdint.h>

/* It is one object, with these members (others are skipped):
 *
 *     virtual_size    bytes
 *     cluster_bits    log2 of the bytes in a cluster
 *     data_clusters   an array, of numbers of those clusters of the disk
 *                     that hold data, or of pairs [first, last] of them
 *
 * as "qcow-stream-tool read_headers" prints it in xapi (numbers, up to 26.15)
 * and in XCP-ng (pairs, package 26.1.3-1.4).  Its numbers are in the order of
 * the clusters in the file: here they may be in any, and twice.
 */
struct clusterjson;

/* NULL: no memory. */
struct clusterjson *clusterjson_new(void);

/* Takes the next piece of text; pieces may end anywhere.  After an error only
 * clusterjson_free is allowed.
 */
int clusterjson_feed(struct clusterjson *j, const char *text, size_t length,
                     struct error *err);

/* The text is complete: checks that nothing is missing.  *virtual_size is what
 * it says, and to data, which is empty, is appended what is data of it.
 */
int clusterjson_end(struct clusterjson *j, uint64_t *virtual_size,
                    struct extents *data, struct error *err);

void clusterjson_free(struct clusterjson *j);

#endif
