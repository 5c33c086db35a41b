/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A chain of images, shown to QEMU without a name. */

#ifndef QT_CHAIN_VIEW_H
#define QT_CHAIN_VIEW_H

#include "base/error.h"
#include "export/chain.h"

#include <stdbool.h>
#include <stddef.h>

/* What QEMU can open, as long as it is shown. */
struct chain_view;

/* Shows count links from the link first on; what is below them is hidden.
 * QEMU takes what is behind the end of a file for zeroes; but here a qcow2
 * file that has been cut short cannot be read there.  With is_for_data its
 * last sector may be, as QEMU reads compressed clusters in sectors, but need
 * not write them so.
 */
int chain_show(const struct chain *chain, size_t first, size_t count,
               bool is_for_data, struct chain_view **view, struct error *err);

/* The node, a file name for QEMU's programs, and the fds for it to inherit. */
const char *chain_node(const struct chain_view *view);
const int *chain_fds(const struct chain_view *view, size_t *count);

/* If QEMU has missed something, that is the cause of what came after it:
 * returns -1 with it.
 */
int chain_check(struct chain_view *view, struct error *err);

/* Once QEMU has been reaped; NULL is fine. */
void chain_hide(struct chain_view *view);

#endif
