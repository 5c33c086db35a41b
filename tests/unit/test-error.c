/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what an error says. */

#include "config.h"

#include "base/error.h"
#include "test.h"

static void test_set(void)
{
    struct error err;

    TEST("an error without a number is its text");
    CHECK_INT(error_set(&err, 0, "offset %d", 7), -1);
    CHECK_INT(err.errnum, 0);
    CHECK_STR(err.msg, "offset 7");

    TEST("an error with a number is explained");
    CHECK_INT(error_set(&err, ENOENT, "file %s", "100%d"), -1);
    CHECK_INT(err.errnum, ENOENT);
    CHECK_STR(err.msg, "file 100%d: No such file or directory");
}

/* A message of length bytes. */
static const char *long_text(size_t length)
{
    static char text[2048];

    memset(text, 'x', length);
    text[length] = '\0';
    return text;
}

/* The beginning and the end of what is there to say are in the message. */
static void check_ends(const struct error *err, const char *begin,
                       const char *end)
{
    size_t length = strlen(err->msg);

    CHECK_UINT(length, sizeof err->msg - 1);
    CHECK_INT(strncmp(err->msg, begin, strlen(begin)), 0);
    CHECK_STR(err->msg + length - strlen(end), end);
    CHECK(strstr(err->msg, "x...x") != NULL);
}

/* Lengths around the 511 that fit, and beyond what is formatted. */
static void test_long_text(void)
{
    static const size_t lengths[] = {512, 513, 600, 1000, 2000};
    struct error err;

    TEST("a text that fits is left alone");
    error_set(&err, 0, "%s", long_text(511));
    CHECK_STR(err.msg, long_text(511));

    for (size_t i = 0; i < N_ELEMENTS(lengths); i++) {
        const char *text = long_text(lengths[i]);

        TEST("a text that does not fit loses its middle");
        CHECK_INT(error_set(&err, EIO, "source: %s", text), -1);
        CHECK_INT(err.errnum, EIO);
        check_ends(&err, "source: x", "x: Input/output error");

        TEST("a context that does not fit loses its middle");
        error_set(&err, EIO, "inner");
        CHECK_INT(error_wrap(&err, "source: %s", text), -1);
        check_ends(&err, "source: x", "x: inner: Input/output error");

        TEST("so does what is put behind");
        error_set(&err, 0, "source: broken");
        CHECK_INT(error_append(&err, "; %s says why", text), -1);
        check_ends(&err, "source: broken; x", "x says why");
    }

    TEST("no character is cut in two");
    for (size_t i = 0; i < 4; i++) {
        error_set(&err, 0, "%.*s%s%s", (int)(167 + i), long_text(400),
                  "\xc3\xa4\xc3\xa4\xc3\xa4", long_text(400));
        CHECK((unsigned char)strstr(err.msg, "...")[-1] != 0xc3);
    }
}

static void test_append(void)
{
    struct error err;

    TEST("more can be put behind the text");
    error_set(&err, EIO, "inner");
    CHECK_INT(error_append(&err, "; %s", "more"), -1);
    CHECK_INT(err.errnum, EIO);
    CHECK_STR(err.msg, "inner: Input/output error; more");
}

static void test_wrap(void)
{
    struct error err;

    TEST("two wraps stand before the text, the last one first");
    error_set(&err, EPIPE, "disk offset %d", 512);
    CHECK_INT(error_wrap(&err, "read"), -1);
    CHECK_INT(error_wrap(&err, "export %s", "sda"), -1);
    CHECK_STR(err.msg, "export sda: read: disk offset 512: Broken pipe");
    CHECK_INT(err.errnum, EPIPE);
}

static void test_end_of(void)
{
    struct error err;

    TEST("the end that an error is of stands first");
    error_set(&err, 0, "source: QEMU: no");
    CHECK(error_is_of(&err, "source"));
    CHECK(!error_is_of(&err, "QEMU"));
    CHECK(!error_is_of(&err, "sour"));
    error_set(&err, 0, "sources: no");
    CHECK(!error_is_of(&err, "source"));
    error_set(&err, 0, "source");
    CHECK(!error_is_of(&err, "source"));
}

int main(void)
{
    test_begin();
    test_set();
    test_long_text();
    test_append();
    test_wrap();
    test_end_of();
    return test_end();
}
