/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Where an imported stream is to go. */

#include "config.h"

#include "import/destination.h"
#include "import/target-file.h"
#include "import/target-image.h"
#include "import/target-nbd.h"

#include <stddef.h>

const char *destination_name(const struct destination *d)
{
    return d->uri != NULL ? d->uri : d->path;
}

static int open_target(const struct destination *d, const struct qemu *qemu,
                       struct target **target, struct error *err)
{
    const struct target_image_how image = {
        .path = d->path,
        .format = d->image_format,
        .options = d->image_options,
        .may_replace = d->claim == CLAIM_FORCE,
    };
    const struct target_file_how how = {
        .is_direct = d->is_direct,
        .may_grow = d->is_stdout,
        .keeps_space = d->keeps_space,
    };

    if (d->uri != NULL)
        return target_nbd_open(d->uri, d->keeps_space, target, err);
    if (d->image_format != NULL)
        return target_image_open(qemu, &image, target, err);
    return target_file_open(d->path, &how, target, err);
}

int destination_open(const struct destination *d, const struct qemu *qemu,
                     struct target **target, struct error *err)
{
    if (open_target(d, qemu, target, err) == -1)
        return -1;
    return target_claim(*target, d->claim, err);
}
