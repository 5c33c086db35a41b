/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests which part of the disk is mapped next, and when. */

#include "config.h"

#include "import/windows.h"
#include "test.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

enum { MOST = 8 }; /* ranges in a case */

/* Slices of 512 MiB, as clusters of 64 KiB have them. */
static struct windows begin(uint64_t disk_size)
{
    struct windows w;
    struct error err;

    CHECK_OK(windows_begin(&w, disk_size, 512 * MIB, &err), &err);
    return w;
}

/* Next is [disk_offset, disk_end). */
static void check_next(struct windows *w, bool is_apart, uint64_t disk_offset,
                       uint64_t disk_end)
{
    uint64_t from = 0, length = 0;

    CHECK(windows_next(w, is_apart, &from, &length));
    CHECK_UINT(from, disk_offset);
    CHECK_UINT(from + length, disk_end);
}

static void check_pass_is_over(struct windows *w)
{
    uint64_t from, length;

    CHECK(!windows_next(w, false, &from, &length));
}

/* In MiB. */
struct mib {
    uint64_t from, to;
};

static void check_extents(const struct extents *extents,
                          const struct mib list[MOST])
{
    size_t n = 0;

    for (; n < MOST && list[n].to != 0; n++) {
        if (!CHECK(n < extents->count))
            return;
        CHECK_UINT(extents->list[n].disk_offset, list[n].from * MIB);
        CHECK_UINT(extent_end(&extents->list[n]), list[n].to * MIB);
    }
    CHECK_UINT(extents->count, n);
}

struct told {
    struct mib asked;
    uint64_t end;                       /* MiB; 0: all that was asked for */
    struct mib told[MOST];              /* there is something */
    struct missing_table missing[MOST]; /* MiB */
    uint64_t filled;
    bool is_last;
    struct mib holes[MOST]; /* that are sure */
    uint64_t mapped;        /* MiB */
    struct mib unmapped[MOST];
};

static struct windows_run make_run(const struct told *t, struct extents *told,
                                   struct missing *missing)
{
    struct error err;

    for (size_t i = 0; i < MOST && t->told[i].to != 0; i++)
        CHECK_OK(extents_append(told, t->told[i].from * MIB,
                                (t->told[i].to - t->told[i].from) * MIB, &err),
                 &err);
    for (size_t i = 0; i < MOST && t->missing[i].file_end != 0; i++) {
        missing->list[i] = t->missing[i];
        missing->list[i].file_end *= MIB;
        missing->count++;
    }
    return (struct windows_run){
        .disk_offset = t->asked.from * MIB,
        .length = (t->asked.to - t->asked.from) * MIB,
        .disk_end = (t->end != 0 ? t->end : t->asked.to) * MIB,
        .told = told,
        .missing = missing,
        .filled = t->filled,
        .is_last = t->is_last,
    };
}

static void tell(struct windows *w, const struct told *told)
{
    struct missing_table list[MOST];
    struct extents told_extents = {0}, holes = {0};
    struct missing missing = {list, 0, MOST};
    const struct windows_run run = make_run(told, &told_extents, &missing);
    uint64_t mapped = 0;
    struct error err;

    CHECK_OK(windows_mapped(w, &run, &holes, &mapped, &err), &err);
    check_extents(&holes, told->holes);
    CHECK_UINT(mapped, told->mapped * MIB);
    check_extents(&w->unmapped, told->unmapped);
    extents_clear(&told_extents);
    extents_clear(&holes);
}

/* It came to nothing. */
static void fail(struct windows *w, const struct told *told)
{
    struct missing_table list[MOST];
    struct extents told_extents = {0};
    struct missing missing = {list, 0, MOST};
    const struct windows_run run = make_run(told, &told_extents, &missing);
    struct error err;

    CHECK_OK(windows_failed(w, &run, &err), &err);
}

static void begin_pass(struct windows *w, uint64_t arrived)
{
    struct error err;

    CHECK_OK(windows_begin_pass(w, arrived * MIB, &err), &err);
}

/* Those waited for, in MiB: the tables, and the parts of the disk. */
static void check_awaited(const struct windows *w,
                          const struct awaited_table list[MOST])
{
    size_t n = 0;

    for (; n < MOST && list[n].file_end != 0; n++) {
        if (!CHECK(n < w->awaited.count))
            return;
        CHECK_UINT(w->awaited.list[n].file_end, list[n].file_end * MIB);
        CHECK_UINT(w->awaited.list[n].disk_offset, list[n].disk_offset * MIB);
    }
    CHECK_UINT(w->awaited.count, n);
}

