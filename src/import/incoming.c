/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The stream that an import reads, and how it may end. */

/* Notes on the design
 *
 * --destination-size may be wrong.  So it ends a stream that is not all there
 * only after some seconds of silence: a client that has sent all it has may
 * well wait for us.  0 is what an empty request has, or a client that does not
 * know; so it goes by the same rule.  --source-size is never wrong: fewer
 * bytes are an error, even if nobody needs the rest.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/stall.h"
#include "base/tidy-fds.h"
#include "import/incoming.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

int incoming_check(int fd, struct error *err)
{
    if (tidy_fds_was_closed(fd))
        return error_set(err, 0, "source: standard input is closed");
    if (isatty(fd))
        return error_set(err, 0,
                         "source: refusing to read an image from a terminal");
    if (io_is_write_only(fd))
        return error_set(err, 0, "source: fd %d is write-only", fd);
    return 0;
}

bool incoming_is_at_hint(const struct incoming *in)
{
    return in->size == 0 && in->has_hint && in->received == in->hint;
}

static void end_by_hint(struct incoming *in)
{
    in->is_ended = in->is_hinted = true;
    error_set(&in->ending, 0,
              "source: nothing came behind the %" PRIu64
              " bytes of --destination-size",
              in->hint);
}

int incoming_wait(struct incoming *in, int wake_fd, int timeout_ms,
                  struct error *err)
{
    bool is_at_end = incoming_is_at_hint(in);
    int ready;
    STALL_WAIT_FOR(STALL_PEER, "the sender");

    if (is_at_end)
        timeout_ms = INCOMING_LOOK_MS;
    ready = io_wait(in->fd, POLLIN, wake_fd, timeout_ms);
    if (ready == -1)
        return error_set(err, errno, "source");
    if (ready == 1 || !is_at_end)
        in->silent_ms = 0;
    else if (in->silent_ms == 0)
        in->silent_ms = clock_ms();
    else if (clock_ms() - in->silent_ms >= INCOMING_HINT_SILENCE_MS)
        end_by_hint(in);
    return ready;
}

ssize_t incoming_read(struct incoming *in, char *buf, uint64_t length,
                      struct error *err)
{
    ssize_t n;

    if (in->size != 0)
        length = io_min(length, in->size - in->received);
    else if (in->received < in->hint)
        length = io_min(length, in->hint - in->received);
    n = io_read(in->fd, buf, rate_most(&in->rate, length));
    if (n == -1 && errno != ECONNRESET)
        return error_set(err, errno,
                         "source: cannot read at file offset %" PRIu64,
                         in->received);
    if (n == -1) {
        /* A client that left this way may have sent all that is needed. */
        error_set(&in->ending, errno,
                  "source: the sender left at file offset %" PRIu64,
                  in->received);
        in->is_broken = true;
        n = 0;
    }
    if (in->checksum != NULL && checksum_add(in->checksum, buf, n, err) == -1)
        return -1;
    in->received += n;
    rate_spend(&in->rate, n);
    in->received_ms = clock_ms();
    in->is_ended = n == 0 || (in->size != 0 && in->received == in->size);
    return n;
}

int incoming_check_size(const struct incoming *in, struct error *err)
{
    if (in->received >= in->size)
        return 0;
    if (in->is_broken) {
        *err = in->ending;
        return -1;
    }
    return error_set(err, 0,
                     "source: truncated: it ends at file offset %" PRIu64
                     ", and --source-size is %" PRIu64,
                     in->received, in->size);
}

const char *incoming_why_ended(const struct incoming *in)
{
    return in->is_broken || in->is_hinted ? in->ending.msg : NULL;
}
