/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what is found by reading a disk, or two. */

#include "config.h"

#include "base/io.h"
#include "base/signals.h"
#include "export/scan.h"
#include "memory-disk.h"
#include "test.h"

#include <fcntl.h>

/* In the tables a list ends with an empty range, and a list of bytes that are
 * not zero with one that has the value 0.
 */
enum { MAX_LIST = 5 };

struct byte {
    uint64_t disk_offset;
    unsigned char value;
};

static void set_bytes(struct memory *m, const struct byte list[MAX_LIST])
{
    for (size_t i = 0; i < MAX_LIST && list[i].value != 0; i++)
        if (CHECK(list[i].disk_offset < m->source.size))
            m->bytes[list[i].disk_offset] = list[i].value;
}

static struct extents build(const struct extent list[MAX_LIST])
{
    struct extents extents = {0};
    struct error err;

    for (size_t i = 0; i < MAX_LIST && list[i].length > 0; i++)
        CHECK_OK(extents_append(&extents, list[i].disk_offset, list[i].length,
                                &err),
                 &err);
    return extents;
}

/* Clears the list. */
static void check_list(struct extents *extents,
                       const struct extent expected[MAX_LIST])
{
    size_t n = 0;

    for (; n < MAX_LIST && expected[n].length > 0; n++) {
        if (n >= extents->count)
            continue;
        CHECK_UINT(extents->list[n].disk_offset, expected[n].disk_offset);
        CHECK_UINT(extents->list[n].length, expected[n].length);
    }
    CHECK_UINT(extents->count, n);
    extents_clear(extents);
}

/* ----------------------------------------------------------------- data */

static const struct {
    const char *name;
    uint64_t granule, size;
    struct extent where[MAX_LIST];
    struct byte bytes[MAX_LIST];
    struct extent data[MAX_LIST];
} data_cases[] = {
    {"nowhere nothing is found", 512, K(64), {{0}}, {{0, 1}}, {{0}}},
    {"of zeroes nothing is found", 512, K(64), {{0, K(64)}}, {{0}}, {{0}}},
    {"the first byte makes a granule data",
     512,
     K(64),
     {{0, K(64)}},
     {{1024, 1}},
     {{1024, 512}}},
    {"the last byte makes a granule data",
     512,
     K(64),
     {{0, K(64)}},
     {{1023, 1}},
     {{512, 512}}},
    {"granules that touch are one range",
     K(4),
     K(64),
     {{0, K(64)}},
     {{K(4), 1}, {K(12) - 1, 255}, {K(20), 3}},
     {{K(4), K(8)}, {K(20), K(4)}}},
    {"the end of the disk may be data",
     K(4),
     K(64),
     {{0, K(64)}},
     {{K(64) - 1, 1}},
     {{K(60), K(4)}}},
    {"where nobody looks nothing is found",
     512,
     K(64),
     {{K(4), K(4)}, {K(12), K(4)}},
     {{K(4) - 1, 1}, {K(8), 1}, {K(12) - 1, 1}, {K(16), 1}},
     {{0}}},
    /*  0         512       1024
     *  |---------|---------|-----
     *      ^ 100   where    ^ 1100
     */
    {"the first granule of a range may be cut",
     512,
     K(64),
     {{100, 1000}},
     {{99, 1}, {300, 1}},
     {{100, 412}}},
    {"the last granule of a range may be cut",
     512,
     K(64),
     {{100, 1000}},
     {{1099, 1}, {1100, 1}},
     {{1024, 76}}},
    {"a range may be less than a granule",
     K(4),
     K(64),
     {{K(6), 512}},
     {{K(6) + 511, 1}},
     {{K(6), 512}}},
    {"of a cut granule the other part does not count",
     K(4),
     K(64),
     {{K(6), 512}},
     {{K(6) - 1, 1}, {K(6) + 512, 1}},
     {{0}}},
    {"ranges in one granule are looked at by themselves",
     K(64),
     K(64),
     {{0, 100}, {200, 100}, {1000, 1}},
     {{99, 1}, {150, 1}, {1000, 1}},
     {{0, 100}, {1000, 1}}},
    {"a disk may end inside of a sector",
     512,
     5000,
     {{0, 5120}},
     {{4999, 1}},
     {{4608, 512}}},
    {"a disk may end inside of a granule",
     K(4),
     5000,
     {{0, 5120}},
     {{4096, 1}},
     {{4096, 1024}}},
    {"behind the end of a disk there are zeroes",
     512,
     5000,
     {{0, 5120}},
     {{4607, 1}},
     {{4096, 512}}},
    {"granules may be as large as a piece",
     M(2),
     M(5),
     {{M(1), M(4)}},
     {{M(1), 1}, {M(4) + 1, 1}},
     {{M(1), M(1)}, {M(4), M(1)}}},
    {"a range may begin just before the end of a piece",
     K(64),
     M(5),
     {{M(2) - 1, M(2) + 2}},
     {{M(2) - 1, 1}, {M(2) + K(64), 1}, {M(4), 1}},
     {{M(2) - 1, 1}, {M(2) + K(64), K(64)}, {M(4), 1}}},
    {"pieces are joined",
     K(64),
     M(7),
     {{1, M(7) - 1}},
     {{M(2) - 1, 1}, {M(2), 1}, {M(4) - 1, 1}, {M(4), 1}},
     {{M(2) - K(64), K(128)}, {M(4) - K(64), K(128)}}},
};

