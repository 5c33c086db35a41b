/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qcow-tool validate: is a stream what it shall be? */

#ifndef QT_VALIDATE_H
#define QT_VALIDATE_H

#include "base/error.h"
#include "base/progress.h"
#include "export/export.h"

#include <stdbool.h>

struct validate_options {
    struct export_options export; /* whose stream is to be proven, or ... */
    bool is_stream;               /* ... one that has been received: ... */
    const char *stream_path;      /* ... at this path; NULL: standard input */
    bool is_json;                 /* what is printed */
    enum progress_mode progress;
};

/* Prints what it has found on standard output.  Anything that is not good is
 * an error, too.
 *
 * What `stream` sends with these options is compared with what `qemu-img
 * convert` writes, if that is its layout; else it is examined (examine.h) and
 * compared with the source, by `qemu-img compare`.
 */
int validate(const struct validate_options *options, struct error *err);

#endif
