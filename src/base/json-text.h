/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Texts as JSON has them. */

#ifndef QT_JSON_TEXT_H
#define QT_JSON_TEXT_H

#include <stdio.h>

/* Writes text with its quotes.  What is no text in UTF-8, as names may be,
 * becomes U+FFFD.
 */
void json_put_string(FILE *f, const char *text);

#endif
