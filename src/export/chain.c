/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* An image file and its backing files. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/occupied.h"
#include "base/vector.h"
#include "export/chain-info.h"
#include "export/chain-names.h"
#include "export/chain.h"
#include "export/vhd.h"
#include "qemu/qemu-img.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define FORMAT_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-_"

enum {
    LONGEST_CHAIN = 1000,
    LEAST_HELD = 200, /* files that are kept open, if there are so many */
};

/* What else is wrong with a VHD is QEMU's to say. */
static int look_at_vhd(const char *role, struct chain_link *link,
                       struct error *err)
{
    struct vhd vhd = vhd_look_at(link->fd);

    link->has_footer_size = vhd.has_footer_size;
    if (!vhd.is_differencing)
        return 0;
    return error_set(err, 0,
                     "%s: %s is a differencing VHD, and QEMU does not read "
                     "its parent",
                     role, link->path);
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
                                const struct image_info *info)
{
    uint64_t entry_size = info->is_extended_l2 ? 16 : 8;

    if (strcmp(format, "qcow2") == 0)
        return qemu_l2_slice(info->cluster_size) / entry_size *
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

/* The format of a backing file may be recorded as how QEMU gets at it
 * (`blockdev-snapshot-sync` does so): then it is raw.
 */
static const char *format_of(const char *recorded)
{
    static const char *const protocols[] = {
        "file", "host_device", "host_cdrom", "nbd", "http", "https",
        "ftp",  "ftps",        "ssh",        "nfs", "rbd",  "iscsi",
    };

    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
        if (strcmp(recorded, protocols[i]) == 0)
            return "raw";
    return recorded;
}

static bool is_format(const struct chain_link *link, const char *format)
{
    return strcmp(link->format, format) == 0;
}

static int open_link(const char *role, struct chain_link *link,
                     struct error *err)
{
    link->is_file = true;
    link->fd = io_open_disk(link->path, 0);
    if (link->fd == -1 && errno == ENOTBLK)
        return error_set(err, 0, "%s: %s is neither a file nor a block device",
                         role, link->path);
    if (link->fd == -1 || io_identify(link->fd, &link->id) == -1)
        return error_set(err, errno, "%s: cannot open %s", role, link->path);
    return 0;
}

static int open_data_fd(struct chain_link *link)
{
    link->data_fd = io_open_disk(link->data_path, 0);
    return link->data_fd == -1 ? -1
                               : io_identify(link->data_fd, &link->data_id);
}

/* As QEMU opens it, whatever the image's name. */
static int open_data_file(struct chain *chain, struct chain_link *link,
                          struct error *err)
{
    link->is_whole = !is_protocol(link->data_path);
    if (!link->is_whole) {
        chain->is_by_name = true;
        return 0;
    }
    if (open_data_fd(link) == -1)
        return error_set(err, errno, "%s: cannot open %s, the data file of %s",
                         chain->role, link->data_path, link->path);
    return 0;
}

/* All of the disk of a VMDK is said to be in one other file.  That is QEMU's
 * to read, as of one in parts, if the name means nothing to us: QEMU puts
 * another character for what is no UTF-8, and has other fds.
 */
static int open_flat_file(struct chain *chain, struct chain_link *link,
                          struct error *err)
{
    bool is_file =
        !is_protocol(link->data_path) && !chain_is_fd_name(link->data_path);

    if (is_file && open_data_fd(link) == 0) {
        link->is_whole = true;
        /* However little is allocated, the file is that long. */
        return chain_need(chain, chain->count - 1, link->disk_size, err);
    }
    if (is_file && error_is_shortage(errno))
        return error_set(err, errno, "%s: cannot open %s", chain->role,
                         link->data_path);
    cleanup_close_fd(&link->data_fd);
    free(link->data_path);
    link->data_fd = -1;
    link->data_path = NULL;
    return 0;
}

/* Makes room for a link; path and format become the chain's. */
static int add_link(struct chain *chain, char *path, char *format,
                    struct error *err)
{
    struct chain_link *links = NULL;

    if (path == NULL || format == NULL)
        error_set(err, ENOMEM, "%s: backing files", chain->role);
    else
        links = vector_resize(chain->links, chain->count + 1, sizeof *links,
                              "backing files", err);
    if (links == NULL) {
        free(path);
        free(format);
        return -1;
    }
    chain->links = links;
    chain->links[chain->count++] = (struct chain_link){
        .path = path,
        .format = format,
        .fd = -1,
        .data_fd = -1,
    };
    return 0;
}

/* Opens what the last link names. */
static int open_last(struct chain *chain, struct error *err)
{
    struct chain_link *link = &chain->links[chain->count - 1];

    if (link->format[strspn(link->format, FORMAT_CHARACTERS)] != '\0')
        return error_set(err, 0, "%s: there is no format '%s'", chain->role,
                         link->format);
    if (is_protocol(link->path))
        return 0;
    if (open_link(chain->role, link, err) == -1)
        return -1;
    for (size_t i = 0; i < chain->count - 1; i++)
        if (chain->links[i].is_file &&
            io_is_same_id(&chain->links[i].id, &link->id))
            return error_set(err, ELOOP, "%s: %s is its own backing file",
                             chain->role, link->path);
    link->is_whole = !(is_format(link, "vmdk") && is_vmdk_in_parts(link->fd));
    if (!link->is_whole && chain_is_fd_name(link->path))
        return error_set(err, 0, "%s: an image in parts has to have a name",
                         chain->role); /* its parts are beside it */
    if (is_format(link, "vpc"))
        return look_at_vhd(chain->role, link, err);
    return 0;
}

/* How many files are kept open: half of what we may have, as each that is
 * mapped takes more.  QEMU has to read what is in the others, and its time for
 * a chain grows with the square of its length.
 */
static size_t most_held(void)
{
    struct rlimit fds;

    if (getrlimit(RLIMIT_NOFILE, &fds) == -1)
        return LEAST_HELD;
    return io_max(LEAST_HELD, fds.rlim_cur / 2);
}

/* Looks at the last link: *info tells whether there is a next one. */
static int look_at_link(const struct qemu *qemu, struct chain *chain,
                        struct image_info *info, struct error *err)
{
    struct chain_link *link = &chain->links[chain->count - 1];

    if (chain->count > LONGEST_CHAIN)
        return error_set(err, 0, "%s: there are more than %d backing files",
                         chain->role, LONGEST_CHAIN - 1);
    if (open_last(chain, err) == -1)
        return -1;
    if (chain_read_info(qemu, link, info, err) == -1)
        return error_wrap(err, "%s: %s", chain->role, link->path);
    if (info->backing_file != NULL && info->backing_format == NULL)
        return error_set(err, 0,
                         "%s: %s does not record the format of its backing "
                         "file %s, and formats are not probed",
                         chain->role, link->path, info->backing_file);
    log_debug("%s: image %s, format %s, disk of %" PRIu64 " bytes",
              chain->role, link->path, link->format, info->virtual_size);
    link->disk_size = info->virtual_size;
    link->status_granule = piece_of_status(link->format, info);
    link->most_ranges = chain_count_ranges(link, info);
    if (is_format(link, "qcow2"))
        link->l2_slice = qemu_l2_slice(info->cluster_size);
    if (!link->is_whole)
        chain->is_by_name = true;
    link->data_path = STEAL_PTR(info->data_file);
    if (link->data_path != NULL &&
        (link->is_whole ? open_data_file : open_flat_file)(chain, link, err) ==
            -1)
        return -1;
    if (chain->count > most_held() && is_format(link, "qcow2")) {
        cleanup_close_fd(&link->fd);
        link->fd = -1;
    }
    return 0;
}

/* The name of the next link, as QEMU finds it: relative to the directory of
 * this one's name.  Memory to free, or NULL.
 */
static char *next_name(const struct chain_link *link, struct image_info *info)
{
    const char *slash = strrchr(link->path, '/'), *name = info->backing_file;
    char *next;

    if (!link->is_file && info->full_backing_file != NULL)
        return STEAL_PTR(info->full_backing_file);
    if (!link->is_file || name[0] == '/' || is_protocol(name) || slash == NULL)
        return STEAL_PTR(info->backing_file);
    if (asprintf(&next, "%.*s%s", (int)(slash + 1 - link->path), link->path,
                 name) == -1)
        return NULL;
    return next;
}

int chain_open(const struct qemu *qemu, const char *role, const char *path,
               const char *format, struct chain *chain, struct error *err)
{
    char *next = qemu_file_name(path), *next_format = strdup(format);

    *chain = (struct chain){.role = role};
    for (;;) {
        struct image_info CLEANUP(image_info) info = {0};

        if (add_link(chain, next, next_format, err) == -1 ||
            look_at_link(qemu, chain, &info, err) == -1)
            return -1;
        if (info.backing_file == NULL)
            return 0;
        next = next_name(&chain->links[chain->count - 1], &info);
        next_format = strdup(format_of(info.backing_format));
    }
}

void chain_close(struct chain *chain)
{
    for (size_t i = 0; i < chain->count; i++) {
        cleanup_close_fd(&chain->links[i].fd);
        cleanup_close_fd(&chain->links[i].data_fd);
        free(chain->links[i].path);
        free(chain->links[i].data_path);
        free(chain->links[i].format);
    }
    free(chain->links);
    *chain = (struct chain){.role = chain->role};
}

int chain_data_fd(const struct chain_link *link)
{
    if (!link->is_file || !link->is_whole)
        return -1;
    return link->data_fd != -1 ? link->data_fd : link->fd;
}

const char *chain_data_path(const struct chain_link *link)
{
    return link->data_fd != -1 ? link->data_path : link->path;
}

/* Returns 1 if it is, 0, or -1. */
static int is_of_link(const struct chain *chain, size_t i, int fd,
                      struct error *err)
{
    const struct chain_link *link = &chain->links[i];
    int CLEANUP(close_fd) file = -1;
    int is_same = 0;

    if (link->is_file && chain_open_link(chain, i, &file, err) == -1)
        return -1;
    if (link->is_file)
        is_same = occupied_is_same(file, fd);
    if (is_same == 0)
        is_same = occupied_is_same(link->data_fd, fd);
    if (is_same == -1)
        error_set(err, errno, "%s: cannot tell which file %s is", chain->role,
                  link->path);
    return is_same;
}

int chain_find_fd(const struct chain *chain, int fd, size_t *i,
                  struct error *err)
{
    int is_it = 0;

    for (*i = 0; fd != -1 && *i < chain->count; (*i)++) {
        is_it = is_of_link(chain, *i, fd, err);
        if (is_it != 0)
            break;
    }
    if (fd == -1)
        *i = chain->count;
    return is_it == -1 ? -1 : 0;
}

int chain_find_path(const struct chain *chain, const char *path, size_t *i,
                    struct error *err)
{
    int CLEANUP(close_fd) fd = io_open_disk(path, 0);

    if (fd == -1 && error_is_shortage(errno))
        return error_set(err, errno, "base: cannot open %s", path);
    return chain_find_fd(chain, fd, i, err);
}

int chain_replaced(const struct chain *chain, const char *path,
                   struct error *err)
{
    return error_set(err, 0,
                     "%s: %s has become another file since it was opened",
                     chain->role, path);
}

int chain_open_link(const struct chain *chain, size_t link, int *fd,
                    struct error *err)
{
    const struct chain_link *l = &chain->links[link];
    struct io_file_id id;

    *fd = l->fd != -1 ? fcntl(l->fd, F_DUPFD_CLOEXEC, 0)
                      : io_open_disk(l->path, 0);
    if (*fd == -1 || io_identify(*fd, &id) == -1)
        return error_set(err, errno, "%s: cannot open %s", chain->role,
                         l->path);
    return io_is_same_id(&id, &l->id) ? 0
                                      : chain_replaced(chain, l->path, err);
}

/* Does the file have what the map knows of?  The last sector of a raw disk
 * may be cut short.
 */
static int check_end(const struct chain *chain, size_t i, struct error *err)
{
    const struct chain_link *link = &chain->links[i];
    uint64_t unit = is_format(link, "raw") ? IO_SECTOR : 1;
    int CLEANUP(close_fd) again = -1;
    int fd = link->data_fd != -1 ? link->data_fd : link->fd;
    off_t there;

    if (!link->is_whole || link->needed_end == 0)
        return 0;
    if (fd == -1 && chain_open_link(chain, i, &again, err) == -1)
        return -1;
    there = lseek(fd == -1 ? again : fd, 0, SEEK_END);
    if (there == -1)
        return error_set(err, errno, "%s: cannot tell the size of %s",
                         chain->role, link->path);
    if (IO_ROUND_UP((uint64_t)there, unit) >= link->needed_end)
        return 0;
    return error_set(err, 0,
                     "%s: %s is truncated: it ends at file offset %" PRIu64
                     ", and the bytes up to %" PRIu64 " are needed",
                     chain->role, chain_data_path(link), (uint64_t)there,
                     link->needed_end);
}

int chain_need(struct chain *chain, size_t link, uint64_t file_end,
               struct error *err)
{
    if (link >= chain->count || file_end <= chain->links[link].needed_end)
        return 0;
    chain->links[link].needed_end = file_end;
    return check_end(chain, link, err);
}

uint64_t chain_most_entries(const struct chain *chain, size_t first,
                            size_t count)
{
    uint64_t most = 1;

    for (size_t i = first; i < first + count; i++)
        most += 2 * chain->links[i].most_ranges;
    return most;
}

int chain_check_ends(const struct chain *chain, struct error *err)
{
    for (size_t i = 0; i < chain->count; i++)
        if (check_end(chain, i, err) == -1)
            return -1;
    return 0;
}
