/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* How far the work is, for machines and for people. */

/* Notes on the design
 *
 * Digits are written by whoever does the work, at once.  The bar is drawn by
 * a thread, the timer: a call that waits for somebody else cannot draw.  It
 * takes a view under the lock, and draws without, so a terminal that has been
 * stopped (^S) stops no transfer.
 *
 * What moves is what the work counts, and what the other end takes out of a
 * full socket: on a slow line a single call sends for minutes.
 */

#include "config.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/own-cage.h"
#include "base/progress-line.h"
#include "base/progress.h"
#include "base/signals.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Milliseconds. */
enum {
    REDRAW_MS = 200,   /* on a terminal */
    LOOK_MS = 1000,    /* elsewhere: does anything move? */
    REPEAT_MS = 30000, /* between two lines there */
    STALL_MS = 3000,   /* without a byte */
    MARK_MS = 1000,    /* between two marks */
};

enum { USUAL_COLUMNS = 80 }; /* of a terminal that does not say */

/* Of current, and of all that is in it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct progress *current; /* what progress_tell tells; or NULL */
static bool is_asked;            /* before there was any */

/* ------------------------------------------------------------ for people */

/* Does the other end of the stream keep us waiting, rather than our own? */
static const char *find_waits_for(const struct progress *p)
{
    enum phase_wait wait = phase_specs[p->phase].wait;
    struct pollfd stream = {.fd = p->data_fd};
    struct stat st;

    if (wait == PHASE_SOURCE)
        return "the source";
    if (wait == PHASE_QEMU)
        return "QEMU";
    if (fstat(p->data_fd, &st) == -1 ||
        (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode)))
        return "the source or the destination";
    stream.events = wait == PHASE_SENDER ? POLLIN : POLLOUT;
    if (poll(&stream, 1, 0) == 0)
        return wait == PHASE_SENDER ? "the sender" : "the receiver";
    return wait == PHASE_SENDER ? "QEMU or the destination" : "the source";
}

static double find_rate(const struct progress *p, uint64_t now)
{
    uint64_t ms = now - p->marks[0].ms;

    if (p->done <= p->marks[0].done)
        return 0;
    return (p->done - p->marks[0].done) * 1e3 / (ms > 0 ? ms : 1);
}

static struct progress_view take_view(const struct progress *p)
{
    uint64_t now = clock_ms();
    bool is_stalled = !p->is_over &&
                      phase_specs[p->phase].wait != PHASE_UNCOUNTED &&
                      (p->total == 0 || p->is_guess || p->done < p->total) &&
                      now - p->moved_ms >= STALL_MS;

    LOCK_ASSERT_HELD(&lock);
    return (struct progress_view){
        .phase = p->phase,
        .percent = p->percent,
        .done = p->done,
        .total = p->is_guess ? 0 : p->total,
        .rate = find_rate(p, now),
        .phase_s = (now - p->phase_ms) / 1000,
        .stalled_s = is_stalled ? (now - p->moved_ms) / 1000 : 0,
        .waits_for = is_stalled ? find_waits_for(p) : NULL,
        .is_over = p->is_over,
        .bytes = p->bytes,
        .all_s = (now - p->began_ms) / 1e3,
    };
}

/* Shows it, on a terminal with the width that this has now. */
static void draw(const struct progress *p, const struct progress_view *view)
{
    char line[PROGRESS_LINE];
    struct winsize size;
    unsigned columns = USUAL_COLUMNS;

    if (!p->is_terminal) {
        progress_line_text(view, line);
        log_notice("%s", line);
        return;
    }
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        columns = size.ws_col;
    progress_line_bar(view, columns, p->has_colour, line);
    log_redraw(line, p->is_dumb ? columns - 1 : 0);
}

/* Has the other end of the stream taken anything? */
static void look_at_stream(struct progress *p)
{
    int queued = -1;

    /* TIOCOUTQ is SIOCOUTQ, of sockets (tcp(7), unix(7)). */
    if (p->phase == PHASE_SENDING && p->data_fd != -1 &&
        ioctl(p->data_fd, TIOCOUTQ, &queued) == -1 &&
        ioctl(p->data_fd, FIONREAD, &queued) == -1)
        queued = -1;
    if (queued != p->queued)
        p->moved_ms = clock_ms();
    p->queued = queued;
}

