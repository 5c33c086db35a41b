/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Of what a program wrote to standard error, the cause of its end. */

#ifndef QT_LAST_WORDS_H
#define QT_LAST_WORDS_H

#include <stddef.h>

enum { LAST_WORDS_SPACE = 1024 };

/* The end of what it wrote so far; all zeroes: nothing yet. */
struct last_words {
    char text[LAST_WORDS_SPACE + 1];
    size_t length;
};

void last_words_add(struct last_words *words, const char *text, size_t length);

/* The last two lines, as one: the cause may be in the first, and what came of
 * it in the second.  Lines that are no cause do not count if there is another:
 * warnings, and what QEMU says of its cleaning up.  "": it wrote none.
 *
 * What is returned is a part of words, which has none any more after that.
 */
const char *last_words_take(struct last_words *words);

#endif
