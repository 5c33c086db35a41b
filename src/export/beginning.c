/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Is what a file holds already the beginning of an image? */

#include "config.h"

#include "base/io.h"
#include "export/beginning.h"

#include <errno.h>
#include <inttypes.h>

struct comparison {
    int fd;
    const char *name;
};

static int compare(void *opaque, const void *buf, size_t length,
                   uint64_t file_offset, struct error *err)
{
    const struct comparison *c = opaque;
    const char *expected = buf;

    for (size_t at = 0; at < length;) {
        char found[4096];
        size_t n = io_min(length - at, sizeof found);
        ssize_t got = io_pread_full(c->fd, found, n, file_offset + at);
        size_t same;

        if (got == -1)
            return error_set(err, errno,
                             "destination: cannot read %s at file offset "
                             "%" PRIu64,
                             c->name, file_offset + at);
        same = io_find_difference(found, expected + at, got);
        if (same < n)
            return error_set(err, 0,
                             "destination: %s does not hold the beginning of "
                             "this image: it differs at file offset %" PRIu64,
                             c->name, file_offset + at + same);
        at += n;
    }
    return 0;
}

int beginning_check(const struct skeleton *skeleton, const struct store *store,
                    uint64_t file_end, int fd, const char *name,
                    struct error *err)
{
    struct comparison c = {fd, name};

    return skeleton_read_metadata(skeleton, store, file_end, compare, &c, err);
}
