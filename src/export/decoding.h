/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Can the compressed clusters of an image be decoded? */

#ifndef QT_DECODING_H
#define QT_DECODING_H

#include "base/error.h"
#include "nbd/anatomy.h"
#include "qemu/qemu.h"

#include <stdbool.h>
#include <stdint.h>

struct decoding {
    uint64_t needed_end;  /* file offset behind what is missing; 0: nothing */
    bool is_bad;          /* all is there, but QEMU cannot decode it */
    uint64_t disk_offset; /* what is bad */
};

/* Has QEMU decode all of them, up to the first that it cannot, in the image
 * that is open as fd.  The error is ours, QEMU's, or one of reading the file.
 */
int decoding_try(const struct qemu *qemu, int fd,
                 const struct anatomy *anatomy, struct decoding *result,
                 struct error *err);

#endif
