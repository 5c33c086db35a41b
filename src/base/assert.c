/* SPDX-License-Identifier: LGPL-2.1-or-later */
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
