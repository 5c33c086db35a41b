/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Keeps a reader from giving up while the image is being planned. */

#ifndef QT_DRIP_H
#define QT_DRIP_H

#include "base/error.h"
#include "export/sink.h"
#include "qemu/header.h"
#include "qemu/qemu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* The first bytes of a stream do not depend on the plan.  They go out one at a
 * time, from a thread, so that nobody waits in vain for long.
 */
struct drip {
    struct sink *sink;    /* nobody else uses it until drip_stop */
    unsigned interval_ms; /* from one byte to the next; 0: none */
    int stop_fd;          /* ends the thread; -1: there is none */
    pthread_t thread;
    unsigned char header[HEADER_BEGINNING];
    uint64_t sent; /* bytes of header */
    atomic_bool is_failed;
    struct error err;
};

/* For drip_start, which need not be called then. */
#define DRIP_NONE ((struct drip){.stop_fd = -1})

/* From now on a byte goes to sink each interval_ms, for an image of a disk
 * of disk_size bytes.  Does nothing if interval_ms is 0, or where nobody
 * waits: in a file.  sink and drip have to stay where they are.
 */
int drip_start(struct drip *drip, struct sink *sink, unsigned interval_ms,
               const struct qcow2_options *options, uint64_t disk_size,
               struct error *err);

/* Ends that.  The image is at fd, complete at least in its first
 * HEADER_BEGINNING bytes.  *file_offset is where in it the rest begins.  Fails
 * if the reader has left, or was sent something that is not the image's.
 */
int drip_stop(struct drip *drip, int fd, uint64_t *file_offset,
              struct error *err);

/* Ends it, whatever became of the image.  After drip_stop it does nothing. */
void drip_close(struct drip *drip);

#endif
