/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The disk that an imported stream lands on: an export of an NBD server. */

#include "config.h"

#include "base/log.h"
#include "import/target-nbd.h"

#include <errno.h>
#include <stdlib.h>

static struct target_nbd *nbd_of(struct target *t)
{
    return (struct target_nbd *)t;
}

int target_nbd_lend(struct target *t, uint64_t disk_offset, uint64_t length,
                    char **buf, struct error *err)
{
    return nbd_writer_lend(nbd_of(t)->writer, disk_offset, length, buf, err);
}

int target_nbd_write(struct target *t, const void *buf, size_t length,
                     uint64_t disk_offset, struct error *err)
{
    return nbd_writer_write(nbd_of(t)->writer, buf, length, disk_offset, err);
}

int target_nbd_zero(struct target *t, uint64_t disk_offset, uint64_t length,
                    struct error *err)
{
    return nbd_writer_zero(nbd_of(t)->writer, disk_offset, length, err);
}

void target_nbd_cancel(struct target *t)
{
    if (nbd_of(t)->writer != NULL)
        nbd_writer_cancel(nbd_of(t)->writer);
}

static int nbd_finish(struct target *t, struct error *err)
{
    return nbd_writer_finish(nbd_of(t)->writer, err);
}

static void nbd_free(struct target *t)
{
    nbd_writer_free(nbd_of(t)->writer);
    free(t);
}

int target_nbd_open(const char *uri, bool keeps_space, struct target **target,
                    struct error *err)
{
    static const struct target_ops ops = {
        .lend = target_nbd_lend,
        .write = target_nbd_write,
        .zero = target_nbd_zero,
        .cancel = target_nbd_cancel,
        .finish = nbd_finish,
        .close = nbd_free,
    };
    const struct nbd_address address = {
        .role = "destination",
        .socket_fd = -1,
        .uri = uri,
    };
    struct target_nbd *t = calloc(1, sizeof *t);

    if (t == NULL)
        return error_set(err, errno, "destination: no memory");
    t->target = (struct target){.ops = &ops, .fd = -1};
    if (nbd_writer_open(&address, keeps_space, &t->writer, err) == -1) {
        free(t);
        return -1;
    }
    t->target.size = nbd_writer_size(t->writer);
    t->target.piece = nbd_writer_piece(t->writer);
    if (!nbd_writer_can_flush(t->writer))
        log_notice("warning: destination: the NBD server cannot flush: when "
                   "the disk is on stable storage is not known");
    *target = &t->target;
    return 0;
}
