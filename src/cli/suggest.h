/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What somebody meant who typed a word that there is not. */

#ifndef QT_SUGGEST_H
#define QT_SUGGEST_H

#include "base/error.h"
#include "cli/option-table.h"

/* Fills err for a word that is neither an option of command nor the beginning
 * of exactly one: says which are meant, as far as can be guessed.  word is as
 * it was typed, with its dashes, and maybe with "=" and a value.  Returns -1.
 */
int suggest_option(enum command command, const char *word, struct error *err);

/* The same for the name of a command. */
int suggest_command(const char *word, struct error *err);

#endif
