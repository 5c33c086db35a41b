/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A disk to read that comes over NBD: an export, or an image's by qemu-nbd. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "export/chain-names.h"
#include "export/chain-view.h"
#include "export/source-nbd.h"
#include "nbd/image-reader.h"
#include "qemu/qemu-img.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Links of a chain that is read over the bridge: each costs three fds and the
 * one that is held, and QEMU's time grows with their square (2 s).
 */
enum { MOST_SHOWN = 128 };

/* Half of what the client has in flight to a server that is far away. */
#define REMOTE_AHEAD (UINT64_C(8) << 20)

struct source_nbd {
    struct source source;        /* first */
    struct nbd_client *client;   /* the reader's, if there is one */
    struct image_reader *reader; /* of chain */
    const struct chain *chain;   /* that it reads; NULL: it is an export */
    struct chain_view *view;     /* of chain; NULL: it is read by its names */
    struct sink *sink;           /* that it was told to send to */
    bool has_sink_failed;
};

static struct source_nbd *nbd_of(struct source *s)
{
    return (struct source_nbd *)s;
}

/* If the image is cut short, that is the error. */
static int check_view(void *opaque, struct error *err)
{
    const struct source_nbd *n = opaque;

    return n->view == NULL ? 0 : chain_check(n->view, err);
}

static int failed(struct source_nbd *n, struct error *err)
{
    return n->reader == NULL ? -1 : image_reader_blame(n->reader, err);
}

/* opaque is where the disk's first byte would be, were all of it in memory. */
static int copy(void *opaque, const void *buf, size_t length,
                uint64_t disk_offset, struct error *err)
{
    (void)err;
    memcpy((void *)((uintptr_t)opaque + (uintptr_t)disk_offset), buf, length);
    return 0;
}

static int nbd_read(struct source *s, char *buf, uint64_t disk_offset,
                    uint64_t length, struct error *err)
{
    void *opaque = (void *)((uintptr_t)buf - (uintptr_t)disk_offset);

    if (nbd_client_read(nbd_of(s)->client, disk_offset, length, copy, opaque,
                        err) == 0)
        return 0;
    return failed(nbd_of(s), err);
}

static uint64_t nbd_count(struct source *s)
{
    return nbd_client_count(nbd_of(s)->client);
}

static int nbd_wait(struct source *s, uint64_t count, struct error *err)
{
    if (nbd_client_finish_first(nbd_of(s)->client, count, err) == 0)
        return 0;
    return failed(nbd_of(s), err);
}

/* The destination's errors are not the server's. */
static int deliver(void *opaque, const void *buf, size_t length,
                   uint64_t disk_offset, struct error *err)
{
    struct source_nbd *n = opaque;

    (void)disk_offset;
    n->has_sink_failed = sink_write(n->sink, buf, length, err) == -1;
    return n->has_sink_failed ? -1 : 0;
}

static int sending_failed(struct source_nbd *n, struct error *err)
{
    return n->has_sink_failed ? -1 : failed(n, err);
}

static int nbd_send(struct source *s, uint64_t disk_offset, uint64_t length,
                    struct sink *sink, struct error *err)
{
    struct source_nbd *n = nbd_of(s);

    n->sink = sink;
    if (nbd_client_read(n->client, disk_offset, length, deliver, n, err) == 0)
        return 0;
    return sending_failed(n, err);
}

static int nbd_flush(struct source *s, struct sink *sink, struct error *err)
{
    struct source_nbd *n = nbd_of(s);

    (void)sink;
    if (nbd_client_finish(n->client, err) == -1)
        return sending_failed(n, err);
    return 0;
}

static int nbd_find_data(struct source *s, struct extents *data, bool *is_map,
                         struct error *err)
{
    return nbd_client_status(nbd_of(s)->client, data, is_map, err);
}

static void nbd_free(struct source *s)
{
    if (nbd_of(s)->reader == NULL)
        nbd_client_free(nbd_of(s)->client);
    image_reader_close(nbd_of(s)->reader);
    chain_hide(nbd_of(s)->view);
    free(s);
}

static struct source_nbd *new_source(const char *role, struct error *err)
{
    static const struct source_ops ops = {
        .read = nbd_read,
        .count = nbd_count,
        .wait = nbd_wait,
        .send = nbd_send,
        .flush = nbd_flush,
        .find_data = nbd_find_data,
        .free = nbd_free,
    };
    struct source_nbd *n = calloc(1, sizeof *n);

    if (n == NULL) {
        error_set(err, errno, "%s: no memory", role);
        return NULL;
    }
    n->source.ops = &ops;
    n->source.role = role;
    n->source.fd = -1;
    n->source.is_buffered = true;
    return n;
}

static int report_reader(void *opaque, const char *role, struct error *err)
{
    (void)opaque;
    return error_set(err, EPIPE,
                     "destination: the reader left while %s was waited for",
                     role);
}

