/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which images QEMU cannot tell the data of without the file system. */

#ifndef QT_FLAT_H
#define QT_FLAT_H

#include <stdbool.h>

/* Who knows which of an image's bytes are data. */
enum flat_who {
    FLAT_TABLES,      /* its own tables do */
    FLAT_FILE_SYSTEM, /* its file's holes do: it is as large as the disk */
    FLAT_NOBODY,      /* QEMU has no map of it, and calls all data */
};

/* The image in fd (-1 if it is no file), as the format that it is told to
 * have.  Of a VMDK fd is the descriptor, if it has one.
 */
enum flat_who flat_ask(const char *format, int fd);

#endif
