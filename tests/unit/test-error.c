/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests what an error says. */

#include "config.h"

#include "error.h"
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

/* Lengths around the 511 that fit; what follows the text is cut as well. */
static void test_long_text(void)
{
    struct error err;

    for (size_t length = 480; length < 600; length++) {
        char expected[4096];

        TEST("a text that does not fit is cut at its end");
        snprintf(expected, sizeof expected, "%s: %s", long_text(length),
                 strerror(EIO));
        expected[sizeof err.msg - 1] = '\0';
        error_set(&err, EIO, "%s", long_text(length));
        CHECK_STR(err.msg, expected);

        TEST("a context that does not fit is cut at its end");
        error_set(&err, EIO, "inner");
        snprintf(expected, sizeof expected, "%s: inner: %s", long_text(length),
                 strerror(EIO));
        expected[sizeof err.msg - 1] = '\0';
        CHECK_INT(error_wrap(&err, "%s", long_text(length)), -1);
        CHECK_STR(err.msg, expected);
    }
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

    TEST("a full message is wrapped at the cost of its end");
    error_set(&err, 0, "%s", long_text(600));
    error_wrap(&err, "source");
    CHECK_UINT(strlen(err.msg), sizeof err.msg - 1);
    CHECK_INT(strncmp(err.msg, "source: xxx", 11), 0);
}

int main(void)
{
    test_begin();
    test_set();
    test_long_text();
    test_wrap();
    return test_end();
}