static void test_data(void)
{
    for (size_t i = 0; i < N_ELEMENTS(data_cases); i++) {
        struct extents where, data = {0};
        struct progress progress = {0};
        struct memory disk;
        struct error err;

        TEST(data_cases[i].name);
        memory_open(&disk, "disk", data_cases[i].size);
        set_bytes(&disk, data_cases[i].bytes);
        where = build(data_cases[i].where);
        CHECK_OK(scan_data(&disk.source, &where, data_cases[i].granule,
                           &progress, &data, &err),
                 &err);
        check_list(&data, data_cases[i].data);
        extents_clear(&where);
        memory_close(&disk);
    }
}

/* ---------------------------------------------------------- differences */

static const struct {
    const char *name;
    uint64_t granule, size, base_size;
    struct extent where[MAX_LIST];
    struct byte bytes[MAX_LIST], base_bytes[MAX_LIST];
    struct extent data[MAX_LIST], zeroes[MAX_LIST];
} difference_cases[] = {
    {"of disks that are the same nothing is found",
     512,
     K(64),
     K(64),
     {{0, K(64)}},
     {{5, 1}, {9999, 2}},
     {{5, 1}, {9999, 2}},
     {{0}},
     {{0}}},
    {"another byte is data",
     512,
     K(64),
     K(64),
     {{0, K(64)}},
     {{5, 1}},
     {{5, 2}},
     {{0, 512}},
     {{0}}},
    {"a byte that the base has not is data",
     512,
     K(64),
     K(64),
     {{0, K(64)}},
     {{1023, 1}},
     {{0}},
     {{512, 512}},
     {{0}}},
    {"what only the base has is zeroes",
     512,
     K(64),
     K(64),
     {{0, K(64)}},
     {{0}},
     {{1023, 1}},
     {{0}},
     {{512, 512}}},
    {"a granule that is zero in part is data",
     512,
     K(64),
     K(64),
     {{0, K(64)}},
     {{5, 1}},
     {{5, 1}, {6, 1}},
     {{0, 512}},
     {{0}}},
    {"data and zeroes may lie side by side",
     512,
     K(64),
     K(64),
     {{0, K(64)}},
     {{512, 1}, {2048, 1}},
     {{0, 1}, {1024, 1}, {2048, 1}},
     {{512, 512}},
     {{0, 512}, {1024, 512}}},
    {"a cut granule is compared as far as it goes",
     512,
     K(64),
     K(64),
     {{100, 100}, {300, 100}},
     {{99, 1}, {150, 1}, {400, 1}},
     {{150, 1}, {399, 1}},
     {{0}},
     {{300, 100}}},
    {"behind the end of a shorter base there are zeroes",
     K(4),
     K(64),
     K(20) + 1,
     {{0, K(64)}},
     {{K(20), 1}, {K(20) + 1, 1}, {K(24), 1}, {K(60), 1}},
     {{K(20), 1}},
     {{K(20), K(8)}, {K(60), K(4)}},
     {{0}}},
    {"a base that ends inside of a granule may be the same",
     K(4),
     K(64),
     K(20) + 1,
     {{0, K(64)}},
     {{K(20), 1}},
     {{K(20), 1}},
     {{0}},
     {{0}}},
    {"a base may be empty",
     K(4),
     K(64),
     0,
     {{0, K(64)}},
     {{K(20), 1}},
     {{0}},
     {{K(20), K(4)}},
     {{0}}},
    {"of a longer base the rest does not count",
     512,
     K(8),
     K(64),
     {{0, K(8)}},
     {{0}},
     {{K(8), 1}, {K(64) - 1, 1}},
     {{0}},
     {{0}}},
    {"of a longer base what lies in the last sector counts",
     512,
     5000,
     K(64),
     {{0, 5120}},
     {{4607, 1}},
     {{4607, 1}, {5119, 1}, {5120, 1}},
     {{0}},
     {{4608, 512}}},
    {"pieces are compared, too",
     M(2),
     M(7),
     M(6),
     {{512, M(7) - 512}},
     {{M(2) - 1, 1}, {M(4), 1}, {M(7) - 1, 1}},
     {{M(2) - 1, 1}, {M(3), 1}, {M(4), 2}},
     {{M(4), M(3)}},
     {{M(2), M(2)}}},
};

