/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The allocation map of an image and its backing files. */

#include "config.h"

#include "cleanup.h"
#include "image.h"
#include "io.h"
#include "qemu-img.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { LONGEST_CHAIN = 1000 }; /* a longer one goes in circles */

int image_split_hybrid(const char *hybrid, char **device, char **image,
                       struct error *err)
{
    const char *first = strchr(hybrid, ':');

    for (const char *colon = first; colon != NULL;
         colon = strchr(colon + 1, ':')) {
        char *CLEANUP(free_ptr) name = strndup(hybrid, colon - hybrid);

        if (name != NULL && name[0] != '\0' && access(name, F_OK) == 0) {
            first = colon;
            break;
        }
    }
    if (first == NULL)
        return error_set(err, 0, "source: no colon in '%s'", hybrid);
    *device = strndup(hybrid, first - hybrid);
    *image = strdup(first + 1);
    if (*device == NULL || *image == NULL)
        return error_set(err, errno, "source: name");
    return 0;
}

/* Does every link of the chain say what format the next one has? */
static int check_chain(const struct qemu *qemu, const char *file_name,
                       const char *format, struct error *err)
{
    char *CLEANUP(free_ptr) link = strdup(file_name);
    char *CLEANUP(free_ptr) link_format = strdup(format);

    for (int depth = 0; link != NULL && link_format != NULL; depth++) {
        struct infojson CLEANUP(infojson) info = {0};

        if (depth == LONGEST_CHAIN)
            return error_set(err, ELOOP, "source: backing files of %s",
                             file_name);
        if (qemu_img_info(qemu, link, link_format, &info, err) == -1)
            return error_wrap(err, "source: %s", link);
        if (info.backing_file == NULL)
            return 0;
        if (info.backing_format == NULL)
            return error_set(err, 0,
                             "source: %s does not record the format of its "
                             "backing file %s, and formats are not probed",
                             link, info.backing_file);
        free(link);
        free(link_format);
        link = STEAL_PTR(info.backing_file);
        link_format = STEAL_PTR(info.backing_format);
    }
    return error_set(err, ENOMEM, "source: backing files");
}

struct collected {
    struct extents *data;
    uint64_t disk_size;
    uint64_t disk_end; /* of the last entry */
};

static int take_entry(void *opaque, const struct mapjson_entry *e,
                      struct error *err)
{
    struct collected *c = opaque;
    uint64_t length = e->length;

    c->disk_end = e->disk_offset + length;
    if (e->disk_offset >= c->disk_size || !mapjson_entry_has_data(e))
        return 0;
    length = io_min(length, c->disk_size - e->disk_offset);
    return extents_append(c->data, e->disk_offset, length, err);
}

int image_map(const struct qemu *qemu, const char *path, const char *format,
              uint64_t disk_size, struct extents *data, struct error *err)
{
    char *CLEANUP(free_ptr) file_name = qemu_file_name(path);
    struct collected collected = {.data = data, .disk_size = disk_size};
    struct qemu_img_map map = {
        .node = file_name,
        .format = format,
        .bridge_fd = -1,
        .is_shared = true,
        .cancel_fd = -1,
        .sink = take_entry,
        .opaque = &collected,
    };

    if (file_name == NULL)
        return error_set(err, errno, "source: name");
    if (check_chain(qemu, file_name, format, err) == -1)
        return -1;
    if (qemu_img_map(qemu, &map, err) == -1)
        return error_wrap(err, "source: %s", path);
    if (IO_ROUND_UP(collected.disk_end, IO_SECTOR) != disk_size)
        return error_set(err, 0,
                         "source: the device has %" PRIu64
                         " bytes, but %s describes a disk of %" PRIu64,
                         disk_size, path, collected.disk_end);
    return 0;
}
