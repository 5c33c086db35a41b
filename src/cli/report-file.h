/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Where --report goes, and what it looks like there. */

#ifndef QT_REPORT_FILE_H
#define QT_REPORT_FILE_H

#include "base/error.h"
#include "base/report.h"
#include "qemu/qemu.h"

struct report_file {
    const char *path; /* or NULL: the fd is the caller's */
    int fd;           /* -1: no report is wanted */
};

/* Opens what --report says, before anything else is done.  A file that is
 * there is not emptied before the report is written, and refused if it is no
 * report.
 */
int report_file_open(struct report_file *file, struct error *err);

/* Writes one JSON object and closes the file.  failure is NULL if all went
 * well.
 */
int report_file_write(struct report_file *file, struct report *report,
                      const char *command, const struct qemu *qemu,
                      const struct error *failure, struct error *err);

#endif
