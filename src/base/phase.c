/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What a command does in turn, for its progress and its report. */

#include "config.h"

#include "base/phase.h"

const struct phase_spec phase_specs[PHASES] = {
    [PHASE_NONE] = {"starting", PHASE_NONE, PHASE_UNCOUNTED},
    [PHASE_MAPPING] = {"mapping", PHASE_MAPPING, PHASE_UNCOUNTED},
    [PHASE_SCANNING] = {"scanning", PHASE_SCANNING, PHASE_SOURCE},
    [PHASE_PLANNING] = {"planning", PHASE_PLANNING, PHASE_UNCOUNTED},
    [PHASE_SENDING] = {"sending", PHASE_SENDING, PHASE_RECEIVER},
    [PHASE_RECEIVING] = {"receiving", PHASE_RECEIVING, PHASE_SENDER},
    /* Which of these there are is a matter of speed: a report has one. */
    [PHASE_DECODING] = {"decoding", PHASE_DRAINING, PHASE_QEMU},
    [PHASE_ZEROING] = {"zeroing", PHASE_DRAINING, PHASE_UNCOUNTED},
    [PHASE_DRAINING] = {"draining", PHASE_DRAINING, PHASE_UNCOUNTED},
    [PHASE_CONVERTING] = {"converting", PHASE_CONVERTING, PHASE_UNCOUNTED},
    [PHASE_EXAMINING] = {"examining", PHASE_EXAMINING, PHASE_UNCOUNTED},
    [PHASE_FLUSHING] = {"flushing", PHASE_FLUSHING, PHASE_UNCOUNTED},
};
