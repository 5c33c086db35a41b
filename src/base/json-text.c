/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Texts as JSON has them. */

#include "config.h"

#include "base/json-text.h"

/* Is text, at its beginning, a character of UTF-8 with more than one byte?
 * Returns how many it has, or 0.
 */
static int utf8_length(const unsigned char *c)
{
    int length = c[0] < 0xc2   ? 0
                 : c[0] < 0xe0 ? 2
                 : c[0] < 0xf0 ? 3
                 : c[0] < 0xf5 ? 4
                               : 0;

    for (int i = 1; i < length; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] >= 0xa0) ||
        (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] >= 0x90))
        return 0;
    return length;
}

void json_put_string(FILE *f, const char *text)
{
    fputc('"', f);
    while (*text != '\0') {
        unsigned char c = *text;
        int length = c < 0x80 ? 1 : utf8_length((const unsigned char *)text);

        if (length == 0)
            fputs("\\ufffd", f);
        else if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(f, "\\u%04x", c);
        else
            fwrite(text, 1, length, f);
        text += length == 0 ? 1 : length;
    }
    fputc('"', f);
}
