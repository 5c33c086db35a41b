/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A chain of images, as QEMU finds it by its names. */

#ifndef QT_CHAIN_NAMES_H
#define QT_CHAIN_NAMES_H

#include "base/child.h"
#include "base/error.h"
#include "export/chain.h"

#include <stdbool.h>

/* Is it the name of an fd of ours, which has another meaning in a child? */
bool chain_is_fd_name(const char *path);

/* The chain from the link first on, as QEMU finds it by its names
 * (qemu_chain_options), memory to free, and an fd for it to inherit; -1: none.
 * is_direct: without the page cache, but for links of which the file system
 * has no such thing.
 */
int chain_name(const struct chain *chain, size_t first, bool is_direct,
               char **options, int *inherit, struct error *err);

/* The files that it opens then.  The names are the chain's, their list is to
 * be freed.
 */
int chain_files(const struct chain *chain, size_t first,
                struct qemu_files *files, struct error *err);

/* QEMU opens files by name, and a name can come to mean another file.  These
 * fail unless the paths still mean the files that were opened here, and unless
 * a QEMU that has the chain open has just those.
 */
int chain_check_names(const struct chain *chain, struct error *err);
int chain_check_files(const struct chain *chain, const struct child *child,
                      struct error *err);

#endif
