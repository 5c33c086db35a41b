/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What must be true if our own code is right. */

#include "config.h"

#include "base/assert.h"
#include "base/log.h"

#include <stdlib.h>

void assert_failed(const char *condition, const char *file, int line)
{
    log_error("bug at %s:%d: %s does not hold", file, line, condition);
    abort();
}
