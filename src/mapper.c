/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds out what each byte of an arriving qcow2 stream is. */

/* Notes on the design
 *
 * qcow2 needs random access and a socket has none, so QEMU takes page
 * faults: `qemu-img map` runs on what has arrived so far, fails where a table
 * is missing, and the bridge notes which bytes it wanted.  When they have
 * come, it is run again.  A run takes about 10 ms, so what matters is how
 * many there are.
 *
 * The disk is mapped in windows.  A run that faults is wasted (the map
 * prints a merged range only when the next one differs, so what it printed
 * says nothing about its last range), and the larger its window the larger
 * the waste; but windows that succeed should be few.  So they double, and
 * go back to one unit on a fault.  A unit is what one L2 table describes,
 * but at least 256 MiB: with 4 KiB clusters a table covers 2 MiB only.
 *
 * The map is checked as far as it is ours to check: it covers the window
 * without a gap (mapjson), no byte of the file is two bytes of the disk
 * (filemap), and none lies in the header.
 *
 * A fault past the end of a stream that has ended is how truncation shows.
 */

#include "config.h"

#include "cleanup.h"
#include "io.h"
#include "mapper.h"
#include "nbd-server.h"
#include "qemu-img.h"
#include "signals.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/eventfd.h>

#define SMALLEST_UNIT (UINT64_C(256) << 20)

struct mapper {
    const struct qemu *qemu;
    struct store *store;
    const struct gate_image *image;

    pthread_t thread;
    bool is_running; /* the thread is to be joined */
    int done_fd, cancel_fd;

    /* The thread's until it is joined. */
    int result;
    struct error err;
    struct mapper_map map;
    unsigned runs;
};

/* One run's findings, which count only when it succeeds. */
struct findings {
    const struct gate_image *image;
    struct filemap_batch data;
    struct extents zeroes;
    uint64_t disk_end; /* of the last entry */
};

static void cleanup_findings(struct findings *f)
{
    filemap_batch_clear(&f->data);
    extents_clear(&f->zeroes);
}

static int take_entry(void *opaque, const struct mapjson_entry *e,
                      struct error *err)
{
    struct findings *f = opaque;

    f->disk_end = e->disk_offset + e->length;
    if (e->is_zero)
        return e->is_present
                   ? extents_append(&f->zeroes, e->disk_offset, e->length, err)
                   : 0;
    if (!e->is_data)
        return 0;
    /* XXX Compressed clusters have to be read back through QEMU. */
    if (e->is_compressed || !e->has_file_offset)
        return error_set(err, ENOTSUP,
                         "compressed clusters at disk offset %" PRIu64,
                         e->disk_offset);
    if (e->file_offset < f->image->cluster_size)
        return error_set(err, EINVAL,
                         "disk offset %" PRIu64
                         " is mapped to the header, at file offset %" PRIu64,
                         e->disk_offset, e->file_offset);
    return filemap_batch_add(&f->data, e->file_offset, e->length,
                             e->disk_offset, err);
}

static int keep(struct mapper *m, struct findings *f, struct error *err)
{
    if (filemap_merge(&m->map.data, &f->data, err) == -1)
        return error_wrap(err, "source");
    for (size_t i = 0; i < f->zeroes.count; i++)
        if (extents_append(&m->map.zeroes, f->zeroes.list[i].disk_offset,
                           f->zeroes.list[i].length, err) == -1)
            return error_wrap(err, "source");
    return 0;
}

enum outcome { MAPPED, FAULTED, FAILED };

/* Runs QEMU once, on length bytes of disk from disk_offset on. */
static enum outcome run(struct mapper *m, uint64_t disk_offset,
                        uint64_t length, uint64_t *fault_end,
                        struct error *err)
{
    struct findings CLEANUP(findings) f = {.image = m->image};
    struct nbd_export export;
    struct nbd_server *server;
    char node[QEMU_NODE_SPACE];
    struct qemu_img_map map = {
        .node = node,
        .disk_offset = disk_offset,
        .length = length,
        .cancel_fd = m->cancel_fd,
        .sink = take_entry,
        .opaque = &f,
    };
    int r;

