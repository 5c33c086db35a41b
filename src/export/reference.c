/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The source of an export, as QEMU reads it by itself. */

#include "config.h"

#include "base/cleanup.h"
#include "export/chain-names.h"
#include "export/reference.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static int open_raw(const char *path, struct reference *r, struct error *err)
{
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd == -1)
        return error_set(err, errno, "source: cannot open %s", path);
    r->disk.fd = r->fd;
    r->options = qemu_raw_options(r->fd);
    return r->options == NULL ? error_set(err, ENOMEM, "source") : 0;
}

static int open_image(const struct qemu *qemu, const char *path,
                      const char *format, struct reference *r,
                      struct error *err)
{
    r->disk.fd = -1;
    if (chain_open(qemu, "source", path, format, &r->chain, err) == -1)
        return -1;
    return chain_name(&r->chain, 0, false, &r->options, &r->disk.fd, err);
}

int reference_open(const struct qemu *qemu, const struct export_source *source,
                   bool has_map, struct reference *r, struct error *err)
{
    int status = -1;

    *r = (struct reference){.fd = -1, .disk = {.fd = -1}};
    switch (source->kind) {
    case EXPORT_HYBRID:
        status = has_map ? open_image(qemu, source->image_path,
                                      source->image_format, r, err)
                         : open_raw(source->device, r, err);
        break;
    case EXPORT_RAW:
        status = open_raw(source->device, r, err);
        break;
    case EXPORT_IMAGE:
        status =
            open_image(qemu, source->image_path, source->image_format, r, err);
        break;
    case EXPORT_NBD:
        r->disk.uri = source->uri;
        return 0;
    case EXPORT_NBD_HYBRID:
        r->options =
            qemu_export_options(source->socket_path, source->export_name);
        status = r->options == NULL ? error_set(err, ENOMEM, "source") : 0;
        break;
    case EXPORT_NONE:
        return error_set(err, 0, "source: there is none");
    }
    r->disk.options = r->options;
    return status;
}

void reference_close(struct reference *r)
{
    free(r->options);
    cleanup_close_fd(&r->fd);
    if (r->chain.links != NULL)
        chain_close(&r->chain);
    *r = (struct reference){.fd = -1, .disk = {.fd = -1}};
}
