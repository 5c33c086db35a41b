/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what of a program's complaints is told. */

#include "config.h"

#include "base/last-words.h"
#include "test.h"

#define DELETING                                                              \
    "qemu-img: Error when deleting file /proc/self/fd/6: Operation not "      \
    "permitted\n"
#define TOO_LARGE                                                             \
    "qemu-img: /proc/self/fd/6: Could not resize image: File too large"
#define WARNING "qemu-nbd: warning: it is old\n"

static const struct {
    const char *name, *text, *taken;
} cases[] = {
    {"nothing is nothing", "", ""},
    {"empty lines are nothing", "\n\n\n", ""},
    {"a line is told", "the cause\n", "the cause"},
    {"a line need not be ended", "the cause", "the cause"},
    {"two lines are told as one", "the cause\nwhat came\n",
     "the cause what came"},
    {"of more lines the last two are", "one\ntwo\nthree\n", "two three"},
    {"empty lines between them do not count", "\none\n\n\ntwo\n\n", "one two"},
    {"a short line before a long one is told", "a\nbcdefghijklmnop\n",
     "a bcdefghijklmnop"},
    {"a cleaning up before the cause is left out", DELETING TOO_LARGE "\n",
     TOO_LARGE},
    {"a cleaning up behind the cause is left out", TOO_LARGE "\n" DELETING,
     TOO_LARGE},
    {"a cleaning up in between is left out", "one\n" DELETING "two\n",
     "one two"},
    {"a cleaning up is told if there is nothing else", DELETING,
     "qemu-img: Error when deleting file /proc/self/fd/6: Operation not "
     "permitted"},
    {"advice behind the cause is left out",
     "qemu-img: VHDX image file 'a' opened read-only, but contains a log that "
     "needs to be replayed\n"
     "To replay the log, run:\nqemu-img check -r all 'a'\n",
     "qemu-img: VHDX image file 'a' opened read-only, but contains a log that "
     "needs to be replayed"},
    {"what a number is to look like is left out",
     "qemu-img: Parameter 'cluster_size' expects a non-negative number below "
     "2^64\n"
     "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, "
     "peta-\nand exabytes, respectively.\n",
     "qemu-img: Parameter 'cluster_size' expects a non-negative number below "
     "2^64"},
    {"a warning before the cause is left out", WARNING "the cause\n",
     "the cause"},
    {"a warning behind the cause is left out", "the cause\n" WARNING,
     "the cause"},
    {"a warning is told if there is nothing else", WARNING WARNING,
     "qemu-nbd: warning: it is old"},
};

/* The text comes in pieces of so many bytes. */
static const char *take(struct last_words *words, const char *text,
                        size_t piece)
{
    for (size_t left = strlen(text); left > 0;) {
        size_t n = left < piece ? left : piece;

        last_words_add(words, text, n);
        text += n;
        left -= n;
    }
    return last_words_take(words);
}

static void test_cases(void)
{
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct last_words words = {.length = 0};

        TEST(cases[i].name);
        for (size_t piece = 1; piece < 100; piece += 33)
            CHECK_STR(take(&words, cases[i].text, piece), cases[i].taken);
        CHECK_STR(last_words_take(&words), ""); /* they are told once */
    }
}

static void test_long(void)
{
    struct last_words words = {.length = 0};
    char text[3 * LAST_WORDS_SPACE + 1];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    TEST("of a line that is too long the end is told");
    CHECK_UINT(strlen(take(&words, text, sizeof text)), LAST_WORDS_SPACE);
    CHECK_UINT(strlen(take(&words, text, 7)), LAST_WORDS_SPACE);

    TEST("what comes behind much is told in full");
    memcpy(text + sizeof text - 1 - 17, "\nbefore\nthe end!\n", 17);
    CHECK_STR(take(&words, text, sizeof text), "before the end!");
    CHECK_STR(take(&words, text, 100), "before the end!");

    TEST("two lines that take all the room are told as one");
    memset(text, 'x', sizeof text - 1);
    text[LAST_WORDS_SPACE / 2] = '\n';
    text[LAST_WORDS_SPACE] = '\0';
    CHECK_UINT(strlen(take(&words, text, 100)), LAST_WORDS_SPACE);
}

int main(void)
{
    test_begin();
    test_cases();
    test_long();
    return test_end();
}
