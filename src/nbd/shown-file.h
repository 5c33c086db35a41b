/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A qcow2 file that QEMU is shown over the bridge: its end is noticed. */

#ifndef QT_SHOWN_FILE_H
#define QT_SHOWN_FILE_H

#include "base/error.h"
#include "nbd/server.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* QEMU takes what is behind the end of a file for zeroes.  So it is told of a
 * longer one, and what it reads there is missing: that is an error to it.
 */
struct shown_file {
    int fd;
    bool is_for_data;
    struct nbd_export export;
    struct nbd_server *server; /* NULL: it is not shown */
    atomic_ullong missed;
    atomic_int failure;
    uint64_t failed_at; /* set before failure is */
};

/* Shows the file that is open as fd, which stays the caller's.  Where *file
 * lies it has to stay.  *bridge_fd is the end for QEMU to inherit, and the
 * file's.  With is_for_data the last sector may be cut off, as QEMU reads
 * compressed clusters in sectors, but need not write them so.
 */
int shown_file_start(struct shown_file *file, int fd, bool is_for_data,
                     int *bridge_fd, struct error *err);

/* The file offset behind what QEMU wanted and is not there; 0: nothing. */
uint64_t shown_file_missed(const struct shown_file *file);

/* The errno of a read of the file that failed, or 0; at *file_offset. */
int shown_file_failure(const struct shown_file *file, uint64_t *file_offset);

/* Once QEMU has been reaped; one that is not shown is fine. */
void shown_file_stop(struct shown_file *file);

#endif
