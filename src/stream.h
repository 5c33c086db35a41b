/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qcow-tool stream: a disk goes out as qcow2. */

#ifndef QT_STREAM_H
#define QT_STREAM_H

#include "error.h"
#include "layout.h"
#include "progress.h"
#include "qemu.h"

#include <stdbool.h>

enum source_format {
    SOURCE_RAW,    /* source is a disk, of which all is read */
    SOURCE_HYBRID, /* DEVICE:IMAGE, data and allocation map */
};

struct stream_options {
    struct qemu qemu;
    enum source_format source_format;
    const char *source;
    const char *image_format; /* of IMAGE */
    const char *destination;  /* a path, or NULL: destination_fd */
    int destination_fd;
    enum layout layout;
    struct qcow2_options qcow2;
    bool is_direct;
    const char *spool_dir;
    enum progress_mode progress;
};

/* Returns 0 once the whole image has been sent, and flushed if it went to a
 * file.
 */
int stream(const struct stream_options *options, struct error *err);

#endif
