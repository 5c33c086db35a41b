/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Texts as JSON has them. */

#ifndef QT_JSON_TEXT_H
#define QT_JSON_TEXT_H

#include <stddef.h>
#include <stdio.h>

/* Bytes of the character of UTF-8 (RFC 3629) that text begins with, or 0. */
size_t json_utf8_length(const char *text);

/* Writes text with its quotes.  What is no text in UTF-8, as names may be,
 * becomes U+FFFD.
 */
void json_put_string(FILE *f, const char *text);

#endif
