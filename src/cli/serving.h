/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The options of serve, and how they go together. */

#ifndef QT_SERVING_H
#define QT_SERVING_H

#include "base/error.h"
#include "cli/option-table.h"
#include "import/serve.h"

#include <stdbool.h>

/* Notes an option that only `serve` has. */
int serving_apply(struct serve_options *o, const struct option_spec *spec,
                  const char *value, struct error *err);

/* All options are in: what is missing, what contradicts?  is_direct: that was
 * asked for.
 */
int serving_complete(struct serve_options *o, bool is_direct,
                     struct error *err);

#endif
