/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What somebody else knows to have changed on a disk. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "export/changed-blocks.h"
#include "export/changes.h"
#include "export/source-nbd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int read_fd(struct preparation *p, int fd, const char *name,
                   struct error *err)
{
    if (io_is_write_only(fd))
        return error_set(err, 0, "source: changed blocks: %s is write-only",
                         name);
    return changed_blocks_read(fd, name, p->disk->source->disk_size,
                               &p->changed, err);
}

int changes_find(struct preparation *p, struct error *err)
{
    const struct export_changes *from = &p->o->changes;
    int CLEANUP(close_fd) fd = -1;
    char name[32];

    if (from->bitmap != NULL)
        return source_nbd_find_dirty(p->block_status != NULL ? p->block_status
                                                             : p->disk->source,
                                     &p->changed, err);
    if (from->blocks_path == NULL) {
        if (from->blocks_fd == STDIN_FILENO)
            snprintf(name, sizeof name, "standard input");
        else
            snprintf(name, sizeof name, "fd %d", from->blocks_fd);
        return read_fd(p, from->blocks_fd, name, err);
    }
    fd = open(from->blocks_path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd == -1)
        return error_set(err, errno, "source: changed blocks: cannot open %s",
                         from->blocks_path);
    return read_fd(p, fd, from->blocks_path, err);
}
