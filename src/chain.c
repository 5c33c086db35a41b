/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image file and its backing files, opened, and shown to QEMU. */

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

#include "array.h"
#include "chain.h"
#include "cleanup.h"
#include "header.h"
#include "io.h"
#include "nbd-server.h"
#include "occupied.h"
#include "qemu-img.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LARGEST_L2_SLICE (UINT64_C(64) << 10) /* bytes, qcow2's default */
#define FORMAT_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-_"
#define CLAIMED_SIZE (UINT64_C(1) << 62)

enum { LONGEST_CHAIN = 1000 }; /* a longer one goes in circles */

/* A VHD's footer, also found at the front of one that is not fixed
 * ("Virtual Hard Disk Image Format Specification", Hard Disk Footer Format).
 */
enum { VHD_FOOTER = 512, VHD_TYPE_AT = 60, VHD_DIFFERENCING = 4 };

static bool is_vhd_footer(int fd, uint64_t file_offset, char *footer)
{
    return io_pread_full(fd, footer, VHD_FOOTER, file_offset) == VHD_FOOTER &&
           memcmp(footer, "conectix", 8) == 0;
}

/* QEMU reads a VHD that has a parent as if it had none, without a word.  What
 * else is wrong with the file is QEMU's to say.
 */
static int check_vhd(const char *who, const struct chain_link *link,
                     struct error *err)
{
    off_t end = lseek(link->fd, 0, SEEK_END);
    char footer[VHD_FOOTER];
    uint32_t type;

    if (end < VHD_FOOTER ||
        (!is_vhd_footer(link->fd, 0, footer) &&
         !is_vhd_footer(link->fd, end - VHD_FOOTER, footer)))
        return 0;
    memcpy(&type, footer + VHD_TYPE_AT, sizeof type);
    if (be32toh(type) != VHD_DIFFERENCING)
        return 0;
    return error_set(err, 0,
                     "%s: %s is a differencing VHD, and QEMU does not read "
                     "its parent",
                     who, link->path);
}

/* A VMDK may be a text that names the files with the disk. */
static bool is_vmdk_in_parts(int fd)
{
    char magic[4];

    return io_pread_full(fd, magic, sizeof magic, 0) != sizeof magic ||
           (memcmp(magic, "KDMV", 4) != 0 && memcmp(magic, "COWD", 4) != 0);
}

/* QEMU's block drivers go no further at once than a part of an L2 table
 * (qcow2), or than a block.
 */
static uint64_t piece_of_status(const char *format,
                                const struct infojson *info)
{
    uint64_t entry_size = info->is_extended_l2 ? 16 : 8;

    if (strcmp(format, "qcow2") == 0)
        return io_min(info->cluster_size, LARGEST_L2_SLICE) / entry_size *
               info->cluster_size;
    if (strcmp(format, "vdi") == 0 || strcmp(format, "vmdk") == 0)
        return info->cluster_size;
    return 0;
}

/* As QEMU tells them from files. */
static bool is_protocol(const char *name)
{
    return name[strcspn(name, "/:")] == ':';
}

/* Opens the file of a link.  To open a FIFO would wait for its other end. */
static int open_link(const char *who, struct chain_link *link,
                     struct error *err)
{
    struct stat st;

    if (link->format[strspn(link->format, FORMAT_CHARACTERS)] != '\0')
        return error_set(err, 0, "%s: there is no format '%s'", who,
                         link->format);
    link->fd = open(link->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (link->fd == -1 || fstat(link->fd, &st) == -1)
        return error_set(err, errno, "%s: cannot open %s", who, link->path);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return error_set(err, 0, "%s: %s is neither a file nor a block device",
                         who, link->path);
    return 0;
}

/* Its name is relative to the image.  That it cannot be opened is QEMU's to
 * say.
 */
static int open_data_file(struct chain_link *link, const struct infojson *info,
                          struct error *err)
{
    const char *slash = strrchr(link->path, '/');
    char *CLEANUP(free_ptr) path = NULL;
    int length = info->data_file[0] == '/' || slash == NULL
                     ? 0
                     : (int)(slash + 1 - link->path);

    if (asprintf(&path, "%.*s%s", length, link->path, info->data_file) == -1)
        return error_set(err, ENOMEM, "data file");
    link->data_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return 0;
}

/* Makes room for a link; path and format become the chain's. */
static int add_link(struct chain *chain, char *path, char *format,
                    struct error *err)
{
    int r = path == NULL || format == NULL ? -1 : 0;