static void test_all_here(void)
{
    struct windows w = begin(3 * GIB);

    TEST("without anything missing all is known at once, holes too");
    check_next(&w, false, 0, 3 * GIB);
    tell(&w, &(struct told){
                 .asked = {0, 3072},
                 .told = {{100, 512}, {2048, 3072}},
                 .filled = 3,
                 .holes = {{0, 100}, {512, 2048}},
                 .mapped = 3072,
             });
    CHECK(windows_are_done(&w));
    windows_end(&w);

    TEST("an empty disk is done");
    w = begin(0);
    CHECK(windows_are_done(&w));
    windows_end(&w);

    TEST("a run that ended early is gone on with");
    w = begin(3 * GIB);
    tell(&w, &(struct told){
                 .asked = {0, 3072},
                 .end = 512,
                 .told = {{0, 512}},
                 .filled = 2,
                 .mapped = 512,
                 .unmapped = {{512, 3072}},
             });
    check_next(&w, false, 512 * MIB, 3 * GIB);

    TEST("and nothing is forgotten of what it was not for");
    w.at = w.disk_size;
    check_pass_is_over(&w);
    begin_pass(&w, 0);
    check_next(&w, false, 512 * MIB, 3 * GIB);
    tell(&w, &(struct told){
                 .asked = {512, 3072},
                 .holes = {{512, 3072}},
                 .mapped = 2560,
             });
    CHECK(windows_are_done(&w));
    windows_end(&w);
}

/* The disk of test_missing, as it is found out. */
static const struct told some_missing = {
    .asked = {0, 4196},
    .told = {{100, 200}, {1500, 1600}, {2560, 2600}},
    .missing = {{1000, 1}, {400, 3}, {2000, 4}, {300, 4}},
    .filled = 4, /* 1500 to 1600 is in two slices */
    .holes = {{0, 100}, {200, 512}, {1024, 1500}, {1600, 2048}, {2600, 3072}},
    .mapped = 2048,
    .unmapped = {{512, 1024}, {2048, 2560}, {3072, 4196}},
};

static void test_missing(void)
{
    struct windows w = begin(4196 * MIB);
    struct told told = some_missing;

    TEST("with tables missing a slice without anything is not known");
    tell(&w, &told);
    check_pass_is_over(&w);
    CHECK(!windows_are_done(&w));

    TEST("and waits for the table that was missing there");
    check_awaited(&w, (const struct awaited_table[MOST]){{300, 3072},
                                                         {400, 2048},
                                                         {1000, 512},
                                                         {2000, 3072}});
    begin_pass(&w, 350);
    check_next(&w, false, 3 * GIB, 4196 * MIB);
    begin_pass(&w, 1100);
    check_next(&w, true, 512 * MIB, GIB);
    windows_end(&w);

    TEST("with another number of tables each waits for any");
    w = begin(4196 * MIB);
    told.filled = 5;
    tell(&w, &told);
    check_awaited(&w, (const struct awaited_table[MOST]){{300, 512},
                                                         {300, 512},
                                                         {300, 2048},
                                                         {300, 3072},
                                                         {400, 512},
                                                         {1000, 512},
                                                         {2000, 512}});
    windows_end(&w);

    TEST("where none was missing it is not believed, but waits for the last");
    w = begin(4196 * MIB);
    told = some_missing;
    told.missing[0].filled = 3;
    tell(&w, &told);
    check_awaited(&w, (const struct awaited_table[MOST]){{300, 3072},
                                                         {400, 2048},
                                                         {1000, 2048},
                                                         {2000, 512},
                                                         {2000, 3072}});
    windows_end(&w);
}

