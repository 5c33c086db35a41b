/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What an image says of itself: its size, and which files it needs. */

#ifndef QT_CHAIN_INFO_H
#define QT_CHAIN_INFO_H

#include "export/chain.h"
#include "qemu/infojson.h"

/* Of a link that has been opened: a qcow2 file by its header, others by QEMU.
 * Who has taken QEMU over by an image may say anything.  So what no image of
 * the format can say is an error.
 */
int chain_read_info(const struct qemu *qemu, const struct chain_link *link,
                    struct image_info *info, struct error *err);

/* How many ranges may there be in the map of a link of which that is known? An
 * entry of a table has 4 bytes or more and describes a range; an extended L2
 * entry has 16, and 32 ranges.
 */
uint64_t chain_count_ranges(const struct chain_link *link,
                            const struct image_info *info);

#endif
