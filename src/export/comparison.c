/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Compares what comes out of a pipe with a file, and keeps nothing of it. */

#include "config.h"

#include "base/io.h"
#include "base/signals.h"
#include "export/comparison.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct comparison {
    pthread_t thread;
    int reference_fd, read_fd;
    char *come, *expected; /* IO_PIECE bytes each */
    uint64_t file_offset;  /* where it is; it stays where they differ */
    bool is_different;
    int errnum; /* of what failed, or 0 */
};

/* length bytes have come.  Returns 0, or -1 and errno. */
static int compare(struct comparison *c, size_t length)
{
    ssize_t got =
        io_pread_full(c->reference_fd, c->expected, length, c->file_offset);
    size_t same;

    if (got == -1)
        return -1;
    same = io_find_difference(c->come, c->expected, got);
    c->file_offset += same;
    c->is_different = same < length;
    return 0;
}

/* What follows the first difference is read, and dropped: the writer is to end
 * as it always does.
 */
static void *run(void *opaque)
{
    struct comparison *c = opaque;
    ssize_t n;

    while ((n = io_read(c->read_fd, c->come, IO_PIECE)) > 0)
        if (!c->is_different && compare(c, n) == -1)
            break;
    if (n != 0)
        c->errnum = errno;
    /* A writer that goes on shall not wait for ever. */
    close(c->read_fd);
    return NULL;
}

static void destroy(struct comparison *c)
{
    free(c->come);
    free(c->expected);
    free(c);
}

int comparison_start(int reference_fd, struct comparison **comparison,
                     int *write_fd, struct error *err)
{
    struct comparison *c = calloc(1, sizeof *c);
    int fds[2];

    if (c == NULL)
        return error_set(err, errno, "no memory to compare");
    c->reference_fd = reference_fd;
    c->come = malloc(IO_PIECE);
    c->expected = malloc(IO_PIECE);
    if (c->come == NULL || c->expected == NULL ||
        pipe2(fds, O_CLOEXEC) == -1) {
        error_set(err, errno, "cannot compare");
        destroy(c);
        return -1;
    }
    /* Fewer switches between the two; as it is will do, too. */
    (void)fcntl(fds[1], F_SETPIPE_SZ, (int)IO_PIECE);
    c->read_fd = fds[0];
    errno = signals_create_thread(&c->thread, run, c);
    if (errno != 0) {
        error_set(err, errno, "cannot start a thread to compare");
        close(fds[0]);
        close(fds[1]);
        destroy(c);
        return -1;
    }
    *comparison = c;
    *write_fd = fds[1];
    return 0;
}

int comparison_finish(struct comparison *c, bool *is_same,
                      uint64_t *file_offset, struct error *err)
{
    off_t length;
    int errnum;

    pthread_join(c->thread, NULL);
    length = lseek(c->reference_fd, 0, SEEK_END);
    errnum = length == -1 ? errno : c->errnum;
    *is_same = !c->is_different && (uint64_t)length == c->file_offset;
    *file_offset = c->file_offset;
    destroy(c);
    return errnum == 0
               ? 0
               : error_set(err, errnum, "cannot compare at file offset %ju",
                           (uintmax_t)*file_offset);
}
