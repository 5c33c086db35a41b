/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Walks over the words of a command line. */

#include "config.h"

#include "cli/arguments.h"
#include "cli/suggest.h"

#include <getopt.h>
#include <stddef.h>
#include <string.h>

/* getopt_long(3)'s return values. */
enum {
    IS_OPERAND = 1,
    FIRST_SPEC = 0x100, /* an option's index in option_specs comes on top */
};

struct walk {
    enum command command;
    arguments_take *take;
    void *opaque;
    const struct option_spec *seen[OPTION_IDS];
    const char
        *value[OPTION_SPECS_MOST]; /* of those seen; "" if it has none */
    const char *operand;

    bool has_failed;
    struct error failure; /* the first, unless help is asked for */
};

/* Options that no call can mean at once. */
static const enum option_id opposites[][2] = {
    {OPT_DESTINATION, OPT_DESTINATION_FD},
    {OPT_QUIET, OPT_VERBOSE},
    {OPT_QUIET, OPT_DEBUG},
    {OPT_QUIET, OPT_PROGRESS},
    {OPT_RELATIVE_TO, OPT_BITMAP},
    {OPT_RELATIVE_TO, OPT_CHANGED_BLOCKS},
    {OPT_BITMAP, OPT_CHANGED_BLOCKS},
    /* A stream has been made already. */
    {OPT_STREAM, OPT_SOURCE},
    {OPT_STREAM, OPT_SOURCE_FORMAT},
    {OPT_STREAM, OPT_IMAGE_FORMAT},
    {OPT_STREAM, OPT_DETECT_ZEROES},
    {OPT_STREAM, OPT_LAYOUT},
    {OPT_STREAM, OPT_CLUSTER_SIZE},
    {OPT_STREAM, OPT_REFCOUNT_BITS},
    {OPT_STREAM, OPT_COMPAT},
    {OPT_STREAM, OPT_EXTENDED_L2},
};

/* The first means nothing without the second. */
static const enum option_id needs[][2] = {
    {OPT_MACHINE, OPT_PROGRESS},
};

enum {
    N_OPPOSITES = sizeof opposites / sizeof opposites[0],
    N_NEEDS = sizeof needs / sizeof needs[0],
};

static bool is_ignored(const struct option_spec *spec)
{
    return spec->id == OPT_IGNORED || spec->id == OPT_IGNORED_PREFIX;
}

/* Keeps a mistake that does not matter if help is asked for. */
static void note_failure(struct walk *w, const struct error *failure)
{
    if (!w->has_failed)
        w->failure = *failure;
    w->has_failed = true;
}

static int take(struct walk *w, const struct option_spec *spec,
                const char *value, struct error *err)
{
    int index = spec - option_specs;
    const char *before = w->value[index];

    if (before != NULL && value != NULL && !is_ignored(spec)) {
        struct error twice;

        error_set(&twice, 0, "--%s is given twice: '%s' and '%s'", spec->name,
                  before, value);
        note_failure(w, &twice);
        return 0;
    }
    w->seen[spec->id] = spec;
    w->value[index] = value == NULL ? "" : value;
    return w->take(w->opaque, spec, value, err);
}

/* The word that belongs to no option. */
static int take_operand(struct walk *w, const char *word, struct error *err)
{
    const struct option_spec *spec =
        option_find(w->command, command_specs[w->command].operand);
    const char *before = w->value[spec - option_specs];
    struct error second;

    if (before == NULL) {
        w->operand = word;
        return take(w, spec, word, err);
    }
    if (w->operand != NULL)
        error_set(&second, 0, "unexpected argument '%s': '%s' is the %s", word,
                  before, spec->value);
    else
        error_set(&second, 0, "unexpected argument '%s': --%s is '%s'", word,
                  spec->name, before);
    note_failure(w, &second);
    return 0;
}

static void check_pairs(struct walk *w)
{
    struct error failure;

    for (int i = 0; i < N_OPPOSITES; i++) {
        const struct option_spec *a = w->seen[opposites[i][0]];
        const struct option_spec *b = w->seen[opposites[i][1]];

        if (a == NULL || b == NULL)
            continue;
        error_set(&failure, 0, "--%s and --%s contradict each other", a->name,
                  b->name);
        note_failure(w, &failure);
    }
    for (int i = 0; i < N_NEEDS; i++) {
        const struct option_spec *a = w->seen[needs[i][0]];

        if (a == NULL || w->seen[needs[i][1]] != NULL)
            continue;
        error_set(&failure, 0, "--%s needs --%s", a->name,
                  option_find(w->command, needs[i][1])->name);
        note_failure(w, &failure);
    }
}

