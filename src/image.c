/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image file with its backing files: its chain, and what is allocated. */

#include "config.h"

#include "array.h"
#include "cleanup.h"
#include "image.h"
#include "io.h"
#include "qemu-img.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

enum { LONGEST_CHAIN = 1000 }; /* a longer one goes in circles */

#define LARGEST_L2_SLICE (UINT64_C(64) << 10) /* bytes, qcow2's default */

/* A VHD's footer, also found at the front of one that is not fixed
 * ("Virtual Hard Disk Image Format Specification", Hard Disk Footer Format).
 */
enum { VHD_FOOTER = 512, VHD_TYPE_AT = 60, VHD_DIFFERENCING = 4 };

void image_link_clear(struct image_link *link)
{
    free(link->format);
    *link = (struct image_link){0};
}

void image_map_clear(struct image_map *map)
{
    extents_clear(&map->data);
    extents_clear(&map->above);
}

static bool is_vhd_footer(int fd, uint64_t file_offset, char *footer)
{
    return io_pread_full(fd, footer, VHD_FOOTER, file_offset) == VHD_FOOTER &&
           memcmp(footer, "conectix", 8) == 0;
}

/* QEMU reads a VHD that has a parent as if it had none, without a word.  What
 * else is wrong with the file is QEMU's to say.
 */
static int check_vhd(const struct image *image, const char *path,
                     struct error *err)
{
    int CLEANUP(close_fd) fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    off_t end = fd == -1 ? -1 : lseek(fd, 0, SEEK_END);
    char footer[VHD_FOOTER];
    uint32_t type;

    if (end < VHD_FOOTER || (!is_vhd_footer(fd, 0, footer) &&
                             !is_vhd_footer(fd, end - VHD_FOOTER, footer)))
        return 0;
    memcpy(&type, footer + VHD_TYPE_AT, sizeof type);
    if (be32toh(type) != VHD_DIFFERENCING)
        return 0;
    return error_set(err, 0,
                     "%s: %s is a differencing VHD, and QEMU does not read "
                     "its parent",
                     image->who, path);
}

/* Which of wanted is the file at path? */
static int find_wanted(const char *path, const char *format, unsigned depth,
                       struct image_link *wanted, size_t n_wanted,
                       struct error *err)
{
    for (size_t i = 0; i < n_wanted; i++) {
        struct image_link *w = &wanted[i];

        if (w->path == NULL || w->is_found || !io_is_same_file(path, w->path))
            continue;
        w->is_found = true;
        w->depth = depth;
        w->format = strdup(format);
        if (w->format == NULL)
            return error_set(err, errno, "format");
    }
    return 0;
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

static int add_link(struct image_chain *chain, const char *format,
                    const struct infojson *info, struct error *err)
{
    if (array_make_room(&chain->pieces, chain->count, &chain->space,
                        sizeof *chain->pieces, "backing files", err) == -1)
        return -1;
    chain->pieces[chain->count++] = piece_of_status(format, info);
    return 0;
}

void image_chain_clear(struct image_chain *chain)
{
    free(chain->pieces);
    *chain = (struct image_chain){0};
}

int image_follow(const struct qemu *qemu, const struct image *image,
                 struct image_link *wanted, size_t n_wanted,
                 struct image_chain *chain, struct error *err)
{
    char *CLEANUP(free_ptr) link = qemu_file_name(image->path);
    char *CLEANUP(free_ptr) link_format = strdup(image->format);

    for (unsigned depth = 0; link != NULL && link_format != NULL; depth++) {
        struct infojson CLEANUP(infojson) info = {0};

        if (depth == LONGEST_CHAIN)
            return error_set(err, ELOOP, "%s: backing files of %s", image->who,
                             image->path);
        if (strcmp(link_format, "vpc") == 0 &&
            check_vhd(image, link, err) == -1)
            return -1;
        if (qemu_img_info(qemu, link, link_format, &info, err) == -1)
            return error_wrap(err, "%s: %s", image->who, link);
        if (info.backing_file != NULL && info.backing_format == NULL)
            return error_set(err, 0,
                             "%s: %s does not record the format of its "
                             "backing file %s, and formats are not probed",
                             image->who, link, info.backing_file);
        if (find_wanted(link, link_format, depth, wanted, n_wanted, err) ==
                -1 ||
            add_link(chain, link_format, &info, err) == -1)
            return -1;
        if (info.backing_file == NULL)
            return 0;
        free(link);
        free(link_format);
        link = STEAL_PTR(info.backing_file);
        link_format = STEAL_PTR(info.backing_format);
    }
    return error_set(err, ENOMEM, "%s: backing files", image->who);
}

struct collected {
    const struct image_query *query;
    struct image_map *map;
    uint64_t disk_size; /* entries are cut there */
    uint64_t disk_end;  /* of the last entry */
};

/* Appends data of the link at depth, in the pieces that this link and those
 * above it are looked at in.
 */
static int append_pieces(struct collected *c, uint64_t disk_offset,
                         uint64_t length, uint64_t depth, struct error *err)
{
    const struct image_chain *chain = c->query->chain;
    uint64_t disk_end = disk_offset + length;

    for (uint64_t at = disk_offset, end; at < disk_end; at = end) {
        end = disk_end;
        for (size_t i = 0; chain != NULL && i < chain->count && i <= depth;
             i++) {
            uint64_t piece = chain->pieces[i];

            if (piece != 0)
                end = io_min(end, IO_ROUND_DOWN(at, piece) + piece);
        }
        if (extents_append_apart(&c->map->data, at, end - at, err) == -1)
            return -1;
    }
    return 0;
}

static int take_entry(void *opaque, const struct mapjson_entry *e,
                      struct error *err)
{
    struct collected *c = opaque;
    uint64_t length = e->length;

    c->disk_end = e->disk_offset + length;
    if (e->disk_offset >= c->disk_size)
        return 0;
    length = io_min(length, c->disk_size - e->disk_offset);
    if (mapjson_entry_has_data(e) &&
        append_pieces(c, e->disk_offset, length, e->depth, err) == -1)
        return -1;
    if (e->is_present && e->depth < c->query->depth)
        return extents_append(&c->map->above, e->disk_offset, length, err);
    return 0;
}

int image_map(const struct qemu *qemu, const struct image *image,
              const struct image_query *query, struct image_map *map,
              struct error *err)
{
    char *CLEANUP(free_ptr) file_name = qemu_file_name(image->path);
    struct collected collected = {
        .query = query,
        .map = map,
        .disk_size = query->disk_size == 0 ? INT64_MAX : query->disk_size,
    };
    struct qemu_img_map request = {
        .node = file_name,
        .format = image->format,
        .bridge_fd = -1,
        .is_shared = true,
        .cancel_fd = -1,
        .sink = take_entry,
        .opaque = &collected,
    };

    if (file_name == NULL)
        return error_set(err, errno, "%s: name", image->who);
    if (qemu_img_map(qemu, &request, err) == -1)
        return error_wrap(err, "%s: %s", image->who, image->path);
    if (query->disk_size != 0 &&
        IO_ROUND_UP(collected.disk_end, IO_SECTOR) != query->disk_size)
        return error_set(err, 0,
                         "%s: the device has %" PRIu64
                         " bytes, but %s describes a disk of %" PRIu64,
                         image->who, query->disk_size, image->path,
                         collected.disk_end);
    return 0;
}