static void test_differences(void)
{
    for (size_t i = 0; i < N_ELEMENTS(difference_cases); i++) {
        struct extents where, data = {0}, zeroes = {0};
        struct progress progress = {0};
        struct memory disk, base;
        struct error err;

        TEST(difference_cases[i].name);
        memory_open(&disk, "disk", difference_cases[i].size);
        memory_open(&base, "base", difference_cases[i].base_size);
        set_bytes(&disk, difference_cases[i].bytes);
        set_bytes(&base, difference_cases[i].base_bytes);
        where = build(difference_cases[i].where);
        CHECK_OK(scan_differences(&disk.source, &base.source, &where,
                                  difference_cases[i].granule, &progress,
                                  &data, &zeroes, &err),
                 &err);
        check_list(&data, difference_cases[i].data);
        check_list(&zeroes, difference_cases[i].zeroes);
        extents_clear(&where);
        memory_close(&disk);
        memory_close(&base);
    }
}

/* --------------------------------------------------------------- course */

static void test_errors(void)
{
    const struct extent list[MAX_LIST] = {{0, K(16)}, {M(3), K(16)}};
    struct extents where = build(list), data = {0}, zeroes = {0};
    struct progress progress = {0};
    struct memory disk, base;
    struct error err = {0};

    memory_open(&disk, "disk", M(4));
    memory_open(&base, "base", M(4));

    TEST("what cannot be read is an error");
    disk.bad_from = M(3);
    CHECK_FAILS(scan_data(&disk.source, &where, K(4), &progress, &data, &err),
                &err, "disk: offset 3145728: Input/output error");
    extents_clear(&data);

    TEST("what cannot be read and is not looked at is none");
    disk.bad_from = M(3) + K(16);
    CHECK_OK(scan_data(&disk.source, &where, K(4), &progress, &data, &err),
             &err);

    TEST("a base that cannot be read is an error");
    base.bad_from = K(8);
    CHECK_FAILS(scan_differences(&disk.source, &base.source, &where, K(4),
                                 &progress, &data, &zeroes, &err),
                &err, "base: offset 0: Input/output error");

    TEST("behind the end nothing is read");
    disk.reads = 0;
    disk.bad_from = 0;
    disk.source.size = M(3);
    extents_clear(&where);
    CHECK_OK(extents_append(&where, M(3), K(16), &err), &err);
    CHECK_OK(scan_data(&disk.source, &where, K(4), &progress, &data, &err),
             &err);
    CHECK_UINT(disk.reads, 0);
    CHECK_UINT(data.count, 0);
    extents_clear(&where);
    memory_close(&disk);
    memory_close(&base);
}

static void test_progress(void)
{
    const struct extent list[MAX_LIST] = {{0, M(2)}, {M(6), M(1)}};
    struct extents where = build(list), data = {0};
    struct progress progress;
    struct memory disk;
    struct error err;
    char digits[100] = "";
    int fds[2];

    TEST("progress moves along the disk");
    test_require(pipe2(fds, O_CLOEXEC) == 0, "pipe2");
    progress =
        (struct progress){.mode = PROGRESS_MACHINE, .fd = fds[1], .shown = -1};
    progress_stage(&progress, 70, M(7));
    memory_open(&disk, "disk", M(7));
    CHECK_OK(scan_data(&disk.source, &where, K(64), &progress, &data, &err),
             &err);
    close(fds[1]);
    CHECK(io_read_full(fds[0], digits, sizeof digits - 1) > 0);
    CHECK_STR(digits, "000020070");
    close(fds[0]);
    extents_clear(&where);
    memory_close(&disk);
}

static void be_signalled(void)
{
    const struct extent list[MAX_LIST] = {{0, K(16)}};
    struct extents where = build(list), data = {0};
    struct progress progress = {0};
    struct memory disk;
    struct error err = {0};

    CHECK_OK(signals_open(&err), &err);
    memory_open(&disk, "disk", M(7));
    raise(SIGTERM);
    CHECK_FAILS(scan_data(&disk.source, &where, K(4), &progress, &data, &err),
                &err, "disk: Interrupted system call");
    CHECK_UINT(disk.reads, 0);
    extents_clear(&where);
    memory_close(&disk);
}

int main(void)
{
    test_begin();
    test_data();
    test_differences();
    test_errors();
    test_progress();
    TEST("a signal ends the search");
    test_in_child(be_signalled);
    return test_end();
}