    if (r == -1)
        error_set(err, ENOMEM, "%s: backing files", chain->who);
    else
        r = array_make_room(&chain->links, chain->count, &chain->space,
                            sizeof *chain->links, "backing files", err);
    if (r == -1) {
        free(path);
        free(format);
        return -1;
    }
    chain->links[chain->count++] = (struct chain_link){
        .path = path,
        .format = format,
        .fd = -1,
        .data_fd = -1,
    };
    return 0;
}

/* Looks at the last link: *info tells whether there is a next one. */
static int look_at_link(const struct qemu *qemu, struct chain *chain,
                        struct infojson *info, struct error *err)
{
    struct chain_link *link = &chain->links[chain->count - 1];

    if (is_protocol(link->path))
        chain->is_by_name = true;
    else if (open_link(chain->who, link, err) == -1)
        return -1;
    if (chain->count > LONGEST_CHAIN ||
        chain_find_fd(chain, link->fd) < chain->count - 1)
        return error_set(err, ELOOP, "%s: %s is its own backing file",
                         chain->who, link->path);
    if (strcmp(link->format, "vpc") == 0 &&
        check_vhd(chain->who, link, err) == -1)
        return -1;
    if (qemu_img_info(qemu, link->path, link->format, info, err) == -1)
        return error_wrap(err, "%s: %s", chain->who, link->path);
    if (info->backing_file != NULL && info->backing_format == NULL)
        return error_set(err, 0,
                         "%s: %s does not record the format of its backing "
                         "file %s, and formats are not probed",
                         chain->who, link->path, info->backing_file);
    link->disk_size = info->virtual_size;
    link->is_whole = link->fd != -1 && !(strcmp(link->format, "vmdk") == 0 &&
                                         is_vmdk_in_parts(link->fd));
    if (info->data_file != NULL && open_data_file(link, info, err) == -1)
        return -1;
    if (info->data_file != NULL || !link->is_whole)
        chain->is_by_name = true;
    link->status_piece = piece_of_status(link->format, info);
    return 0;
}

int chain_open(const struct qemu *qemu, const char *who, const char *path,
               const char *format, struct chain *chain, struct error *err)
{
    char *next = qemu_file_name(path), *next_format = strdup(format);

    *chain = (struct chain){.who = who};
    do {
        struct infojson CLEANUP(infojson) info = {0};

        if (add_link(chain, next, next_format, err) == -1 ||
            look_at_link(qemu, chain, &info, err) == -1)
            return -1;
        next = STEAL_PTR(info.backing_file);
        next_format = STEAL_PTR(info.backing_format);
    } while (next != NULL);
    return 0;
}

void chain_close(struct chain *chain)
{
    for (size_t i = 0; i < chain->count; i++) {
        cleanup_close_fd(&chain->links[i].fd);
        cleanup_close_fd(&chain->links[i].data_fd);
        free(chain->links[i].path);
        free(chain->links[i].format);
    }
    free(chain->links);
    *chain = (struct chain){.who = chain->who};
}

size_t chain_find_fd(const struct chain *chain, int fd)
{
    size_t i = 0;

    if (fd == -1)
        return chain->count;
    while (i < chain->count && !occupied_is_same(chain->links[i].fd, fd) &&
           !occupied_is_same(chain->links[i].data_fd, fd))
        i++;
    return i;
}

size_t chain_find_path(const struct chain *chain, const char *path)
{
    int CLEANUP(close_fd) fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    return fd == -1 ? chain->count : chain_find_fd(chain, fd);
}

/* Does the file have what the map knows of?  The last sector of a raw disk
 * may be cut short.
 */
static int check_end(const struct chain *chain, const struct chain_link *link,
                     uint64_t file_end, struct error *err)
{
    int fd = link->data_fd != -1 ? link->data_fd : link->fd;
    off_t there = link->is_whole ? lseek(fd, 0, SEEK_END) : -1;
    uint64_t unit = strcmp(link->format, "raw") == 0 ? IO_SECTOR : 1;

    if (there == -1 || IO_ROUND_UP((uint64_t)there, unit) >= file_end)
        return 0;
    return error_set(err, 0,
                     "%s: %s is truncated: it ends at file offset %" PRIu64
                     ", and %" PRIu64 " is needed",
                     chain->who, link->path, (uint64_t)there, file_end);
}

int chain_need(struct chain *chain, size_t link, uint64_t file_end,
               struct error *err)
{
    struct chain_link *links = chain->links;

