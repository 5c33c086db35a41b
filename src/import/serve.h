/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qcow-tool serve: a qcow2 stream lands on a disk. */

#ifndef QT_SERVE_H
#define QT_SERVE_H

#include "base/error.h"
#include "base/progress.h"
#include "base/report.h"
#include "import/destination.h"
#include "qemu/qemu.h"

#include <stdbool.h>
#include <stdint.h>

struct serve_options {
    struct qemu qemu;
    int source_fd;
    uint64_t source_size; /* the stream's exact length; 0: not known */
    uint64_t size_hint;   /* if has_size_hint: may be that, or anything */
    bool has_size_hint;
    struct destination destination;
    bool is_prezeroed;
    const char *spool_dir;
    uint64_t spool_limit; /* bytes; 0: none; or STORE_HALF_FREE (store.h) */
    bool has_checksum;    /* of what comes, SHA-256 */
    uint64_t rate_limit;  /* bytes a second; 0: none */
    enum progress_mode progress;
    struct report *report; /* to be filled in; NULL: none is wanted */
};

/* Returns 0 once the whole disk is on stable storage. */
int serve(const struct serve_options *options, struct error *err);

#endif