/* Waits until it is time to draw, and takes the view; false: no more. */
static bool wait_to_draw(struct progress *p, uint64_t *drawn_ms,
                         struct progress_view *view)
{
    unsigned tick = p->is_terminal ? REDRAW_MS : LOOK_MS;
    unsigned pause = p->is_terminal ? 0 : REPEAT_MS;

    LOCK_FOR_SCOPE(&lock);
    while (!p->is_stopped) {
        struct timespec until;
        uint64_t ms = clock_ms() + tick;

        until.tv_sec = ms / 1000;
        until.tv_nsec = ms % 1000 * 1000000;
        if (pthread_cond_timedwait(&p->stopped, &lock, &until) != ETIMEDOUT)
            continue;
        look_at_stream(p);
        if (clock_ms() - *drawn_ms >= pause) {
            *drawn_ms = clock_ms();
            *view = take_view(p);
            return true;
        }
    }
    return false;
}

static void *run_timer(void *opaque)
{
    struct progress *p = opaque;
    struct progress_view view;
    uint64_t drawn_ms = clock_ms();

    while (wait_to_draw(p, &drawn_ms, &view))
        draw(p, &view);
    return NULL;
}

static int start_timer(struct progress *p, struct error *err)
{
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");

    p->is_dumb = term == NULL || term[0] == '\0' || strcmp(term, "dumb") == 0;
    p->has_colour = p->is_terminal && !p->is_dumb &&
                    (no_colour == NULL || no_colour[0] == '\0');
    lock_init_condition(&p->stopped);
    if (own_cage_create_thread(&p->timer, run_timer, p, err) == 0) {
        p->has_timer = true;
        return 0;
    }
    pthread_cond_destroy(&p->stopped);
    return -1;
}

static void stop_timer(struct progress *p)
{
    if (!p->has_timer)
        return;
    {
        LOCK_FOR_SCOPE(&lock);
        p->is_stopped = true;
        pthread_cond_signal(&p->stopped);
    }
    pthread_join(p->timer, NULL);
    pthread_cond_destroy(&p->stopped);
    p->has_timer = false;
}

/* ------------------------------------------------------------ who asks */

/* The view, if anybody may be told; false if nobody. */
static bool may_tell(struct progress_view *view)
{
    LOCK_FOR_SCOPE(&lock);

    if (current == NULL) {
        is_asked = true;
        return false;
    }
    if (current->is_silent)
        return false;
    *view = take_view(current);
    return true;
}

void progress_tell(void)
{
    struct progress_view view;
    char line[PROGRESS_LINE];

    if (!may_tell(&view))
        return;
    progress_line_text(&view, line);
    log_answer("%s", line);
}

/* ---------------------------------------------------------- for machines */

static void write_digits(struct progress *p)
{
    char digits[16];

    if (p->mode != PROGRESS_MACHINE || p->percent <= p->shown)
        return;
    snprintf(digits, sizeof digits, "%03d", p->percent);
    /* Whoever does not listen does not stop the work. */
    if (io_write_full(p->fd, digits, 3) == -1)
        p->mode = PROGRESS_NONE;
    p->shown = p->percent;
}

/* ---------------------------------------------------------- who does it */

/* The rate is that of what is done from now on. */
static void restart_rate(struct progress *p)
{
    p->moved_ms = p->marks[0].ms = clock_ms();
    p->marks[0].done = p->done;
    p->n_marks = 1;
}

static void mark(struct progress *p, uint64_t now)
{
    if (p->n_marks > 0 && now - p->marks[p->n_marks - 1].ms < MARK_MS)
        return;
    if (p->n_marks == PROGRESS_MARKS) {
        memmove(&p->marks[0], &p->marks[1],
                (PROGRESS_MARKS - 1) * sizeof p->marks[0]);
        p->n_marks--;
    }
    p->marks[p->n_marks].ms = now;
    p->marks[p->n_marks].done = p->done;
    p->n_marks++;
}

/* What of whole percents done of total is.  Not by floating point, which is
 * rounded in another way on an i386: 29 of 100 would be 28 there.
 */
static unsigned find_share(unsigned whole, uint64_t done, uint64_t total)
{
    if (total == 0)
        return 0;
    done = io_min(done, total);
    /* Whole is 100 at most, and the product has to fit. */
    if (total > UINT64_MAX / 100) {
        done /= 128;
        total /= 128;
    }
    return (unsigned)(whole * done / total);
}

