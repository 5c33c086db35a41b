/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What an import is doing, for its progress. */

#ifndef QT_PHASES_H
#define QT_PHASES_H

#include "base/progress.h"
#include "import/route.h"

#include <stdint.h>

/* So many bytes have been received.  source_size is the stream's length, or 0;
 * guess stands in where nothing is known.
 */
void phases_received(struct progress *progress, struct route *route,
                     uint64_t received, uint64_t source_size, uint64_t guess);

/* The stream has ended, and the disk is not complete: is it being decoded? */
void phases_ended(struct progress *progress, struct route *route);

/* All is there that the disk needs: what is still being done with it? */
void phases_complete(struct progress *progress, struct route *route);

#endif
