/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what is shown of the progress. */

#include "config.h"

#include "base/log.h"
#include "base/progress.h"
#include "test.h"

#include <fcntl.h>
#include <signal.h>

/* What there is to be read from fd now. */
static const char *read_all(int fd)
{
    static char text[4096];
    ssize_t n = read(fd, text, sizeof text - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void make_pipe(int fds[2])
{
    test_require(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0, "pipe2");
}

static void open_progress(struct progress *p, enum progress_mode mode,
                          int data_fd)
{
    struct error err;

    test_require(progress_open(p, mode, data_fd, NULL, &err) == 0,
                 "progress_open");
}

/* Digits go to standard output, which is a pipe from here to machine_ends. */
static int real_stdout, digits_fd;

static void machine_begins(void)
{
    int fds[2];

    make_pipe(fds);
    fflush(stdout);
    real_stdout = dup(STDOUT_FILENO);
    digits_fd = fds[0];
    test_require(real_stdout != -1 && dup2(fds[1], STDOUT_FILENO) != -1,
                 "dup");
    close(fds[1]);
}

static void machine_ends(void)
{
    dup2(real_stdout, STDOUT_FILENO);
    close(real_stdout);
    close(digits_fd);
}

/* A stage ends the one before it. */
enum { STAGE = 's', SET = 'd', SUCCEED = '!' };

/* What a caller does, and what a machine has read by then. */
static const struct {
    const char *name;
    struct {
        char what;
        unsigned to;
        uint64_t number; /* total, done */
    } steps[10];
    const char *digits;
} cases[] = {
    {"there is a 0 from the start", {{0}}, "000"},
    {"done at once is 0 and 100", {{SUCCEED, 0, 0}}, "000100"},
    {"steps are percents of the total",
     {{STAGE, 100, 4}, {SET, 0, 1}, {SET, 0, 2}, {SET, 0, 3}, {SUCCEED, 0, 0}},
     "000025050075100"},
    {"a percent is rounded down",
     {{STAGE, 100, 1000}, {SET, 0, 19}, {SET, 0, 20}},
     "000001002"},
    {"of exact percents none is less",
     {{STAGE, 100, 100}, {SET, 0, 29}, {SET, 0, 57}, {SET, 0, 58}},
     "000029057058"},
    {"a percent is shown once",
     {{STAGE, 100, 1000}, {SET, 0, 20}, {SET, 0, 20}, {SET, 0, 25}},
     "000002"},
    {"progress never falls",
     {{STAGE, 100, 100}, {SET, 0, 20}, {SET, 0, 10}, {SET, 0, 21}},
     "000020021"},
    {"all done is not yet success",
     {{STAGE, 100, 10}, {SET, 0, 10}},
     "000099"},
    {"more than all is not yet success",
     {{STAGE, 100, 10}, {SET, 0, 11}, {SET, 0, UINT64_MAX}},
     "000099"},
    {"more than all of a stage is no more than the stage",
     {{STAGE, 50, 10}, {SET, 0, 15}, {SET, 0, UINT64_MAX}},
     "000050"},
    {"success is said after 99",
     {{STAGE, 100, 10}, {SET, 0, 10}, {SUCCEED, 0, 0}},
     "000099100"},
    {"success is said once",
     {{SUCCEED, 0, 0}, {SUCCEED, 0, 0}, {SET, 0, 0}},
     "000100"},
    {"a stage covers its share",
     {{STAGE, 10, 100},
      {SET, 0, 50},
      {STAGE, 90, 8},
      {SET, 0, 1},
      {SET, 0, 8}},
     "000005010020090"},
    {"a stage that was not finished is over with the next",
     {{STAGE, 10, 100}, {STAGE, 100, 100}, {SET, 0, 50}},
     "000010055"},
    {"a total that is not known shows no steps",
     {{STAGE, 50, 0}, {SET, 0, 7}, {STAGE, 100, 2}, {SET, 0, 1}},
     "000050075"},
    {"a stage without a share shows nothing",
     {{STAGE, 0, 10}, {SET, 0, 10}, {STAGE, 100, 10}, {SET, 0, 1}},
     "000010"},
    {"a total may be huge",
     {{STAGE, 100, UINT64_MAX}, {SET, 0, UINT64_MAX / 2 + 1}},
     "000050"},
};

static void test_digits(void)
{
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct progress p;

        TEST(cases[i].name);
        machine_begins();
        open_progress(&p, PROGRESS_MACHINE, -1);
        for (size_t j = 0; j < N_ELEMENTS(cases[i].steps); j++) {
            uint64_t number = cases[i].steps[j].number;

            progress_skip(&p, p.done); /* for people alone, as phases are */
            if (cases[i].steps[j].what == STAGE)
                progress_phase(&p, 1 + j);
            if (cases[i].steps[j].what == STAGE)
                progress_stage(&p, cases[i].steps[j].to, number);
            else if (cases[i].steps[j].what == SET)
                progress_set(&p, number);
            else if (cases[i].steps[j].what == SUCCEED)
                progress_succeed(&p);
        }
        progress_close(&p);
        CHECK_STR(read_all(digits_fd), cases[i].digits);
        machine_ends();
    }
}

/* Each is there when the call returns, or its reader would lag behind. */
static void test_at_once(void)
{
    struct progress p;

    TEST("a percent is written at once");
    machine_begins();
    open_progress(&p, PROGRESS_MACHINE, -1);
    CHECK_STR(read_all(digits_fd), "000");
    progress_stage(&p, 100, 200);
    CHECK_STR(read_all(digits_fd), "");
    progress_set(&p, 84);
    CHECK_STR(read_all(digits_fd), "042");
    progress_succeed(&p);
    CHECK_STR(read_all(digits_fd), "100");
    progress_close(&p);
    machine_ends();
}

static void test_random_steps(void)
{
    TEST("whatever is done, percents are three digits and rise");
    for (int run = 0; run < 500; run++) {
        bool succeeds = test_random(2) == 0;
        unsigned to = 0;
        struct progress p;
        const char *digits;
        int last = -1, percent = -1;

        machine_begins();
        open_progress(&p, PROGRESS_MACHINE, -1);
        while (to < 100) {
            uint64_t total = (uint64_t)test_random(1 << 30) *
                             test_random(1 << 30) * test_random(2);

            to += 1 + test_random(60);
            progress_stage(&p, to < 100 ? to : 100, total);
            for (uint32_t i = test_random(20); i > 0; i--)
                progress_set(&p, total / 16 * test_random(20));
        }
        if (succeeds)
            progress_succeed(&p);
        progress_close(&p);
        digits = read_all(digits_fd);
        CHECK_UINT(strlen(digits) % 3, 0);
        for (size_t i = 0; i + 3 <= strlen(digits); i += 3) {
            char three[] = {digits[i], digits[i + 1], digits[i + 2], '\0'};

            CHECK_UINT(strspn(three, "0123456789"), 3);
            percent = atoi(three);
            CHECK(percent > last);
            last = percent;
        }
        CHECK_INT(digits[0] == '0' && digits[1] == '0' && digits[2] == '0',
                  true);
        CHECK_INT(percent == 100, succeeds);
        CHECK(percent <= 100);
        machine_ends();
    }
}

static void test_reader_gone(void)
{
    struct progress p;

    TEST("a reader that left does no harm");
    machine_begins();
    open_progress(&p, PROGRESS_MACHINE, -1);
    progress_stage(&p, 100, 10);
    close(digits_fd);
    progress_set(&p, 1);
    progress_set(&p, 2);
    progress_succeed(&p);
    progress_close(&p);
    digits_fd = -1;
    machine_ends();
}

/* What function writes to standard error. */
static const char *standard_error(void (*function)(int fd), int fd)
{
    static char text[4096];
    int copy = dup(STDERR_FILENO), file = test_file();
    ssize_t n;

    test_require(copy != -1 && dup2(file, STDERR_FILENO) != -1, "dup");
    function(fd);
    fflush(stderr);
    dup2(copy, STDERR_FILENO);
    n = pread(file, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    close(copy);
    close(file);
    return text;
}

static void work_with_bar(int fd)
{
    struct progress p;

    open_progress(&p, PROGRESS_BAR, fd);
    progress_phase(&p, PHASE_SENDING);
    progress_stage(&p, 100, 1536000);
    for (uint64_t i = 1; i <= 1000; i++)
        progress_set(&p, i * 1536);
    progress_succeed(&p);
    progress_close(&p);
}

static void work_silently(int fd)
{
    struct progress p;

    open_progress(&p, PROGRESS_NONE, fd);
    progress_stage(&p, 100, 2);
    progress_set(&p, 1);
    progress_succeed(&p);
    progress_close(&p);
}

static void test_others(void)
{
    const char *text;
    int fds[2];

    make_pipe(fds);
    log_open("test", LOG_NOTICES);
    TEST("the bar is for standard error alone, a line at its end");
    text = standard_error(work_with_bar, fds[1]);
    CHECK(strstr(text, "test: 100%  1.5 MiB in 0:00:0") == text);
    CHECK(strchr(text, '\n') == text + strlen(text) - 1);
    CHECK_STR(read_all(fds[0]), "");

    TEST("without progress nothing is written");
    CHECK_STR(standard_error(work_silently, fds[1]), "");
    CHECK_STR(read_all(fds[0]), "");
    close(fds[0]);
    close(fds[1]);
}

static void count_to_three(int fd)
{
    struct progress p;

    open_progress(&p, PROGRESS_MACHINE, fd);
    progress_stage(&p, 100, 100);
    progress_set(&p, 3);
    progress_close(&p);
}

/* Data is on its way to standard output and error, too. */
static void count_among_data(int fd)
{
    dup2(STDOUT_FILENO, STDERR_FILENO);
    count_to_three(fd);
}

static void draw_among_data(int fd)
{
    dup2(STDOUT_FILENO, STDERR_FILENO);
    work_with_bar(fd);
}

/* Not a byte of progress is among the data. */
static void test_data(void)
{
    int fds[2];

    make_pipe(fds);
    TEST("with data elsewhere digits are on standard output");
    machine_begins();
    CHECK_STR(standard_error(count_to_three, fds[1]), "");
    CHECK_STR(read_all(digits_fd), "000003");
    CHECK_STR(read_all(fds[0]), "");

    TEST("with data on standard output digits are on standard error");
    CHECK_STR(standard_error(count_to_three, STDOUT_FILENO), "000003");
    CHECK_STR(read_all(digits_fd), "");

    TEST("so they are if another fd is that very pipe");
    dup2(STDOUT_FILENO, fds[1]);
    CHECK_STR(standard_error(count_to_three, fds[1]), "000003");
    CHECK_STR(read_all(digits_fd), "");

    TEST("with data on both digits go nowhere");
    CHECK_STR(standard_error(count_among_data, STDOUT_FILENO), "");
    CHECK_STR(read_all(digits_fd), "");

    TEST("with data on standard error digits are on standard output");
    CHECK_STR(standard_error(count_to_three, STDERR_FILENO), "");
    CHECK_STR(read_all(digits_fd), "000003");

    TEST("with data on standard error there is no bar");
    CHECK_STR(standard_error(draw_among_data, STDOUT_FILENO), "");
    CHECK_STR(read_all(digits_fd), "");
    machine_ends();
    close(fds[0]);
    close(fds[1]);
}

static void tell_some(int fd)
{
    struct progress p;

    progress_tell(); /* it is not known yet whether that may be said */
    open_progress(&p, PROGRESS_NONE, fd);
    progress_phase(&p, PHASE_RECEIVING);
    progress_stage(&p, 100, 4 << 20);
    progress_set(&p, 3 << 20);
    progress_tell();
    progress_succeed(&p);
    progress_tell();
    progress_close(&p);
}

static void tell_with_digits(int fd)
{
    struct progress p;

    open_progress(&p, PROGRESS_MACHINE, fd);
    progress_tell();
    progress_close(&p);
}

static void tell_among_data(int fd)
{
    dup2(STDOUT_FILENO, STDERR_FILENO);
    tell_some(fd);
}

/* Standard output is a pipe. */
static void test_told(void)
{
    const char *text;

    TEST("who asks is told, in any mode");
    log_open("test", LOG_NOTICES);
    machine_begins();
    text = standard_error(tell_some, STDOUT_FILENO);
    CHECK(strstr(text, "test:   0%  starting\n") == text);
    CHECK(strstr(text, "\ntest:  75%  receiving 3.0 of 4.0 MiB, ") != NULL);
    CHECK(strstr(text, "/s, 0:00:00 left\n") != NULL);
    CHECK(strstr(text, "\ntest: 100%  3.0 MiB in 0:00:00, ") != NULL);

    TEST("who asks is told even if nothing but errors is said");
    log_open("test", LOG_ERRORS);
    text = standard_error(tell_some, STDOUT_FILENO);
    CHECK(strstr(text, "test:  75%  receiving") != NULL);
    log_open("test", LOG_NOTICES);

    TEST("with digits on standard output all is told");
    text = standard_error(tell_with_digits, -1);
    CHECK(strstr(text, "test:   0% ") == text);
    read_all(digits_fd);

    TEST("among digits nothing is told");
    CHECK_STR(standard_error(tell_with_digits, STDOUT_FILENO), "000");

    TEST("among data nothing is told");
    CHECK_STR(standard_error(tell_among_data, STDOUT_FILENO), "");
    CHECK_STR(read_all(digits_fd), "");
    machine_ends();
}

int main(void)
{
    test_begin();
    signal(SIGPIPE, SIG_IGN);
    test_told(); /* before anything was opened */
    test_digits();
    test_at_once();
    test_random_steps();
    test_reader_gone();
    test_others();
    test_data();
    return test_end();
}
