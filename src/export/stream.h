/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qcow-tool stream: a disk goes out as qcow2. */

#ifndef QT_STREAM_H
#define QT_STREAM_H

#include "base/error.h"
#include "base/progress.h"
#include "export/export.h"
#include "export/sink.h"

#include <stdbool.h>
#include <stdint.h>

struct stream_options {
    struct export_options export;
    struct sink_address destination;
    enum claim_policy claim; /* of the destination */
    bool has_checksum;       /* of what is sent, SHA-256 */
    uint64_t rate_limit;     /* bytes a second; 0: none */
    enum progress_mode progress;

    /* While the image is planned a reader gets a byte of it each so many
     * seconds (drip.h); 0: none.
     */
    unsigned first_byte_within;
};

enum { STREAM_FIRST_BYTE_WITHIN = 20 }; /* by default */

/* Returns 0 once the whole image has been sent, and flushed if it went to a
 * file.
 */
int stream(const struct stream_options *options, struct error *err);

#endif
