/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Compares what comes out of a pipe with a file, and keeps nothing of it. */

#ifndef QT_COMPARISON_H
#define QT_COMPARISON_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct comparison;

/* Starts a thread that reads a pipe to its end.  *write_fd is the end to write
 * to, the caller's; reference_fd has to stay open.
 */
int comparison_start(int reference_fd, struct comparison **comparison,
                     int *write_fd, struct error *err);

/* Once write_fd is closed: waits for the thread, and frees it all.  *is_same:
 * they have the same bytes.  *file_offset is the first that only one has, or
 * that is another; if they are the same, it is their length.
 */
int comparison_finish(struct comparison *comparison, bool *is_same,
                      uint64_t *file_offset, struct error *err);

#endif
