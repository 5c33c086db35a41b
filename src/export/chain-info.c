/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What an image says of itself: its size, and which files it needs. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "export/chain-info.h"
#include "export/flat.h"
#include "qemu/header.h"
#include "qemu/qemu-img.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What a qcow2 file says is in its header. */
static int read_header(const struct chain_link *link, struct image_info *info,
                       struct error *err)
{
    struct header_image image;

    if (header_read(link->fd, &image, err) == -1)
        return -1;
    *info = (struct image_info){
        .virtual_size = image.virtual_size,
        .cluster_size = image.cluster_size,
        .is_extended_l2 = image.is_extended_l2,
        .data_file = image.data_file,
        .backing_file = image.backing_file,
        .backing_format = image.backing_format,
    };
    return 0;
}

/* Has QEMU say it.  A file that has others beside it goes by its name. */
static int run_info(const struct qemu *qemu, const struct chain_link *link,
                    struct image_info *info, struct error *err)
{
    const struct qemu_link as = {
        .format = link->format,
        .has_footer_size = link->has_footer_size,
        .data_fd = -1,
    };
    const struct qemu_files files = {
        .is_open_ended = !link->is_whole,
        .is_remote = !link->is_file,
        .n_images = 1,
    };
    char *CLEANUP(free_ptr) options = NULL;
    char name[40];

    if (!link->is_file)
        return qemu_img_info(qemu, link->path, link->format, &files, -1, info,
                             err);
    snprintf(name, sizeof name, "/proc/self/fd/%d", link->fd);
    options = qemu_chain_options(link->is_whole ? name : link->path, &as, 1);
    if (options == NULL)
        return error_set(err, ENOMEM, "what qemu-img opens");
    return qemu_img_info(qemu, options, NULL, &files, link->fd, info, err);
}

/* Of those that QEMU is asked about. */
static bool can_have_backing(const char *format)
{
    return strcmp(format, "qcow") == 0 || strcmp(format, "qed") == 0 ||
           strcmp(format, "vmdk") == 0;
}

/* May an image of this format be what QEMU says it is?  A file is only opened
 * for an image that can name it.
 */
static int check_info(const struct chain_link *link,
                      const struct image_info *info, struct error *err)
{
    bool is_in_parts = strcmp(link->format, "vmdk") == 0 && !link->is_whole;

    if (info->cluster_size % IO_SECTOR != 0)
        return error_set(err, 0,
                         "QEMU: qemu-img info: there are no clusters of "
                         "%" PRIu64 " bytes",
                         info->cluster_size);
    if (!link->is_file)
        return 0;
    if (info->backing_file != NULL && !can_have_backing(link->format))
        return error_set(err, 0,
                         "QEMU: qemu-img info: a backing file of an image "
                         "that can have none");
    if (info->data_file != NULL && !is_in_parts)
        return error_set(err, 0,
                         "QEMU: qemu-img info: a data file of an image that "
                         "can have none");
    return 0;
}

static int ask_qemu(const struct qemu *qemu, const struct chain_link *link,
                    struct image_info *info, struct error *err)
{
    return run_info(qemu, link, info, err) == -1 ? -1
                                                 : check_info(link, info, err);
}

int chain_read_info(const struct qemu *qemu, const struct chain_link *link,
                    struct image_info *info, struct error *err)
{
    off_t end;

    if (link->is_file && strcmp(link->format, "qcow2") == 0)
        return read_header(link, info, err);
    if (!link->is_file || strcmp(link->format, "raw") != 0)
        return ask_qemu(qemu, link, info, err);
    end = lseek(link->fd, 0, SEEK_END);
    if (end == -1)
        return error_set(err, errno, "cannot tell its size");
    info->virtual_size = IO_ROUND_UP((uint64_t)end, IO_SECTOR);
    return 0;
}

uint64_t chain_count_ranges(const struct chain_link *link,
                            const struct image_info *info)
{
    off_t end = -1;

    if (link->is_file && link->is_whole && info->data_file == NULL &&
        map_origin_of(link->format, link->fd) != MAP_BY_FILE_SYSTEM)
        end = lseek(link->fd, 0, SEEK_END);
    if (end == -1) /* it has no tables, or they are not here, or not all */
        return info->virtual_size / IO_SECTOR + 1;
    return info->is_extended_l2 ? (uint64_t)end * 2 : (uint64_t)end / 4;
}
