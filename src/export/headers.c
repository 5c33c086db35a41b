/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qcow-stream-tool read_headers: what of an image's disk is data, as JSON. */

/* Notes on the design
 *
 * The disk is mapped a window at a time, so that what is known of it has a
 * bound.  An image with backing files is read with them: xapi takes for zeroes
 * what is not in the list.
 *
 * xapi before 26.5 reads the pipe when we have ended, not before: for more
 * than it holds both would wait for ever.  So a pipe that nobody reads is made
 * larger.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/tidy-fds.h"
#include "export/chain.h"
#include "export/headers.h"
#include "export/image.h"
#include "qemu/header.h"
#include "qemu/qemu-img.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    WINDOW_CLUSTERS = 1 << 21, /* so of 64 KiB 128 GiB */
    LONGEST = 64,              /* bytes that are put at a time */
    PATIENCE_MS = 250,         /* for a reader that reads */
};

/* Standard output, in pieces that a pipe with any room has room for. */
struct writer {
    char buf[4096];
    size_t used;
    bool is_unread; /* nobody reads it now */
};

/* If the pipe is full, and nobody reads it, it becomes twice as large; where
 * it cannot, or is none, there is nothing to be done about it.
 */
static void make_room(struct writer *w)
{
    struct pollfd out = {STDOUT_FILENO, POLLOUT, 0};
    int size;

    if (io_poll(&out, 1, w->is_unread ? 0 : PATIENCE_MS) != 0)
        return;
    w->is_unread = true;
    size = fcntl(STDOUT_FILENO, F_GETPIPE_SZ);
    if (size > 0 && size <= INT32_MAX / 2)
        fcntl(STDOUT_FILENO, F_SETPIPE_SZ, 2 * size);
}

static int flush(struct writer *w, struct error *err)
{
    make_room(w);
    if (io_write_full(STDOUT_FILENO, w->buf, w->used) == -1)
        return tidy_fds_stdout_failed(err);
    w->used = 0;
    return 0;
}

/* Adds text, of LONGEST bytes at most. */
static int __attribute__((format(printf, 3, 4)))
put(struct writer *w, struct error *err, const char *fmt, ...)
{
    va_list ap;

    if (w->used + LONGEST > sizeof w->buf && flush(w, err) == -1)
        return -1;
    va_start(ap, fmt);
    w->used += vsnprintf(w->buf + w->used, LONGEST, fmt, ap);
    va_end(ap);
    return 0;
}

struct listing {
    struct writer writer;
    uint64_t cluster_bits;
    uint64_t next; /* the first cluster that is not in the list yet */
    bool has_any;
};

/* Adds the clusters that hold a part of data. */
static int list_clusters(struct listing *l, const struct extents *data,
                         struct error *err)
{
    for (size_t i = 0; i < data->count; i++) {
        const struct extent *e = &data->list[i];
        uint64_t last = (extent_end(e) - 1) >> l->cluster_bits;

        l->next = io_max(l->next, e->disk_offset >> l->cluster_bits);
        for (; l->next <= last; l->next++) {
            if (put(&l->writer, err, "%s%" PRIu64, l->has_any ? "," : "",
                    l->next) == -1)
                return -1;
            l->has_any = true;
        }
    }
    return 0;
}

static int read_cluster_bits(const struct chain *chain, uint64_t *bits,
                             struct error *err)
{
    struct header_image CLEANUP(header_image) header = {0};
    int CLEANUP(close_fd) fd = -1;

    if (chain_open_link(chain, 0, &fd, err) == -1)
        return -1;
    if (header_read(fd, &header, err) == -1)
        return error_wrap(err, "%s: %s", chain->role, chain->links[0].path);
    *bits = __builtin_ctzll(header.cluster_size);
    return 0;
}

static int list_image(const struct qemu *qemu, struct chain *chain,
                      struct listing *l, struct error *err)
{
    uint64_t disk_size = chain->links[0].disk_size;
    uint64_t window = (uint64_t)WINDOW_CLUSTERS << l->cluster_bits;

    for (uint64_t at = 0; at < disk_size; at += window) {
        struct image_map CLEANUP(image_map) map = {0};
        const struct image_query query = {
            .disk_offset = at,
            .length = io_min(window, disk_size - at),
        };

        if (image_map(qemu, chain, &query, &map, err) == -1 ||
            list_clusters(l, &map.data, err) == -1)
            return -1;
    }
    return 0;
}

int headers(const struct headers_options *o, struct error *err)
{
    struct chain CLEANUP(chain) chain = {0};
    struct listing l = {0};
    struct qemu qemu = o->qemu;

    if (qemu_check_proc(err) == -1 || qemu_img_check(&qemu, err) == -1 ||
        qemu_img_probe(&qemu, err) == -1 ||
        chain_open(&qemu, "source", o->image, "qcow2", &chain, err) == -1 ||
        read_cluster_bits(&chain, &l.cluster_bits, err) == -1 ||
        put(&l.writer, err, "{\"virtual_size\":%" PRIu64,
            chain.links[0].disk_size) == -1 ||
        put(&l.writer, err, ",\"cluster_bits\":%" PRIu64, l.cluster_bits) ==
            -1 ||
        put(&l.writer, err, ",\"data_clusters\":[") == -1 ||
        list_image(&qemu, &chain, &l, err) == -1 ||
        put(&l.writer, err, "]}") == -1)
        return -1;
    return flush(&l.writer, err);
}
