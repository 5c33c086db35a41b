/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the lines that people are shown of the progress. */

#include "config.h"

#include "base/progress-line.h"
#include "test.h"

#define M(n) ((uint64_t)(n) << 20)
#define G(n) ((uint64_t)(n) << 30)

static const struct progress_view scanning = {
    .phase = PHASE_SCANNING,
    .percent = 6,
    .done = G(43),
    .total = G(200),
    .rate = 1.3 * G(1),
};

static const struct progress_view stalled = {
    .phase = PHASE_RECEIVING,
    .percent = 43,
    .done = G(43),
    .total = G(100),
    .stalled_s = 12,
    .waits_for = "the sender",
};

static const struct {
    struct progress_view view;
    const char *text;
} cases[] = {
    {{.phase = PHASE_NONE}, "  0%  starting"},
    {{.phase = PHASE_MAPPING}, "  0%  mapping"},
    {{.phase = PHASE_MAPPING, .phase_s = 12}, "  0%  mapping for 12 s"},
    {{.phase = PHASE_PLANNING, .percent = 30, .phase_s = 1},
     " 30%  planning for 1 s"},
    {{.phase = PHASE_SENDING,
      .percent = 99,
      .done = M(1023),
      .total = M(1023),
      .rate = 1000},
     " 99%  sending 1023 of 1023 MiB, 1000 B/s"},
    {{.phase = PHASE_SENDING, .done = 17, .total = 200, .rate = 0},
     "  0%  sending 17 of 200 B, 0 B/s"},
    {{.phase = PHASE_SENDING, .percent = 1, .total = G(1024), .rate = 1024},
     "  1%  sending 0.0 of 1.0 TiB, 1.0 KiB/s, 999:00:00 left"},
    {{.phase = PHASE_RECEIVING, .done = M(3) / 2, .rate = M(2)},
     "  0%  receiving 1.5 MiB, 2.0 MiB/s"},
    {{.phase = PHASE_RECEIVING, .stalled_s = 5, .waits_for = "the sender"},
     "  0%  receiving: stalled 5 s, waiting for the sender"},
    {{.phase = PHASE_DECODING,
      .percent = 99,
      .done = M(10),
      .total = M(40),
      .rate = M(1) / 4},
     " 99%  decoding 10 of 40 MiB, 256 KiB/s, 0:02:00 left"},
    {{.phase = PHASE_ZEROING,
      .percent = 99,
      .done = G(1),
      .total = G(8),
      .rate = G(1)},
     " 99%  zeroing 1.0 of 8.0 GiB, 1.0 GiB/s, 0:00:07 left"},
    {{.phase = PHASE_FLUSHING, .percent = 99, .phase_s = 3},
     " 99%  flushing for 3 s"},
    {{.phase = PHASE_FLUSHING,
      .percent = 100,
      .is_over = true,
      .bytes = G(100),
      .all_s = 80},
     "100%  100 GiB in 0:01:20, 1.2 GiB/s"},
    {{.percent = 100, .is_over = true, .all_s = 3700},
     "100%  done in 1:01:40"},
};

static void test_text(void)
{
    char line[PROGRESS_LINE];

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        TEST(cases[i].text);
        progress_line_text(&cases[i].view, line);
        CHECK_STR(line, cases[i].text);
    }
    TEST("a scan says how much of the disk it has seen");
    progress_line_text(&scanning, line);
    CHECK_STR(line, "  6%  scanning 43 of 200 GiB, 1.3 GiB/s, 0:02:00 left");
    TEST("what stands still says whom it waits for");
    progress_line_text(&stalled, line);
    CHECK_STR(line, " 43%  receiving 43 of 100 GiB, stalled 12 s, waiting for "
                    "the sender");
}

static void test_bar(void)
{
    char line[PROGRESS_LINE];

    TEST("a bar fills a terminal but for its last column");
    progress_line_bar(&scanning, 80, false, line);
    CHECK_STR(line, "[#.................]   6%  scanning 43 of 200 GiB, "
                    "1.3 GiB/s, 0:02:00 left     ");
    TEST("where there is no room for a bar there is none");
    progress_line_bar(&scanning, 60, false, line);
    CHECK_STR(line, "  6%  scanning 43 of 200 GiB, 1.3 GiB/s, 0:02:00 left");
    TEST("where there is none for the text it is cut");
    progress_line_bar(&scanning, 12, false, line);
    CHECK_STR(line, "  6%  scann");
    TEST("where there is little, whom it waits for comes first");
    progress_line_bar(&stalled, 60, false, line);
    CHECK_STR(line, " 43%  stalled 12 s, waiting for the sender");
    TEST("colours begin and end in the bar");
    progress_line_bar(&stalled, 80, true, line);
    CHECK_STR(line, "[\033[33m###\033[0m......]  43%  receiving 43 of 100 "
                    "GiB, stalled 12 s, waiting for the sender");

    TEST("no line is wider than its terminal, however wide that is");
    for (unsigned columns = 1; columns < 1000; columns++) {
        progress_line_bar(&scanning, columns, false, line);
        CHECK(strlen(line) < columns);
        if (columns > 80 && columns <= 500)
            CHECK_UINT(strlen(line), columns - 1);
    }
}

int main(void)
{
    test_begin();
    test_text();
    test_bar();
    return test_end();
}
