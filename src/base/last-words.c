/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Of what a program wrote to standard error, the cause of its end. */

#include "config.h"

#include "base/io.h"
#include "base/last-words.h"

#include <stdbool.h>
#include <string.h>

void last_words_add(struct last_words *words, const char *text, size_t length)
{
    size_t kept;

    if (length > LAST_WORDS_SPACE) {
        text += length - LAST_WORDS_SPACE;
        length = LAST_WORDS_SPACE;
    }
    kept = io_min(words->length, LAST_WORDS_SPACE - length);
    memmove(words->text, words->text + words->length - kept, kept);
    memcpy(words->text + kept, text, length);
    words->length = kept + length;
}

/* After a failure QEMU removes the file it was making, and says so if it could
 * not; our store has no name that could be removed.  What it advises for a
 * VHDX with a log, and says of a number's form, comes behind the cause.
 */
static bool is_no_cause(const char *line)
{
    return strstr(line, "Error when deleting file") != NULL ||
           strstr(line, ": warning: ") != NULL ||
           strncmp(line, "Optional suffix k, M, ", 22) == 0 ||
           strncmp(line, "and exabytes, respectively", 26) == 0 ||
           strcmp(line, "To replay the log, run:") == 0 ||
           strncmp(line, "qemu-img check -r all ", 22) == 0;
}

const char *last_words_take(struct last_words *words)
{
    const char *before = "", *last = "", *aside = "";
    char *line = words->text, *end;
    size_t length;

    words->text[words->length] = '\0';
    words->length = 0;
    for (; *line != '\0'; line = end) {
        end = line + strcspn(line, "\n");
        if (*end == '\n')
            *end++ = '\0';
        if (*line == '\0')
            continue;
        if (is_no_cause(line)) {
            aside = line;
        } else {
            before = last;
            last = line;
        }
    }
    if (*last == '\0')
        return aside;
    if (*before == '\0')
        return last;
    /* Together: what was between them has no place any more. */
    length = strlen(before);
    line = words->text + (before - words->text);
    line[length] = ' ';
    memmove(line + length + 1, last, strlen(last) + 1);
    return line;
}