/* getopt_long's tables for one command. */
static void make_tables(enum command command, struct option *table,
                        char *letters)
{
    /* Each word comes in its order, and a missing value is told from an
     * unknown option.
     */
    letters = stpcpy(letters, "-:");
    for (int i = 0; i < option_specs_count; i++) {
        int has_arg = no_argument;

        if (!(option_specs[i].commands & 1 << command))
            continue;
        if (option_specs[i].id == OPT_IGNORED_PREFIX)
            has_arg = optional_argument;
        else if (option_specs[i].value != NULL)
            has_arg = required_argument;
        *table++ = (struct option){option_specs[i].name, has_arg, NULL,
                                   FIRST_SPEC + i};
        if (option_specs[i].letter != 0)
            *letters++ = option_specs[i].letter;
    }
    *table = (struct option){0};
    *letters = '\0';
}

/* The option that getopt_long means by a value of its own: in the tables are
 * no others.
 */
static const struct option_spec *find_spec(enum command command, int c)
{
    int i = 0;

    if (c >= FIRST_SPEC)
        return &option_specs[c - FIRST_SPEC];
    while (!(option_specs[i].commands & 1 << command) ||
           option_specs[i].letter != c)
        i++;
    return &option_specs[i];
}

/* xapi gives the prefix as an argument of its own, which may be empty, and
 * an operator may leave it out: it is there unless an option follows.
 */
static void skip_prefix(int argc, char **argv)
{
    if (optarg == NULL && optind < argc && argv[optind][0] != '-')
        optind++;
}

/* What getopt_long refused; word is where it was. */
static int refuse(struct walk *w, int c, const char *word, struct error *err)
{
    if (c == ':')
        return error_set(err, 0, "--%s needs a value",
                         find_spec(w->command, optopt)->name);
    if (optopt >= FIRST_SPEC)
        return error_set(err, 0, "--%s takes no value",
                         find_spec(w->command, optopt)->name);
    if (optopt != 0 &&
        option_find_name(w->command, word + 1, strcspn(word + 1, "=")) == NULL)
        return error_set(err, 0,
                         "unknown option '-%c'; see qcow-tool %s --help",
                         optopt, command_specs[w->command].name);
    if (optopt != 0)
        return error_set(err, 0, "unknown option '%s'; is -%s meant?", word,
                         word); /* one dash for two */
    return suggest_option(w->command, word, err);
}

int arguments_walk(enum command command, int argc, char **argv,
                   arguments_take *take_option, void *opaque, bool *is_asked,
                   struct error *err)
{
    struct walk w = {
        .command = command,
        .take = take_option,
        .opaque = opaque,
    };
    struct option table[OPTION_SPECS_MOST + 1];
    char letters[OPTION_SPECS_MOST + 3];
    int c, at = 1;

    make_tables(command, table, letters);
    opterr = 0;
    optind = 0;
    while ((c = getopt_long(argc, argv, letters, table, NULL)) != -1) {
        const struct option_spec *spec;

        if (c == ':' || c == '?')
            return refuse(&w, c, argv[at], err);
        if (c == IS_OPERAND) {
            if (take_operand(&w, optarg, err) == -1)
                return -1;
            at = optind;
            continue;
        }
        spec = find_spec(command, c);
        if (spec->id == OPT_IGNORED_PREFIX)
            skip_prefix(argc, argv);
        if (take(&w, spec, optarg, err) == -1)
            return -1;
        at = optind;
    }
    for (; optind < argc; optind++) /* behind "--" */
        if (take_operand(&w, argv[optind], err) == -1)
            return -1;
    check_pairs(&w);
    *is_asked = w.seen[OPT_HELP] != NULL || w.seen[OPT_VERSION] != NULL;
    if (*is_asked || !w.has_failed)
        return 0;
    *err = w.failure;
    return -1;
}
