/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Why work has ended that a signal or a stall has ended. */

#include "config.h"

#include "base/interruption.h"
#include "base/signals.h"
#include "base/stall.h"

#include <string.h>

int interruption_explain(struct error *err)
{
    int sig = signals_caught();

    if (sig == SIGNALS_GIVEN_UP)
        return stall_explain(err);
    if (sig != 0)
        error_set(err, 0, "ended by signal %d (%s)", sig, strsignal(sig));
    return -1;
}
