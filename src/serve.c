/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qcow-tool serve: a qcow2 stream lands on a disk. */

/* Notes on the design
 *
 *     gate --> receive into the store, while the mapper follows
 *          --> check the end --> drain --> move to the disk --> flush
 *
 * The gate decides on the header, before anything else is touched.  Then
 * this thread does nothing but receive, so that the sender never waits for
 * QEMU.  All is there when the whole disk is mapped and every mapped byte
 * has arrived: not when the stream ends, because HTTP clients keep the
 * connection open.  Until then nothing has been written to the destination,
 * and a stream that ends too early, or is refused, has cost nothing.
 *
 * A sender may still have bytes for us that no part of the disk needs: a
 * refcount table at the end, say.  They are taken and dropped, or it would
 * see its connection break.  They end where --source-size says, or with the
 * stream, or when nothing has come for a second.
 */

#include "config.h"

#include "cleanup.h"
#include "gate.h"
#include "io.h"
#include "log.h"
#include "mapper.h"
#include "qemu-img.h"
#include "route.h"
#include "serve.h"
#include "store.h"
#include "target.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { SILENCE_MS = 1000 };

/* What is open while a disk is imported. */
struct import {
    const struct serve_options *options;
    struct target target;
    struct gate_image image;
    struct store *store;
    struct mapper *mapper;
    struct mapper_map map;
    bool is_mapped; /* map is complete */
    bool is_ended;  /* so is the stream */
    uint64_t received;
    struct progress progress;
    char buf[IO_PIECE];
};

static void import_free(struct import *m)
{
    mapper_free(m->mapper);
    mapper_map_clear(&m->map);
    store_free(m->store);
    target_close(&m->target);
    free(m);
}

static void cleanup_import(struct import **m)
{
    if (*m != NULL)
        import_free(*m);
}

/* Reads the next bytes of the stream into m->buf.  Returns how many, 0 at
 * its end, or -1.
 */
static ssize_t receive(struct import *m, size_t length, struct error *err)
{
    uint64_t size = m->options->source_size;
    ssize_t n;

    if (size != 0)
        length = io_min(length, size - m->received);
    if (length == 0)
        return 0;
    n = io_read(m->options->source_fd, m->buf, length);
    if (n == -1)
        return error_set(err, errno,
                         "source: cannot read at file offset %" PRIu64,
                         m->received);
    m->received += n;
    return n;
}

/* Puts what has just been received into the store. */
static int store_received(struct import *m, size_t length, struct error *err)
{
    gate_clean(&m->image, store_arrived(m->store), (unsigned char *)m->buf,
               length);
    return store_append(m->store, m->buf, length, err);
}

/* The header decides whether there is anything to do. */
static int pass_gate(struct import *m, struct error *err)
{
    unsigned char header[GATE_HEADER];
    size_t length = 0;

    while (length < sizeof header) {
        ssize_t n = receive(m, sizeof header - length, err);

        if (n == -1)
            return -1;
        if (n == 0)
            break;
        memcpy(header + length, m->buf, n);
        length += n;
    }
    if (gate_check(header, length, &m->image, err) == -1)
        return -1;
    if (m->target.size < m->image.virtual_size &&
        m->image.virtual_size - m->target.size >= m->image.cluster_size)
        return error_set(err, 0,
                         "destination: too small: %s has %" PRIu64
                         " bytes, and the image's disk %" PRIu64,
                         m->options->destination, m->target.size,
                         m->image.virtual_size);
    memcpy(m->buf, header, length);
    return 0;
}

/* Takes over the map.  What it says must be possible. */
static int finish_mapping(struct import *m, struct error *err)
{
    if (mapper_finish(m->mapper, &m->map, err) == -1)
        return -1;
    m->is_mapped = true;
    for (size_t i = 0; log_is_debug() && i < m->map.data.count; i++)
        log_debug("map: file offset %" PRIu64 " length %" PRIu64
                  " disk offset %" PRIu64,
                  m->map.data.list[i].file_offset, m->map.data.list[i].length,
                  m->map.data.list[i].disk_offset);
    return 0;
}

static bool is_complete(const struct import *m)
{
    return m->is_mapped && m->received >= filemap_end(&m->map.data);
}

