/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parses what `qemu-img info --output=json` prints. */

#ifndef QT_INFOJSON_H
#define QT_INFOJSON_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct infojson {
    uint64_t virtual_size;
    uint64_t cluster_size; /* bytes; 0: there are none, or it does not say */
    bool is_extended_l2;   /* a qcow2 image with subclusters */
    char *data_file;       /* of a qcow2 image, as it records it; NULL: none */
    char *backing_file;    /* as QEMU would open it; NULL: there is none */
    char *backing_format;  /* NULL: the image does not say */
};

/* The strings of *info are the caller's: infojson_clear. */
int infojson_parse(const char *text, size_t length, struct infojson *info,
                   struct error *err);

void infojson_clear(struct infojson *info);

#define cleanup_infojson infojson_clear /* for CLEANUP(infojson) */

#endif
