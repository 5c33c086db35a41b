/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The tables that QEMU wanted to read, and that had not arrived. */

#ifndef QT_MISSING_H
#define QT_MISSING_H

#include "base/vector.h"

#include <stdint.h>

struct missing_table {
    uint64_t file_end; /* a file offset: it ends there */
    uint64_t filled;   /* slices, not empty, that QEMU had read before it */
};

/* In the order in which QEMU reads, which is that of the disk. */
VECTOR_TYPE(missing, struct missing_table);

#endif
