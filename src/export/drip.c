/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Keeps a reader from giving up while the image is being planned. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/signals.h"
#include "export/drip.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

/* The second half of the bytes comes so many times slower: few readers wait
 * for less than two minutes, and so the bytes last for three quarters of an
 * hour, not for twelve minutes.
 */
enum { SLOWER = 6 };

static bool is_waited_for(const struct sink *sink)
{
    struct stat st;

    return fstat(sink->fd, &st) == 0 &&
           (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode));
}

/* Milliseconds until the next byte; or -1, if it has been the last. */
static int next_wait_ms(const struct drip *d)
{
    if (d->sent == sizeof d->header)
        return -1;
    return d->interval_ms * (d->sent < sizeof d->header / 2 ? 1 : SLOWER);
}

/* Waits until it is time for the next byte, and there is room for it; false:
 * there is to be none.  A write that blocks could not be ended, as signals are
 * main's, and main waits for this thread.
 */
static bool wait_for_turn(const struct drip *d)
{
    struct pollfd fds[] = {
        {.fd = d->stop_fd, .events = POLLIN},
        {.fd = d->sink->fd, .events = POLLOUT},
    };

    if (io_poll(fds, 1, next_wait_ms(d)) != 0)
        return false;
    return io_poll(fds, 2, -1) > 0 && fds[0].revents == 0;
}

static void *run(void *opaque)
{
    struct drip *d = opaque;

    io_ignore_moves();
    while (wait_for_turn(d)) {
        if (sink_write(d->sink, d->header + d->sent, 1, &d->err) == -1) {
            d->is_failed = true;
            return NULL;
        }
        d->sent++;
        log_debug("planning: byte %" PRIu64 " of the image has been sent",
                  d->sent);
    }
    return NULL;
}

int drip_start(struct drip *d, struct sink *sink, unsigned interval_ms,
               const struct qcow2_options *options, uint64_t disk_size,
               struct error *err)
{
    int r;

    *d = DRIP_NONE;
    if (interval_ms == 0 || !is_waited_for(sink))
        return 0;
    d->sink = sink;
    d->interval_ms = interval_ms;
    header_make_beginning(options->is_v2, options->cluster_size, disk_size,
                          d->header);
    d->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->stop_fd == -1)
        return error_set(err, errno, "cannot make an eventfd");
    log_debug("planning: meanwhile a byte goes out each %u ms", interval_ms);
    r = signals_create_thread(&d->thread, run, d);
    if (r == 0)
        return 0;
    cleanup_close_fd(&d->stop_fd);
    d->stop_fd = -1;
    return error_set(err, r, "cannot start a thread");
}

void drip_close(struct drip *d)
{
    if (d->stop_fd == -1)
        return;
    eventfd_write(d->stop_fd, 1);
    pthread_join(d->thread, NULL);
    cleanup_close_fd(&d->stop_fd);
    d->stop_fd = -1;
}

int drip_stop(struct drip *d, int fd, uint64_t *file_offset, struct error *err)
{
    unsigned char header[HEADER_BEGINNING] = {0};

    if (d->stop_fd == -1)
        return 0;
    drip_close(d);
    if (d->is_failed) {
        *err = d->err;
        return -1;
    }
    if (io_pread_full(fd, header, sizeof header, 0) == -1)
        return error_set(err, errno, "spool: cannot read at file offset 0");
    if (memcmp(header, d->header, d->sent) != 0)
        return error_set(err, 0,
                         "QEMU: this version writes another header than was "
                         "sent already (--first-byte-within 0 sends none)");
    *file_offset = d->sent;
    return 0;
}
