/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What somebody meant who typed a word that there is not. */

#include "config.h"

#include "cli/suggest.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum {
    LONGEST_NAME = 32, /* of all that are compared; longer ones are far off */
    TOO_FAR = 4,       /* more mistakes than anybody makes in a word */
};

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* How many letters have to be changed, put in, left out or swapped with their
 * neighbour to make a from b: the distance of Damerau and Levenshtein, in its
 * form without moves across an edit.
 */
static int distance(const char *a, int length_a, const char *b, int length_b)
{
    int d[LONGEST_NAME + 1][LONGEST_NAME + 1];

    if (length_a > LONGEST_NAME || length_b > LONGEST_NAME)
        return TOO_FAR;
    for (int i = 0; i <= length_a; i++) {
        for (int j = 0; j <= length_b; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1,
                            d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[length_a][length_b];
}

/* The nearest so far of the words that are tried. */
struct nearest {
    const char *name;
    int distance;
};

/* A third of the letters may be wrong: else it is another word. */
static void try(struct nearest *best, const char *word, int length,
                const char *name)
{
    int d = distance(word, length, name, strlen(name));

    if (d < best->distance && 3 * d <= length + 1)
        *best = (struct nearest){name, d};
}

/* The command after command that has an option of that name, or COMMAND_NONE.
 */
static enum command find_owner(enum command command, const char *name,
                               int length)
{
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (i != (int)command && option_find_name(i, name, length) != NULL)
            return i;
    return COMMAND_NONE;
}

/* Writes the options that begin with name, and returns how many there are. */
static int list_candidates(enum command command, const char *name, int length,
                           char *text, size_t space)
{
    int n = 0;

    text[0] = '\0';
    for (int i = 0; i < option_specs_count; i++) {
        size_t used = strlen(text);

        if (!(option_specs[i].commands & 1 << command) ||
            strncmp(option_specs[i].name, name, length) != 0)
            continue;
        snprintf(text + used, space - used, "%s--%s", n == 0 ? "" : ", ",
                 option_specs[i].name);
        n++;
    }
    return n;
}

int suggest_option(enum command command, const char *word, struct error *err)
{
    const char *name = word + strspn(word, "-");
    int length = strcspn(name, "="), shown = name - word + length;
    const char *where = command_specs[command].name;
    struct nearest best = {NULL, TOO_FAR};
    enum command owner = find_owner(command, name, length);
    char candidates[300];

    if (length > 0 && list_candidates(command, name, length, candidates,
                                      sizeof candidates) > 1)
        return error_set(err, 0, "option '%.*s' may be one of %s", shown, word,
                         candidates);
    if (owner != COMMAND_NONE)
        return error_set(err, 0,
                         "unknown option '%.*s': %s has it, and %s has not",
                         shown, word, command_specs[owner].name, where);
    for (int i = 0; i < option_specs_count; i++)
        if (option_specs[i].commands & 1 << command)
            try(&best, name, length, option_specs[i].name);
    if (best.name != NULL)
        return error_set(err, 0,
                         "unknown option '%.*s'; is --%s meant? See qcow-tool "
                         "%s --help",
                         shown, word, best.name, where);
    return error_set(err, 0, "unknown option '%.*s'; see qcow-tool %s --help",
                     shown, word, where);
}

int suggest_command(const char *word, struct error *err)
{
    struct nearest best = {NULL, TOO_FAR};

    for (int i = 0; i < COMMAND_COUNT; i++)
        try(&best, word, strlen(word), command_specs[i].name);
    try(&best, word, strlen(word), "help");
    if (best.name == NULL)
        return error_set(err, 0, "unknown command '%s'; see qcow-tool --help",
                         word);
    return error_set(err, 0,
                     "unknown command '%s'; is %s meant? See qcow-tool --help",
                     word, best.name);
}