    if (link >= chain->count || file_end <= links[link].needed_end)
        return 0;
    links[link].needed_end = file_end;
    return check_end(chain, &links[link], file_end, err);
}

int chain_check_ends(const struct chain *chain, struct error *err)
{
    for (size_t i = 0; i < chain->count; i++)
        if (check_end(chain, &chain->links[i], chain->links[i].needed_end,
                      err) == -1)
            return -1;
    return 0;
}

/* A qcow2 file behind the bridge. */
struct shown_file {
    const struct chain_link *link;
    struct nbd_export export;
    struct nbd_server *server;
    bool is_for_data;
    atomic_ullong missed; /* the file offset behind what was not there */
};

struct chain_view {
    const char *who;
    char *node;
    size_t count; /* of each of these */
    int *fds;
    struct qemu_link *links;
    struct shown_file *files; /* a link without a server comes as it is */
};

static int read_file(void *opaque, void *buf, uint32_t length,
                     uint64_t file_offset)
{
    struct shown_file *f = opaque;
    ssize_t got = io_pread_full(f->link->fd, buf, length, file_offset);

    if (got == -1)
        return errno;
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
static int show_link(struct shown_file *f, int *fd, struct qemu_link *as,
                     struct error *err)
{
    *as = (struct qemu_link){.format = f->link->format, .fd = f->link->fd};
    as->is_bridge = strcmp(as->format, "qcow2") == 0;
    if (as->is_bridge) {
        f->export = (struct nbd_export){
            .size = CLAIMED_SIZE,
            .read = read_file,
            .opaque = f,
        };
        if (nbd_server_start(&f->export, &f->server, &as->fd, err) == -1)
            return -1;
    }
    *fd = as->fd;
    return 0;
}

static int show_links(const struct chain *chain, size_t first,
                      bool is_for_data, struct chain_view *view,
                      struct error *err)
{
    view->count = chain->count - first;
    view->files = calloc(view->count, sizeof *view->files);
    view->fds = calloc(view->count, sizeof *view->fds);
    view->links = calloc(view->count, sizeof *view->links);
    if (view->files == NULL || view->fds == NULL || view->links == NULL)
        return error_set(err, ENOMEM, "%s: backing files", chain->who);
    for (size_t i = 0; i < view->count; i++) {
        view->files[i].link = &chain->links[first + i];
        view->files[i].is_for_data = is_for_data;
        if (show_link(&view->files[i], &view->fds[i], &view->links[i], err) ==
            -1)
            return -1;
    }
    view->node = qemu_chain_node(view->links, view->count);
    if (view->node == NULL)
        return error_set(err, ENOMEM, "%s: backing files", chain->who);
    return 0;
}

int chain_show(const struct chain *chain, size_t first, bool is_for_data,
               struct chain_view **view, struct error *err)
{
    struct chain_view *v = calloc(1, sizeof *v);

    if (v == NULL)
        return error_set(err, errno, "%s: no memory", chain->who);
    v->who = chain->who;
    if (show_links(chain, first, is_for_data, v, err) == -1) {
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
    *count = view->count;
    return view->fds;
}

int chain_check(struct chain_view *view, struct error *err)
{
    for (size_t i = 0; i < view->count; i++) {
        struct shown_file *f = &view->files[i];
        uint64_t missed = atomic_load(&f->missed);

        if (missed == 0)
            continue;
        return error_set(err, 0,
                         "%s: %s is truncated: it ends at file offset "
                         "%" PRIu64 ", and %" PRIu64 " is needed",
                         view->who, f->link->path,
                         (uint64_t)lseek(f->link->fd, 0, SEEK_END), missed);
    }
    return 0;
}

void chain_hide(struct chain_view *view)
{
    if (view == NULL)
        return;
    for (size_t i = 0; view->files != NULL && i < view->count; i++)
        nbd_server_stop(view->files[i].server);
    free(view->files);
    free(view->links);
    free(view->fds);
    free(view->node);
    free(view);
}
