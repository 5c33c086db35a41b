/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A qcow2 file that QEMU is shown over the bridge: its end is noticed. */

#include "config.h"

#include "base/io.h"
#include "nbd/shown-file.h"
#include "qemu/header.h"

#include <errno.h>
#include <string.h>

#define CLAIMED_SIZE (UINT64_C(1) << 62)

/* Only its server's thread is here.  Returns errno. */
static int note_failure(struct shown_file *f, uint64_t file_offset)
{
    int errnum = errno;

    if (atomic_load(&f->failure) == 0) {
        f->failed_at = file_offset;
        atomic_store(&f->failure, errnum);
    }
    return errnum;
}

static int read_file(void *opaque, void *buf, uint32_t length,
                     uint64_t file_offset)
{
    struct shown_file *f = opaque;
    ssize_t got = io_pread_full(f->fd, buf, length, file_offset);

    if (got == -1)
        return note_failure(f, file_offset);
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

int shown_file_start(struct shown_file *f, int fd, bool is_for_data,
                     int *bridge_fd, struct error *err)
{
    *f = (struct shown_file){
        .fd = fd,
        .is_for_data = is_for_data,
        .export =
            {
                .size = CLAIMED_SIZE,
                .read = read_file,
                .opaque = f,
            },
    };
    return nbd_server_start(&f->export, &f->server, bridge_fd, err);
}

uint64_t shown_file_missed(const struct shown_file *f)
{
    return atomic_load(&f->missed);
}

int shown_file_failure(const struct shown_file *f, uint64_t *file_offset)
{
    int failure = atomic_load(&f->failure);

    if (failure != 0)
        *file_offset = f->failed_at;
    return failure;
}

void shown_file_stop(struct shown_file *f)
{
    nbd_server_stop(f->server);
    f->server = NULL;
}
