/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qcow-tool measure: how long the stream is going to be. */

#ifndef QT_MEASURE_H
#define QT_MEASURE_H

#include "base/error.h"
#include "base/progress.h"
#include "export/export.h"

struct measure_options {
    struct export_options export;
    enum progress_mode progress;
};

/* Prints the length of what `stream` with these options sends, to the byte,
 * and what tells it from others, as a JSON object on standard output.
 */
int measure(const struct measure_options *options, struct error *err);

#endif
