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
#include "nbd/shown-file.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct shown_link {
    const struct chain_link *link;
    int fd;
    struct shown_file file; /* a link without a server comes as it is */
};

struct chain_view {
    const char *role;
    char *node;
    size_t count; /* of links and files */
    struct qemu_link *links;
    struct shown_link *shown;
    size_t n_fds;
    int *fds; /* two of a link, at most */
};

/* Shows a link in its own way. */
static int show_link(struct chain_view *view, struct shown_link *shown,
                     bool is_for_data, struct qemu_link *as, struct error *err)
{
    const struct chain_link *link = shown->link;

    *as = (struct qemu_link){
        .format = link->format,
        .fd = shown->fd,
        .is_bridge = strcmp(link->format, "qcow2") == 0,
        .data_fd = link->data_fd,
        .has_footer_size = link->has_footer_size,
        .l2_slice = is_for_data ? 0 : link->l2_slice,
    };
    if (as->is_bridge && shown_file_start(&shown->file, shown->fd, is_for_data,
                                          &as->fd, err) == -1)
        return -1;
    view->fds[view->n_fds++] = as->fd;
    if (as->data_fd != -1)
        view->fds[view->n_fds++] = as->data_fd;
    return 0;
}

static int show_links(const struct chain *chain, size_t first, size_t count,
                      bool is_for_data, struct chain_view *view,
                      struct error *err)
{
    view->shown = calloc(count, sizeof *view->shown);
    view->links = calloc(count, sizeof *view->links);
    view->fds = calloc(count, 2 * sizeof *view->fds);
    if (view->shown == NULL || view->fds == NULL || view->links == NULL)
        return error_set(err, ENOMEM, "%s: backing files", chain->role);
    for (size_t i = 0; i < count; i++) {
        struct shown_link *shown = &view->shown[i];

        shown->link = &chain->links[first + i];
        shown->fd = -1;
        view->count++;
        if (chain_open_link(chain, first + i, &shown->fd, err) == -1 ||
            show_link(view, shown, is_for_data, &view->links[i], err) == -1)
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
        const struct shown_link *shown = &view->shown[i];
        uint64_t missed = shown_file_missed(&shown->file), failed_at;
        int failure = shown_file_failure(&shown->file, &failed_at);

        if (nbd_server_check(shown->file.server, err) == -1)
            return -1;
        if (failure != 0)
            return error_set(err, failure,
                             "%s: %s: cannot read at file offset %" PRIu64,
                             view->role, shown->link->path, failed_at);
        if (missed == 0)
            continue;
        return error_set(err, 0,
                         "%s: %s is truncated: it ends at file offset %" PRIu64
                         ", and the bytes up to %" PRIu64 " are needed",
                         view->role, shown->link->path,
                         (uint64_t)lseek(shown->fd, 0, SEEK_END), missed);
    }
    return 0;
}

void chain_hide(struct chain_view *view)
{
    if (view == NULL)
        return;
    for (size_t i = 0; i < view->count; i++) {
        shown_file_stop(&view->shown[i].file);
        cleanup_close_fd(&view->shown[i].fd);
    }
    free(view->shown);
    free(view->links);
    free(view->fds);
    free(view->node);
    free(view);
}