static void note_done(struct progress *p, uint64_t done, uint64_t total,
                      bool is_guess)
{
    int percent;

    LOCK_FOR_SCOPE(&lock);
    if (done > p->done) {
        uint64_t now = clock_ms();

        if (p->phase == PHASE_SENDING || p->phase == PHASE_RECEIVING)
            p->bytes += done - p->done;
        p->moved_ms = now;
        mark(p, now);
    }
    p->done = done;
    p->total = total;
    p->is_guess = is_guess;
    percent = (int)(p->from + find_share(p->to - p->from, done, total));
    /* Only progress_succeed says 100. */
    percent = percent < 99 ? percent : 99;
    p->percent = percent > p->percent ? percent : p->percent;
}

static bool is_asked_before(struct progress *p)
{
    bool was;

    LOCK_FOR_SCOPE(&lock);
    was = is_asked;
    current = p;
    is_asked = false;
    return was;
}

int progress_open(struct progress *p, enum progress_mode mode, int data_fd,
                  struct report *report, struct error *err)
{
    bool is_stdout_taken = io_is_same(data_fd, STDOUT_FILENO);
    bool is_stderr_taken = io_is_same(data_fd, STDERR_FILENO);
    bool is_terminal = isatty(STDERR_FILENO);

    *p = (struct progress){
        .mode = mode,
        .fd = is_stdout_taken ? STDERR_FILENO : STDOUT_FILENO,
        .shown = -1,
        .began_ms = clock_ms(),
        .phase_ms = clock_ms(),
        .report = report,
        .data_fd = data_fd,
        .queued = -1,
        .is_terminal = is_terminal,
        .is_open = true,
    };
    restart_rate(p);
    /* No image goes to a terminal, only text. */
    if (is_stderr_taken &&
        (mode == PROGRESS_BAR ? !is_terminal : is_stdout_taken))
        p->mode = PROGRESS_NONE;
    p->is_silent = (is_stderr_taken && !is_terminal) ||
                   (mode == PROGRESS_MACHINE && p->fd == STDERR_FILENO);
    write_digits(p);
    if (p->mode == PROGRESS_BAR && start_timer(p, err) == -1)
        return -1;
    if (is_asked_before(p))
        progress_tell();
    return 0;
}

void progress_phase(struct progress *p, enum phase phase)
{
    if (p->phase == phase)
        return;
    report_phase(p->report, phase);

    LOCK_FOR_SCOPE(&lock);
    p->phase = phase;
    p->phase_ms = clock_ms();
    p->done = p->total = 0;
    restart_rate(p);
}

void progress_stage(struct progress *p, unsigned to, uint64_t total)
{
    {
        LOCK_FOR_SCOPE(&lock);
        p->from = p->to;
        p->to = to;
        p->done = 0;
        p->total = total;
        p->is_guess = false;
        restart_rate(p);
    }
    progress_set(p, 0);
}

void progress_skip(struct progress *p, uint64_t done)
{
    LOCK_FOR_SCOPE(&lock);

    p->done = done;
    restart_rate(p);
}

void progress_set(struct progress *p, uint64_t done)
{
    note_done(p, done, p->total, p->is_guess);
    write_digits(p);
}

void progress_set_of(struct progress *p, uint64_t done, uint64_t total)
{
    note_done(p, done, total, false);
    write_digits(p);
}

void progress_guess(struct progress *p, uint64_t done, uint64_t total)
{
    note_done(p, done, total, true);
    write_digits(p);
}

void progress_hide(struct progress *p)
{
    stop_timer(p);
    log_erase_redraw();
}

static struct progress_view note_success(struct progress *p)
{
    LOCK_FOR_SCOPE(&lock);

    p->percent = 100;
    p->is_over = true;
    return take_view(p);
}

void progress_succeed(struct progress *p)
{
    struct progress_view view;

    stop_timer(p);
    view = note_success(p);
    write_digits(p);
    if (p->mode == PROGRESS_BAR)
        draw(p, &view);
    log_end_redraw();
}

void progress_close(struct progress *p)
{
    if (!p->is_open)
        return;
    stop_timer(p);
    log_end_redraw();

    LOCK_FOR_SCOPE(&lock);
    p->is_open = false;
    if (current == p)
        current = NULL;
}