/* An error or a hang-up; what a reader says is not looked at. */
static struct nbd_watch watch_reader(int destination_fd)
{
    if (destination_fd == -1)
        return (struct nbd_watch){.fd = -1};
    return (struct nbd_watch){.fd = destination_fd, .report = report_reader};
}

static void set_size(struct source_nbd *n)
{
    n->source.size = nbd_client_size(n->client);
    n->source.disk_size = IO_ROUND_UP(n->source.size, IO_SECTOR);
}

int source_nbd_open(const struct nbd_address *address, int destination_fd,
                    struct source **source, struct error *err)
{
    struct source_nbd *n = new_source(address->role, err);
    struct nbd_address watched = *address;

    if (n == NULL)
        return -1;
    watched.watch = watch_reader(destination_fd);
    if (nbd_client_open(&watched, -1, &n->client, err) == -1) {
        nbd_free(&n->source);
        return -1;
    }
    set_size(n);
    n->source.ahead = REMOTE_AHEAD;
    *source = &n->source;
    return 0;
}

int source_nbd_find_dirty(struct source *source, struct extents *dirty,
                          struct error *err)
{
    return nbd_client_dirty(nbd_of(source)->client, dirty, err);
}

/* Opens the reader of an image that is shown, or named. */
static int open_reader(const struct qemu *qemu, struct source_nbd *n,
                       const struct source_nbd_how *how, struct error *err)
{
    struct qemu_nbd_image image = {.node = NULL};
    const struct image_reader_spec spec = {
        .qemu = qemu,
        .image = &image,
        .path = n->chain->links[0].path,
        .role = n->source.role,
        .watch = watch_reader(how->destination_fd),
        .cancel_fd = -1,
        .check = check_view,
        .opaque = n,
    };
    char *CLEANUP(free_ptr) options = NULL;
    const char **CLEANUP(free_ptr) names = NULL;
    struct qemu_files files;
    int fd;

    if (n->view != NULL) {
        image.node = chain_node(n->view);
        image.inherit = chain_fds(n->view, &image.n_inherit);
    } else {
        if (chain_files(n->chain, 0, &files, err) == -1)
            return -1;
        names = files.names;
        if (chain_name(n->chain, 0, how->is_direct, &options, &fd, err) == -1)
            return -1;
        image.files = &files;
        image.options = options;
        image.inherit = &fd;
        image.n_inherit = fd == -1 ? 0 : 1;
    }
    if (image_reader_open(&spec, &n->reader, err) == 0)
        return 0;
    /* It may read no file but those that the names meant when it started. */
    if (n->view == NULL)
        chain_check_names(n->chain, err);
    return -1;
}

/* Are the files that qemu-nbd has open those that it is to read, and not the
 * destination?
 */
static int check_files(const struct source_nbd *n, int destination_fd,
                       struct error *err)
{
    const struct child *qemu_nbd = image_reader_child(n->reader);

    if (n->view == NULL && chain_check_files(n->chain, qemu_nbd, err) == -1)
        return -1;
    if (destination_fd == -1 || !child_has_open(qemu_nbd, destination_fd))
        return 0;
    return error_set(err, 0, "destination: it is the %s", n->source.role);
}

/* Shows the files of compressed clusters, which are in no map: QEMU by itself
 * would take what a file lacks for zeroes, and decode these.
 */
static int show_compressed(struct source_nbd *n, struct error *err)
{
    const struct chain *chain = n->chain;

    if (chain->is_by_name)
        return 0;
    if (chain->count > MOST_SHOWN)
        return error_set(err, 0,
                         "%s: %s has compressed clusters in a chain of %zu "
                         "images: with more than %d, one that is cut off "
                         "would not be noticed",
                         chain->role, chain->links[0].path, chain->count,
                         MOST_SHOWN);
    return chain_show(chain, 0, chain->count, true, &n->view, err);
}

static int open_image(const struct qemu *qemu, struct source_nbd *n,
                      const struct source_nbd_how *how, struct error *err)
{
    if (how->has_compressed && show_compressed(n, err) == -1)
        return -1;
    if (open_reader(qemu, n, how, err) == -1 ||
        check_files(n, how->destination_fd, err) == -1)
        return -1;
    n->client = image_reader_client(n->reader);
    set_size(n);
    return 0;
}

int source_nbd_open_image(const struct qemu *qemu, const struct chain *chain,
                          const struct source_nbd_how *how,
                          struct source **source, struct error *err)
{
    struct source_nbd *n;

    if (qemu_img_check_nbd(qemu, err) == -1)
        return -1;
    n = new_source(chain->role, err);
    if (n == NULL)
        return -1;
    n->chain = chain;
    if (open_image(qemu, n, how, err) == -1) {
        nbd_free(&n->source);
        return -1;
    }
    *source = &n->source;
    return 0;
}
