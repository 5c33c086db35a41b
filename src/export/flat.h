/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Whether the map of an image is its own, or that of the file system. */

#ifndef QT_FLAT_H
#define QT_FLAT_H

#include <stdbool.h>

/* What tells which bytes of an image are data. */
enum map_origin {
    MAP_BY_TABLES,      /* its own tables do */
    MAP_BY_FILE_SYSTEM, /* its file's holes do: it is as large as the disk */
    MAP_BY_NOBODY,      /* QEMU has no map of it, and calls all data */
};

/* The image in fd (-1 if it is no file), as the format that it is told to
 * have.  Of a VMDK fd is the descriptor, if it has one.
 */
enum map_origin map_origin_of(const char *format, int fd);

#endif
