/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Can the compressed clusters of an image be decoded? */

#include "config.h"

#include "export/decoding.h"
#include "nbd/image-reader.h"
#include "nbd/shown-file.h"

#include <inttypes.h>

/* Is what QEMU was shown to blame? */
static int check(void *opaque, struct error *err)
{
    const struct shown_file *file = opaque;
    uint64_t file_offset;
    int failure = shown_file_failure(file, &file_offset);

    if (failure != 0)
        return error_set(err, failure, "cannot read at file offset %" PRIu64,
                         file_offset);
    if (shown_file_missed(file) != 0)
        return error_set(err, 0, "truncated");
    return nbd_server_check(file->server, err);
}

static int forget(void *opaque, const void *buf, size_t length,
                  uint64_t disk_offset, struct error *err)
{
    (void)opaque;
    (void)buf;
    (void)length;
    (void)disk_offset;
    (void)err;
    return 0;
}

static int read_all(struct image_reader *reader, const struct extents *all,
                    struct error *err)
{
    struct nbd_client *client = image_reader_client(reader);

    for (size_t i = 0; i < all->count; i++)
        if (nbd_client_read(client, all->list[i].disk_offset,
                            all->list[i].length, forget, NULL, err) == -1)
            return image_reader_blame(reader, err);
    return nbd_client_finish(client, err) == 0
               ? 0
               : image_reader_blame(reader, err);
}

static int try(const struct qemu *qemu, struct shown_file *file, int bridge_fd,
               const struct anatomy *a, struct decoding *result,
               struct error *err)
{
    const struct image_reader_spec spec = {
        .qemu = qemu,
        .cancel_fd = -1,
        .check = check,
        .opaque = file,
    };
    struct image_reader *reader = NULL;
    int r = image_reader_open_bridge(&spec, bridge_fd, anatomy_cluster(a),
                                     &reader, err);

    if (r == 0) {
        r = read_all(reader, &a->compressed, err);
        result->is_bad = r == -1 && shown_file_missed(file) == 0 &&
                         nbd_client_is_refused(image_reader_client(reader),
                                               &result->disk_offset);
    }
    image_reader_close(reader);
    return r;
}

int decoding_try(const struct qemu *qemu, int fd,
                 const struct anatomy *anatomy, struct decoding *result,
                 struct error *err)
{
    struct shown_file file;
    uint64_t file_offset;
    int bridge_fd, r;

    *result = (struct decoding){.is_bad = false};
    if (shown_file_start(&file, fd, true, &bridge_fd, err) == -1)
        return -1;
    r = try(qemu, &file, bridge_fd, anatomy, result, err);
    if (shown_file_failure(&file, &file_offset) == 0)
        result->needed_end = shown_file_missed(&file);
    else
        result->is_bad = false;
    shown_file_stop(&file);
    return result->needed_end != 0 || result->is_bad ? 0 : r;
}