    store_show_arrived(m->store, &export);
    if (nbd_server_start(&export, &server, &map.bridge_fd, err) == -1)
        return FAILED;
    qemu_bridge_node(node, map.bridge_fd);
    m->runs++;
    r = qemu_img_map(m->qemu, &map, err);
    nbd_server_stop(server);

    if (store_check(m->store, err) == -1)
        return FAILED;
    if (store_take_fault(m->store, fault_end))
        return FAULTED;
    if (r == -1) {
        error_wrap(err, "source: disk offset %" PRIu64, disk_offset);
        return FAILED;
    }
    if (f.disk_end != disk_offset + length) {
        error_set(err, 0,
                  "QEMU: qemu-img map ends at disk offset %" PRIu64
                  ", not at %" PRIu64,
                  f.disk_end, disk_offset + length);
        return FAILED;
    }
    return keep(m, &f, err) == 0 ? MAPPED : FAILED;
}

static int map_disk(struct mapper *m, struct error *err)
{
    uint64_t size = m->image->virtual_size;
    uint64_t unit = io_max(m->image->window, SMALLEST_UNIT);
    uint64_t length = unit, done = 0;

    while (done < size) {
        uint64_t fault_end;

        length = io_min(length, size - done);
        switch (run(m, done, length, &fault_end, err)) {
        case MAPPED:
            done += length;
            length = io_min(length, size / 2 + 1) * 2;
            break;
        case FAULTED:
            length = unit;
            switch (store_wait(m->store, fault_end)) {
            case STORE_ARRIVED:
                break;
            case STORE_CANCELLED:
                return error_set(err, ECANCELED, "mapper");
            case STORE_ENDED:
                return error_set(
                    err, 0,
                    "source: truncated: it ends at file offset %" PRIu64
                    ", and a table reaches to %" PRIu64,
                    store_arrived(m->store), fault_end);
            }
            break;
        case FAILED:
            return -1;
        }
    }
    return 0;
}

static void *work(void *opaque)
{
    struct mapper *m = opaque;

    signals_block();
    m->result = map_disk(m, &m->err);
    eventfd_write(m->done_fd, 1);
    return NULL;
}

int mapper_start(const struct qemu *qemu, struct store *store,
                 const struct gate_image *image, struct mapper **mapper,
                 struct error *err)
{
    struct mapper *m = calloc(1, sizeof *m);
    int r;

    if (m == NULL)
        return error_set(err, errno, "no memory for the mapper");
    m->qemu = qemu;
    m->store = store;
    m->image = image;
    m->done_fd = eventfd(0, EFD_CLOEXEC);
    m->cancel_fd = eventfd(0, EFD_CLOEXEC);
    if (m->done_fd == -1 || m->cancel_fd == -1) {
        error_set(err, errno, "cannot make an eventfd");
        mapper_free(m);
        return -1;
    }
    r = pthread_create(&m->thread, NULL, work, m);
    if (r != 0) {
        error_set(err, r, "cannot start the mapper");
        mapper_free(m);
        return -1;
    }
    m->is_running = true;
    *mapper = m;
    return 0;
}

int mapper_fd(const struct mapper *m)
{
    return m->done_fd;
}

unsigned mapper_runs(const struct mapper *m)
{
    return m->runs;
}

int mapper_finish(struct mapper *m, struct mapper_map *map, struct error *err)
{
    pthread_join(m->thread, NULL);
    m->is_running = false;
    if (m->result == -1) {
        *err = m->err;
        return -1;
    }
    *map = m->map;
    m->map = (struct mapper_map){0};
    return 0;
}

void mapper_free(struct mapper *m)
{
    if (m == NULL)
        return;
    if (m->is_running) {
        eventfd_write(m->cancel_fd, 1);
        store_cancel(m->store);
        pthread_join(m->thread, NULL);
    }
    mapper_map_clear(&m->map);
    cleanup_close_fd(&m->done_fd);
    cleanup_close_fd(&m->cancel_fd);
    free(m);
}

void mapper_map_clear(struct mapper_map *map)
{
    filemap_clear(&map->data);
    extents_clear(&map->zeroes);
}
