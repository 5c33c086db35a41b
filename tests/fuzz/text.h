/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Fuzzes a parser of text that comes in pieces: as a whole and cut. */

#ifndef QT_FUZZ_TEXT_H
#define QT_FUZZ_TEXT_H

#include "base/error.h"
#include "fuzz.h"

#include <string.h>

/* What came of a text. */
struct outcome {
    int r;
    uint64_t count, end; /* of what was found; a target's own */
    uint64_t hash;       /* of it, in its order */
};

/* The functions of a parser: as its header has them, in effect. */
struct text_parser {
    void *(*begin)(struct outcome *outcome); /* which stays where it is */
    int (*feed)(void *parser, const char *text, size_t length,
                struct error *err);
    int (*end)(void *parser, struct outcome *outcome, struct error *err);
    void (*free)(void *parser);
};

static inline void outcome_add(struct outcome *outcome, uint64_t value)
{
    outcome->hash = outcome->hash * 31 + value;
    outcome->count++;
}

/* Who fails fills the error, and who succeeds leaves it alone. */
static inline int fuzz_check_error(int r, const struct error *err)
{
    MUST(r == 0 || r == -1);
    MUST((r == -1) == (err->msg[0] != '\0'));
    return r;
}

/* In pieces of this length, each from memory with nothing behind it. */
static inline struct outcome fuzz_parse(const struct text_parser *p,
                                        const char *text, size_t size,
                                        size_t piece)
{
    struct outcome outcome = {0};
    void *parser = p->begin(&outcome);

    MUST(parser != NULL);
    while (size > 0 && outcome.r == 0) {
        size_t length = piece < size ? piece : size;
        char *copy = malloc(length);
        struct error err = {0};

        MUST(copy != NULL);
        memcpy(copy, text, length);
        outcome.r =
            fuzz_check_error(p->feed(parser, copy, length, &err), &err);
        free(copy);
        text += length;
        size -= length;
    }
    if (outcome.r == 0) {
        struct error err = {0};

        outcome.r = fuzz_check_error(p->end(parser, &outcome, &err), &err);
    }
    p->free(parser);
    return outcome;
}

/* The first byte of the input says how the rest is cut. */
static inline int fuzz_text(const struct text_parser *p, const uint8_t *data,
                            size_t size)
{
    struct outcome whole, cut;

    if (size == 0)
        return 0;
    whole = fuzz_parse(p, (const char *)data + 1, size - 1, size);
    cut = fuzz_parse(p, (const char *)data + 1, size - 1, 1 + data[0] % 32);
    /* Not the other way round: json-c (0.16) takes 1-2 for a number if it is
     * cut before the sign.
     */
    if (whole.r == 0)
        MUST(memcmp(&whole, &cut, sizeof whole) == 0);
    return 0;
}

#endif
