/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What --help shows. */

#ifndef QT_HELP_H
#define QT_HELP_H

#include "cli/option-table.h"

/* Prints to standard output what --help shows. */
void help_print(enum command command);

#endif
