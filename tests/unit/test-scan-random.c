/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what is found by reading random disks. */

#include "config.h"

#include "base/io.h"
#include "export/scan.h"
#include "memory-disk.h"
#include "test.h"

/* What is in a granule, and on the base in the same place. */
static void fill_granule(unsigned char *p, unsigned char *q, size_t length)
{
    bool is_data = test_random(2) == 0, was_data = test_random(2) == 0;
    bool is_same = test_random(3) == 0;

    if (was_data)
        q[test_random(length)] = 1;
    if (is_same)
        memcpy(p, q, length);
    else if (is_data)
        p[test_random(length)] = 1 + test_random(2);
}

/* The same, without regard to pieces, ends or alignment. */
static void scan_slowly(const unsigned char *p, const unsigned char *q,
                        const struct extents *where, uint64_t granule,
                        struct extents *data, struct extents *zeroes)
{
    struct error err;

    for (size_t i = 0; i < where->count; i++)
        for (uint64_t at = where->list[i].disk_offset, to;
             at < extent_end(&where->list[i]); at = to) {
            bool differs, has_data;

            to = io_min(at / granule * granule + granule,
                        extent_end(&where->list[i]));
            differs = q == NULL || memcmp(p + at, q + at, to - at) != 0;
            has_data = !io_is_zero(p + at, to - at);
            if (q == NULL ? has_data : differs && has_data)
                CHECK_OK(extents_append(data, at, to - at, &err), &err);
            else if (q != NULL && differs)
                CHECK_OK(extents_append(zeroes, at, to - at, &err), &err);
        }
}

static void check_equal(struct extents *actual, struct extents *expected)
{
    uint64_t differ = UINT64_MAX;

    CHECK(extents_is_equal(actual, expected, &differ));
    CHECK_UINT(differ, UINT64_MAX);
    extents_clear(actual);
    extents_clear(expected);
}

static struct extents make_where(uint64_t disk_size)
{
    struct extents where = {0};
    struct error err;

    for (uint64_t at = test_random(disk_size / 4 + 1); at < disk_size;) {
        uint64_t length =
            io_min(1 + test_random(disk_size / 2 + 1), disk_size - at);

        CHECK_OK(extents_append(&where, at, length, &err), &err);
        at += length + test_random(disk_size / 4 + 1);
    }
    return where;
}

static void scan_random(uint64_t longest, uint64_t granule)
{
    struct extents where, data = {0}, zeroes = {0};
    struct extents slow_data = {0}, slow_zeroes = {0};
    struct progress progress = {0};
    struct memory disk, base;
    unsigned char *p, *q;
    uint64_t disk_size;
    struct error err;

    memory_open(&disk, "disk", 1 + test_random(longest));
    memory_open(&base, "base", test_random(longest));
    disk_size = disk.source.disk_size;
    p = calloc(2, disk_size);
    test_require(p != NULL, "calloc");
    q = p + disk_size;
    for (uint64_t at = 0; at < disk_size; at += granule)
        fill_granule(p + at, q + at, io_min(granule, disk_size - at));
    memset(p + disk.source.size, 0, disk_size - disk.source.size);
    memcpy(disk.bytes, p, disk.source.size);
    memcpy(base.bytes, q, io_min(base.source.size, disk_size));
    if (base.source.size < disk_size)
        memset(q + base.source.size, 0, disk_size - base.source.size);
    where = make_where(disk_size);

    CHECK_OK(scan_data(&disk.source, &where, granule, &progress, &data, &err),
             &err);
    scan_slowly(p, NULL, &where, granule, &slow_data, NULL);
    check_equal(&data, &slow_data);
    CHECK_OK(scan_differences(&disk.source, &base.source, &where, granule,
                              &progress, &data, &zeroes, &err),
             &err);
    scan_slowly(p, q, &where, granule, &slow_data, &slow_zeroes);
    check_equal(&data, &slow_data);
    check_equal(&zeroes, &slow_zeroes);
    extents_clear(&where);
    memory_close(&disk);
    memory_close(&base);
    free(p);
}

static void test_random_disks(void)
{
    TEST("random disks are looked at as by looking at each granule");
    for (int run = 0; run < 600; run++)
        scan_random(K(40), UINT64_C(512) << test_random(5));
    TEST("so are those of some pieces");
    for (int run = 0; run < 12; run++)
        scan_random(LARGEST, K(64) << test_random(6));
}

int main(void)
{
    test_begin();
    test_random_disks();
    return test_end();
}
