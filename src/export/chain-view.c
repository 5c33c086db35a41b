/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A chain of images, shown to QEMU without a name. */

/* Notes on the design
 *
 * QEMU finds the backing files by itself, but then nothing stands between it
 * and a file that ends too early: it reads zeroes there, and a table of zeroes
 * is a disk without data.  So the node that it opens names each link, and a
 * qcow2 file comes over the bridge, which says that it is larger than it is
 * and has an error for what is not there.  The other formats look at their
 * size themselves, and come as what they are, under the name that an
 * inherited fd has.  The name of the backing file is taken out, or QEMU would
 * want to know where that is relative to.  Only metadata should go that way:
 * it is not fast.
 *
 * Where an image keeps its data in other files, or has a backing file that is
 * none (an NBD export, say), QEMU has to do it all by name.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "export/chain-view.h"
#include "nbd/server.h"
#include "qemu/header.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define CLAIMED_SIZE (UINT64_C(1) << 62)

/* A qcow2 file behind the bridge. */
struct shown_file {
    const struct chain_link *link;
    int fd;
    struct nbd_export export;
    struct nbd_server *server;
    bool is_for_data;
    atomic_ullong missed; /* the file offset behind what was not there */
    atomic_int failure;   /* errno of a read; 0: none failed */
    uint64_t failed_at;   /* at that file offset; set before failure is */
};

struct chain_view {
    const char *role;
    char *node;
    size_t count; /* of links and files */
    struct qemu_link *links;
    struct shown_file *files; /* a link without a server comes as it is */
    size_t n_fds;
    int *fds; /* two of a link, at most */
};

/* Only its server's thread is here.  Returns errno. */
static int note_failure(struct shown_file *f, uint64_t file_offset)
{
    int errnum = errno;

    if (atomic_load(&f->failure) == 0) {
        f->failed_at = file_offset;
        atomic_store(&f->failure, errnum);
    }
    return errnum;
}

static int read_file(void *opaque, void *buf, uint32_t length,
                     uint64_t file_offset)
{
    struct shown_file *f = opaque;
    ssize_t got = io_pread_full(f->fd, buf, length, file_offset);

    if (got == -1)
        return note_failure(f, file_offset);
    header_hide_backing(file_offset, buf, got);
    if ((uint32_t)got == length)
        return 0;
    if (f->is_for_data && got > 0 &&
        IO_ROUND_UP(file_offset + got, IO_SECTOR) >= file_offset + length) {
        memset((char *)buf + got, 0, length - got);
        return 0;
    }
    atomic_store(&f->missed, file_offset + length);
    return EIO;
}

/* Shows a link in its own way. */
static int show_link(struct chain_view *view, struct shown_file *f,
                     struct qemu_link *as, struct error *err)
{
    *as = (struct qemu_link){
        .format = f->link->format,
        .fd = f->fd,
        .is_bridge = strcmp(f->link->format, "qcow2") == 0,
        .data_fd = f->link->data_fd,
        .has_footer_size = f->link->has_footer_size,
    };
    if (as->is_bridge) {
        f->export = (struct nbd_export){
            .size = CLAIMED_SIZE,
            .read = read_file,
            .opaque = f,
        };
        if (nbd_server_start(&f->export, &f->server, &as->fd, err) == -1)
            return -1;
    }
    view->fds[view->n_fds++] = as->fd;
    if (as->data_fd != -1)
        view->fds[view->n_fds++] = as->data_fd;
    return 0;
}

static int show_links(const struct chain *chain, size_t first, size_t count,
                      bool is_for_data, struct chain_view *view,
                      struct error *err)
{
    view->files = calloc(count, sizeof *view->files);
    view->links = calloc(count, sizeof *view->links);
    view->fds = calloc(count, 2 * sizeof *view->fds);
    if (view->files == NULL || view->fds == NULL || view->links == NULL)
        return error_set(err, ENOMEM, "%s: backing files", chain->role);
    for (size_t i = 0; i < count; i++) {
        struct shown_file *f = &view->files[i];

        f->link = &chain->links[first + i];
        f->is_for_data = is_for_data;
        f->fd = -1;
        view->count++;
        if (chain_open_link(chain, first + i, &f->fd, err) == -1 ||
            show_link(view, f, &view->links[i], err) == -1)
            return -1;
    }
    view->node = qemu_chain_node(view->links, view->count,
                                 first + count < chain->count);
    if (view->node == NULL)
        return error_set(err, ENOMEM, "%s: backing files", chain->role);
    return 0;
}

int chain_show(const struct chain *chain, size_t first, size_t count,
               bool is_for_data, struct chain_view **view, struct error *err)
{
    struct chain_view *v = calloc(1, sizeof *v);

    if (v == NULL)
        return error_set(err, errno, "%s: no memory", chain->role);
    v->role = chain->role;
    if (show_links(chain, first, count, is_for_data, v, err) == -1) {
        chain_hide(v);
        return -1;
    }
    *view = v;
    return 0;
}

const char *chain_node(const struct chain_view *view)
{
    return view->node;
}

const int *chain_fds(const struct chain_view *view, size_t *count)
{
    *count = view->n_fds;
    return view->fds;
}

int chain_check(struct chain_view *view, struct error *err)
{
    for (size_t i = 0; i < view->count; i++) {
        struct shown_file *f = &view->files[i];
        uint64_t missed = atomic_load(&f->missed);
        int failure = atomic_load(&f->failure);

        if (nbd_server_check(f->server, err) == -1)
            return -1;
        if (failure != 0)
            return error_set(err, failure,
                             "%s: %s: cannot read at file offset %" PRIu64,
                             view->role, f->link->path, f->failed_at);
        if (missed == 0)
            continue;
        return error_set(err, 0,
                         "%s: %s is truncated: it ends at file offset %" PRIu64
                         ", and the bytes up to %" PRIu64 " are needed",
                         view->role, f->link->path,
                         (uint64_t)lseek(f->fd, 0, SEEK_END), missed);
    }
    return 0;
}

void chain_hide(struct chain_view *view)
{
    if (view == NULL)
        return;
    for (size_t i = 0; i < view->count; i++) {
        nbd_server_stop(view->files[i].server);
        cleanup_close_fd(&view->files[i].fd);
    }
    free(view->files);
    free(view->links);
    free(view->fds);
    free(view->node);
    free(view);
}
