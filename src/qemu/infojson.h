/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Parses what `qemu-img info --output=json` prints, as it arrives. */

#ifndef QT_INFOJSON_H
#define QT_INFOJSON_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_info {
    uint64_t virtual_size;
    uint64_t cluster_size; /* bytes; 0: there are none, or it does not say */
    bool is_extended_l2;   /* a qcow2 image with subclusters */

    /* Where the data is, if that is all in one other file: of a qcow2 image as
     * it records it, of a flat VMDK as QEMU opens it.  NULL: there is none.
     */
    char *data_file;

    /* As the image records it, and as QEMU would open it; NULL: there is none,
     * or it is the same.
     */
    char *backing_file, *full_backing_file;
    char *backing_format; /* NULL: the image does not say */
};

/* There may be megabytes of text: snapshots, bitmaps, the parts of a VMDK.
 * What is not asked for is passed over, and nothing of it is kept.
 */
struct infojson;

/* NULL: no memory. */
struct infojson *infojson_new(void);

/* Takes the next piece of text; pieces may end anywhere.  Errors: text that is
 * no JSON object, a value that is asked for and over 64 KiB long.  After an
 * error only infojson_free is allowed.
 */
int infojson_feed(struct infojson *j, const char *text, size_t length,
                  struct error *err);

/* The text is complete: checks that the object is, too.  The strings of *info
 * are the caller's: image_info_clear.
 */
int infojson_end(struct infojson *j, struct image_info *info,
                 struct error *err);

/* NULL is fine. */
void infojson_free(struct infojson *j);

void image_info_clear(struct image_info *info);

#define cleanup_image_info image_info_clear /* for CLEANUP(image_info) */

#endif
