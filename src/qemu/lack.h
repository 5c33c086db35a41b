/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Names what a QEMU lacks, from what it says. */

#ifndef QT_LACK_H
#define QT_LACK_H

#include "base/error.h"

/* If err, which has the last words of a program of QEMU, says that this cannot
 * do what is asked of it (zstd, extended L2 entries, a format), the message
 * becomes one that names it, and errnum ENOTSUP: neither the image nor the
 * plan is to blame.  Else err stays as it is.  Returns -1.
 */
int lack_name(const char *program, struct error *err);

#endif
