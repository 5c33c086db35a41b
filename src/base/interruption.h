/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Why work has ended that a signal or a stall has ended. */

#ifndef QT_INTERRUPTION_H
#define QT_INTERRUPTION_H

#include "base/error.h"

/* After a failure.  If a signal was noted, or nothing has moved for too long,
 * then whatever failed did so for that: err says it instead.  What is to be
 * said of what is left is appended after this.  Returns -1.
 */
int interruption_explain(struct error *err);

#endif
