/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Where a disk to export, or the base of one, is found. */

#ifndef QT_SOURCE_ADDRESS_H
#define QT_SOURCE_ADDRESS_H

#include <stdint.h>

enum export_kind {
    EXPORT_NONE,       /* there is none: a base only */
    EXPORT_RAW,        /* device: a raw disk */
    EXPORT_HYBRID,     /* data from device, its allocation map from image */
    EXPORT_IMAGE,      /* image */
    EXPORT_NBD,        /* uri */
    EXPORT_NBD_HYBRID, /* data from device, its allocation map from export */
};

/* The strings that a kind does not have are NULL.  Those that are there belong
 * to the struct: export_source_clear.  Nobody takes them apart further.
 */
struct export_source {
    enum export_kind kind;
    char *device;                    /* path of a raw file or block device */
    char *image_path, *image_format; /* the format as QEMU calls it */
    char *socket_path, *export_name; /* of an NBD server, at a Unix socket */
    uint64_t size;                   /* bytes of the disk; EXPORT_NBD_HYBRID */
    char *uri;                       /* as nbd_connect_uri(3) has it */
};

/* Frees the strings, and makes it EXPORT_NONE. */
void export_source_clear(struct export_source *source);

#define cleanup_export_source export_source_clear /* for CLEANUP() */

#endif