static void test_passes(void)
{
    struct windows w = begin(4 * GIB);

    TEST("a pass is for what has its table, with what lies in between");
    tell(&w, &(struct told){
                 .asked = {0, 4096},
                 .told = {{512, 600}, {2048, 2100}},
                 .missing = {{50, 0}, {1000, 1}, {60, 2}},
                 .filled = 2,
                 .holes = {{600, 1024}, {2100, 2560}},
                 .mapped = 1024,
                 .unmapped = {{0, 512}, {1024, 2048}, {2560, 4096}},
             });
    begin_pass(&w, 100);
    check_next(&w, false, 0, 4 * GIB);
    TEST("or without");
    check_next(&w, true, 0, 512 * MIB);
    TEST("if that is worth it");
    w.entries = 10000;
    check_next(&w, false, 0, 512 * MIB);
    tell(&w, &(struct told){
                 .asked = {0, 512},
                 .holes = {{0, 512}},
                 .mapped = 512,
                 .unmapped = {{1024, 2048}, {2560, 4096}},
             });
    check_awaited(&w, (const struct awaited_table[MOST]){{60, 2560},
                                                         {1000, 1024}});
    check_next(&w, true, 2560 * MIB, 4 * GIB);

    TEST("where too much is missing the pass is over, and the rest waits");
    begin_pass(&w, 1000);
    check_next(&w, true, GIB, 2 * GIB);
    tell(&w, &(struct told){
                 .asked = {1024, 2048},
                 .end = 1536,
                 .told = {{1100, 1200}},
                 .missing = {{5000, 1}, {4000, 1}},
                 .filled = 1,
                 .is_last = true,
                 .holes = {{1024, 1100}, {1200, 1536}},
                 .mapped = 512,
                 .unmapped = {{1536, 2048}, {2560, 4096}},
             });
    check_pass_is_over(&w);
    check_awaited(&w, (const struct awaited_table[MOST]){{60, 2560},
                                                         {4000, 1536},
                                                         {5000, 1536}});

    TEST("where a run came to nothing all of it waits");
    begin_pass(&w, 10000);
    check_next(&w, false, 1536 * MIB, 2 * GIB);
    fail(&w, &(struct told){.asked = {1536, 4096}, .missing = {{12000, 0}}});
    check_pass_is_over(&w);
    check_awaited(&w, (const struct awaited_table[MOST]){{12000, 1536},
                                                         {12000, 1536},
                                                         {12000, 2560}});
    windows_end(&w);
}

static void test_used(void)
{
    const struct {
        const char *name;
        struct told told;
        bool is_used;
    } cases[] = {
        {"of a run that lacked nothing all is used, however little it told",
         {.asked = {0, 1024}, .filled = 2},
         true},
        {"if something was missing, only if all has told something",
         {.asked = {0, 1024},
          .told = {{0, 100}},
          .missing = {{50, 1}},
          .filled = 1},
         true},
        {"and not if there was more than that",
         {.asked = {0, 1024},
          .told = {{0, 100}},
          .missing = {{50, 1}},
          .filled = 2},
         false},
        {"nor of a run that was ended",
         {.asked = {0, 1024}, .end = 512, .told = {{0, 100}}, .filled = 1},
         false},
    };

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct windows w = begin(GIB);
        struct missing_table list[MOST];
        struct extents told = {0};
        struct missing missing = {list, 0, MOST};
        const struct windows_run run =
            make_run(&cases[i].told, &told, &missing);

        TEST(cases[i].name);
        CHECK_INT(windows_used_all(&w, &run), cases[i].is_used);
        extents_clear(&told);
        windows_end(&w);
    }
}

/* After a run that cost as much as 4 MiB, and 16 KiB for each table. */
static void check_wait(const uint64_t ends[MOST], uint64_t arrived,
                       uint64_t room, struct windows_wait expected)
{
    struct windows w = begin(GIB);
    struct windows_wait wait;
    struct told told = {.asked = {0, 1024}, .unmapped = {{0, 1024}}};

    for (size_t i = 0; i < MOST && ends[i] != 0; i++)
        told.missing[i].file_end = ends[i];
    tell(&w, &told);
    windows_wait(&w, arrived * MIB, room * MIB, &wait);
    CHECK_UINT(wait.first_end, expected.first_end * MIB);
    CHECK_UINT(wait.file_end, expected.file_end * MIB);
    CHECK_UINT(wait.kept_end / MIB, expected.kept_end);
    windows_end(&w);
}

static void test_wait(void)
{
    TEST("a table with nothing behind it is waited for alone");
    check_wait((const uint64_t[MOST]){500, 1000}, 10, 1000,
               (struct windows_wait){500, 500, 500});
    TEST("tables that come together are waited for together");
    check_wait((const uint64_t[MOST]){500, 1000, 504, 502}, 10, 1000,
               (struct windows_wait){500, 504, 504});
    TEST("and if there are more of them, more is kept meanwhile");
    check_wait((const uint64_t[MOST]){500, 502, 504, 508}, 10, 1000,
               (struct windows_wait){500, 504, 508});
    TEST("what has come while QEMU ran is not waited for");
    check_wait((const uint64_t[MOST]){500, 600, 602, 1000}, 600, 1000,
               (struct windows_wait){500, 602, 602});
    TEST("no more is kept than there is room for");
    check_wait((const uint64_t[MOST]){500, 502, 504, 508}, 10, 490 + 8,
               (struct windows_wait){500, 502, 504});
    check_wait((const uint64_t[MOST]){500, 502, 504, 508}, 10, 490,
               (struct windows_wait){500, 500, 500});
}

int main(void)
{
    test_begin();
    test_all_here();
    test_missing();
    test_passes();
    test_used();
    test_wait();
    return test_end();
}
