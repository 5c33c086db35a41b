/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Walks over the words of a command line. */

#ifndef QT_ARGUMENTS_H
#define QT_ARGUMENTS_H

#include "base/error.h"
#include "cli/option-table.h"

#include <stdbool.h>

/* Takes an option, with its value if it has one. */
typedef int arguments_take(void *opaque, const struct option_spec *spec,
                           const char *value, struct error *err);

/* Calls take for each option of a command, in their order.  argv[0] is the
 * command.  Options may be cut short as long as they mean one.  A word that
 * belongs to no option is taken for the command's operand, so for the option
 * that this stands for; a "-" is such a word.
 *
 * Refused are unknown options, a value given twice, and options that
 * contradict or need each other: not if help or the version is asked for,
 * which *is_asked tells.
 */
int arguments_walk(enum command command, int argc, char **argv,
                   arguments_take *take, void *opaque, bool *is_asked,
                   struct error *err);

#endif