static void show_received(struct import *m)
{
    uint64_t total = m->options->source_size;

    if (m->is_mapped)
        total = filemap_end(&m->map.data);
    else if (total == 0)
        total = io_max(m->options->size_hint, m->image.virtual_size);
    m->progress.total = io_max(total, m->received);
    progress_set(&m->progress, m->received);
}

/* Is this as much of the stream as was announced? */
static bool is_announced_end(const struct import *m)
{
    return m->options->source_size != 0 &&
           m->received == m->options->source_size;
}

/* Receives until all that the disk needs is there. */
static int receive_all(struct import *m, struct error *err)
{
    while (!is_complete(m) && !m->is_ended) {
        int wake_fd = m->is_mapped ? -1 : mapper_fd(m->mapper);
        int ready = io_wait(m->options->source_fd, POLLIN, wake_fd, -1);
        ssize_t n;

        if (ready == -1)
            return error_set(err, errno, "source");
        if (ready == 0) {
            if (finish_mapping(m, err) == -1)
                return -1;
            continue;
        }
        n = receive(m, sizeof m->buf, err);
        if (n == -1 || (n > 0 && store_received(m, n, err) == -1))
            return -1;
        m->is_ended = n == 0 || is_announced_end(m);
        show_received(m);
    }
    store_end_stream(m->store);
    if (!m->is_mapped && finish_mapping(m, err) == -1)
        return -1;
    if (!is_complete(m))
        return error_set(err, 0,
                         "source: truncated: it ends at file offset %" PRIu64
                         ", and data reaches to %" PRIu64,
                         m->received, filemap_end(&m->map.data));
    return 0;
}

/* Takes what nobody needs. */
static int drain(struct import *m, struct error *err)
{
    m->is_ended = m->is_ended || is_announced_end(m);
    while (!m->is_ended) {
        bool is_sized = m->options->source_size != 0;
        int ready = io_wait(m->options->source_fd, POLLIN, -1,
                            is_sized ? -1 : SILENCE_MS);
        ssize_t n;

        if (ready == -1)
            return error_set(err, errno, "source");
        if (ready == 0)
            return 0;
        n = receive(m, sizeof m->buf, err);
        if (n == -1)
            return -1;
        m->is_ended = n == 0 || is_announced_end(m);
    }
    return 0;
}

static void summarize(const struct import *m, uint64_t spooled)
{
    log_summary("received %" PRIu64 " bytes: %" PRIu64
                " of data in %zu ranges for a disk of %" PRIu64
                "; spooled %" PRIu64 "; %u mapper runs",
                m->received, filemap_total(&m->map.data), m->map.data.count,
                m->image.virtual_size, spooled, mapper_runs(m->mapper));
}

static int import(struct import *m, struct error *err)
{
    const struct serve_options *o = m->options;
    uint64_t spooled;

    if (target_open(o->destination, o->is_direct, &m->target, err) == -1)
        return -1;
    if (io_is_same(o->source_fd, m->target.fd))
        return error_set(err, 0, "destination: it is the source");
    progress_open(&m->progress, o->progress, STDOUT_FILENO);
    if (qemu_img_check_version(&o->qemu, err) == -1 ||
        pass_gate(m, err) == -1 ||
        target_create(&m->target, m->image.virtual_size, err) == -1 ||
        store_new(o->spool_dir, &m->store, err) == -1 ||
        store_received(m, GATE_HEADER, err) == -1 ||
        mapper_start(&o->qemu, m->store, &m->image, &m->mapper, err) == -1)
        return -1;

    progress_stage(&m->progress, 50, 0);
    if (receive_all(m, err) == -1 ||
        route_check_end(m->store, &m->map, &m->target, err) == -1 ||
        drain(m, err) == -1)
        return -1;
    spooled = store_spooled(m->store);

    progress_stage(&m->progress, 100, filemap_total(&m->map.data));
    if (route_move(m->store, &m->map, m->image.virtual_size, o->is_prezeroed,
                   &m->target, &m->progress, err) == -1 ||
        target_finish(&m->target, err) == -1)
        return -1;
    progress_succeed(&m->progress);
    summarize(m, spooled);
    return 0;
}

int serve(const struct serve_options *options, struct error *err)
{
    struct import *CLEANUP(import) m = calloc(1, sizeof *m);

    if (m == NULL)
        return error_set(err, errno, "import");
    m->options = options;
    m->target.fd = m->target.direct_fd = -1;
    return import(m, err);
}
