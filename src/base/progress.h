/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* How far the work is, for machines and for people. */

#ifndef QT_PROGRESS_H
#define QT_PROGRESS_H

#include <stdint.h>
#include <time.h>

enum progress_mode {
    PROGRESS_NONE,
    PROGRESS_BAR,     /* for people, on standard error */
    PROGRESS_MACHINE, /* three digits a percent, and nothing else */
};

/* For machines: each percent as exactly three digits, at most once, never
 * falling, written at once; "100" if and only if the work succeeded.  That
 * is what xapi reads, three bytes at a time.  A reader that went away does
 * not fail the work.
 *
 * Work has stages, each with its share of the hundred percent.
 */
struct progress {
    enum progress_mode mode;
    int fd;                       /* for machines */
    int shown;                    /* last percent written, -1 before */
    unsigned from, to;            /* percent that this stage covers */
    uint64_t done, total;         /* of this stage, in bytes or steps */
    uint64_t bytes;               /* moved so far, for the rate */
    struct timespec began, drawn; /* CLOCK_MONOTONIC */
};

/* Digits go to standard output, the bar to standard error; but if data_fd is
 * that very file, digits go to standard error, and if that is no better all
 * goes nowhere.
 */
void progress_open(struct progress *p, enum progress_mode mode, int data_fd);

/* The work up to to percent comes next: total steps of it.  A total of 0
 * is not known yet.
 */
void progress_stage(struct progress *p, unsigned to, uint64_t total);

/* Of this stage, done steps are done. */
void progress_set(struct progress *p, uint64_t done);

/* bytes more went where they are to go: for the rate alone. */
void progress_moved(struct progress *p, uint64_t bytes);

/* Success, once all is flushed: 100 percent. */
void progress_succeed(struct progress *p);

/* Writes a line to standard error that says how far the work is, in whatever
 * mode; any thread may ask.  Nothing, where data or digits go there; and not
 * before progress_open has found out where that is.
 */
void progress_tell(void);

#endif
