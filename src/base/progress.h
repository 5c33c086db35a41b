/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* How far the work is, for machines and for people. */

#ifndef QT_PROGRESS_H
#define QT_PROGRESS_H

#include "base/error.h"
#include "base/phase.h"
#include "base/report.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum progress_mode {
    PROGRESS_NONE,
    PROGRESS_BAR,     /* for people, on standard error */
    PROGRESS_MACHINE, /* three digits a percent, and nothing else */
};

/* Some moments of the last seconds, for the rate. */
enum { PROGRESS_MARKS = 8 };

/* For machines: each percent as exactly three digits, at most once, never
 * falling, written at once; "100" if and only if the work succeeded.  That
 * is what xapi reads, three bytes at a time.  A reader that went away does
 * not fail the work.
 *
 * For people: a bar on a terminal, drawn by a thread of its own, so that it
 * says what the work waits for while nothing moves.  Elsewhere it is a line
 * each half a minute, and one at the end.
 *
 * Work has phases (what is done), and stages, each with its share of the
 * hundred percent.  A program has one progress at a time.  All of it is for
 * the thread that opened it; what another one sees is under a lock.
 */
struct progress {
    enum progress_mode mode;
    int fd;            /* for machines */
    int shown;         /* last percent written, -1 before */
    int percent;       /* never falls */
    unsigned from, to; /* percent that this stage covers */
    enum phase phase;
    uint64_t done, total; /* of this stage, in bytes */
    bool is_guess;        /* the total is */
    uint64_t bytes;       /* sent or received */
    bool is_over;         /* with success */

    /* Milliseconds of CLOCK_MONOTONIC. */
    uint64_t began_ms, phase_ms, moved_ms;
    struct {
        uint64_t ms, done;
    } marks[PROGRESS_MARKS]; /* the oldest first, a second apart */
    unsigned n_marks;

    struct report *report; /* hears of the phases; or NULL */
    int data_fd;           /* the stream's; -1: none */
    int queued;            /* bytes in it when last looked, or -1 */
    bool is_open;
    bool is_silent;   /* standard error is for others */
    bool is_terminal; /* it is one */
    bool has_colour, is_dumb;
    bool has_timer, is_stopped;
    pthread_t timer;
    pthread_cond_t stopped;
};

/* Digits go to standard output, the bar to standard error; but if data_fd is
 * that very file, digits go to standard error, and if that is no better all
 * goes nowhere (a terminal can show the bar beside text).  report is told of
 * each phase; NULL: there is none.  It fails only if there can be no thread.
 */
int progress_open(struct progress *p, enum progress_mode mode, int data_fd,
                  struct report *report, struct error *err);

/* The phase of the work.  The one that it is in already changes nothing. */
void progress_phase(struct progress *p, enum phase phase);

/* The work up to to percent comes next: total bytes of it.  A total of 0
 * is not known yet.
 */
void progress_stage(struct progress *p, unsigned to, uint64_t total);

/* Of this stage, done bytes were done before: they count for no rate. */
void progress_skip(struct progress *p, uint64_t done);

/* Of this stage, done bytes are done. */
void progress_set(struct progress *p, uint64_t done);

/* The same, of a total that is another one by now; or of one that is only a
 * guess, good enough for the percents, and not shown to people.
 */
void progress_set_of(struct progress *p, uint64_t done, uint64_t total);
void progress_guess(struct progress *p, uint64_t done, uint64_t total);

/* Takes the bar from the screen for good, since something else comes there. */
void progress_hide(struct progress *p);

/* Success, once all is flushed: 100 percent. */
void progress_succeed(struct progress *p);

/* Ends the bar where it is.  One that was not opened, or was closed, is fine;
 * it has to come before data_fd is closed.
 */
void progress_close(struct progress *p);

#define cleanup_progress progress_close /* for CLEANUP(progress) */

/* Writes a line to standard error that says how far the work is, in whatever
 * mode and with --quiet; any thread may ask.  Nothing, where data or digits go
 * there; and not before progress_open has found out where that is.
 */
void progress_tell(void);

#endif
