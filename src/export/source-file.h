/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A disk to read that is a raw file or a block device. */

#ifndef QT_SOURCE_FILE_H
#define QT_SOURCE_FILE_H

#include "base/error.h"
#include "export/source.h"

#include <stdbool.h>

/* is_direct asks for O_DIRECT; where there is none, it is done without.  role
 * is as in struct source, and path, too, has to outlive it.
 */
int source_file_open(const char *role, const char *path, bool is_direct,
                     struct source **source, struct error *err);

/* Can the file be read with O_DIRECT? */
bool source_file_can_direct(const char *path);

#endif
