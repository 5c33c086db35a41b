/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What a command does in turn, for its progress and its report. */

#ifndef QT_PHASE_H
#define QT_PHASE_H

enum phase {
    PHASE_NONE,

    /* stream and measure. */
    PHASE_MAPPING,  /* QEMU says where data may be */
    PHASE_SCANNING, /* the disk is read to see what has to be sent */
    PHASE_PLANNING, /* QEMU lays out the image */
    PHASE_SENDING,

    /* serve. */
    PHASE_RECEIVING,
    PHASE_DECODING, /* compressed clusters, once the stream has ended */
    PHASE_ZEROING,  /* the rest of the disk, once all is there */
    PHASE_DRAINING, /* the spool, and what the sender still has */

    /* validate, besides; it has no bar for them. */
    PHASE_CONVERTING, /* QEMU writes the reference */
    PHASE_EXAMINING,  /* QEMU looks at the stream */

    PHASE_FLUSHING,
    PHASES
};

/* For whom it waits while none of its bytes moves. */
enum phase_wait {
    PHASE_UNCOUNTED, /* its bytes are not counted, or come in large steps */
    PHASE_SOURCE,
    PHASE_QEMU,
    PHASE_RECEIVER, /* or for the source; see progress.c */
    PHASE_SENDER,   /* or for the destination */
};

struct phase_spec {
    const char *name;   /* what people are shown */
    enum phase part_of; /* the phase that the report counts it to */
    enum phase_wait wait;
};

extern const struct phase_spec phase_specs[PHASES];

#endif
