/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what is kept of a run of qemu-img map. */

#include "config.h"

#include "import/map-findings.h"
#include "shared-inbox.h"

enum { K = 1024, DISK = 1024 * K };

static struct inbox *inbox;
static struct extents unmapped;

static struct map_findings begin(void)
{
    return (struct map_findings){.inbox = inbox, .unmapped = &unmapped};
}

/* Where the next entry begins is where the last one ended. */
static int add(struct map_findings *f, uint64_t length, bool is_data,
               bool is_zero, uint64_t file_offset, struct error *err)
{
    const struct mapjson_entry entry = {
        .disk_offset = f->disk_end,
        .length = length,
        .is_data = is_data,
        .is_zero = is_zero,
        .is_present = is_data || is_zero,
        .has_file_offset = is_data && file_offset != 0,
        .file_offset = file_offset,
    };

    return map_findings_add(f, &entry, err);
}

static void add_ok(struct map_findings *f, uint64_t length, bool is_data,
                   bool is_zero, uint64_t file_offset)
{
    struct error err;

    CHECK_OK(add(f, length, is_data, is_zero, file_offset, &err), &err);
}

static void check_one(const struct extents *extents, uint64_t disk_offset,
                      uint64_t length)
{
    CHECK_UINT(extents->count, 1);
    if (extents->count == 0)
        return;
    CHECK_UINT(extents->list[0].disk_offset, disk_offset);
    CHECK_UINT(extents->list[0].length, length);
}

/* Data, compressed data, zeroes, a hole, and data. */
static void add_all(struct map_findings *f)
{
    add_ok(f, 100 * K, true, false, 64 * K);
    add_ok(f, 100 * K, true, false, 0);
    add_ok(f, 100 * K, false, true, 0);
    add_ok(f, 100 * K, false, false, 0);
    add_ok(f, 100 * K, true, false, 512 * K);
}

static void test_kinds(void)
{
    struct map_findings f = begin();

    TEST("each range is what it is, and holes are not told of");
    add_all(&f);
    CHECK_UINT(f.entries, 5);
    CHECK_UINT(f.new_entries, 4);
    CHECK_UINT(f.data.count, 2);
    check_one(&f.window.compressed, 100 * K, 100 * K);
    check_one(&f.window.zeroes, 200 * K, 100 * K);
    CHECK_UINT(f.told.count, 2);
    CHECK_UINT(f.told.list[0].length, 300 * K);

    TEST("of a run that was ended whole slices count, as far as it told");
    add_ok(&f, 100 * K, false, false, 0);
    CHECK_UINT(f.disk_end, 600 * K);
    map_findings_cut(&f, 0, 128 * K);
    CHECK_UINT(f.disk_end, 384 * K);
    CHECK_UINT(f.data.count, 1);
    CHECK_UINT(f.new_entries, 3);
    check_one(&f.told, 0, 300 * K);

    TEST("and a range is cut where they end");
    map_findings_cut(&f, 0, 256 * K);
    CHECK_UINT(f.disk_end, 256 * K);
    check_one(&f.told, 0, 256 * K);
    check_one(&f.window.zeroes, 200 * K, 56 * K);
    map_findings_cut(&f, 0, 64 * K);
    CHECK_UINT(f.disk_end, 256 * K);
    map_findings_clear(&f);

    TEST("data, too; and if there is no slice, nothing counts");
    f = begin();
    add_ok(&f, 100 * K, true, false, 64 * K);
    map_findings_cut(&f, 0, 64 * K);
    CHECK_UINT(f.data.list[0].length, 64 * K);
    map_findings_cut(&f, 0, 128 * K);
    CHECK_UINT(f.disk_end, 0);
    CHECK_UINT(f.data.count, 0);
    CHECK_UINT(f.told.count, 0);
    map_findings_clear(&f);
}

static void test_unmapped(void)
{
    struct map_findings f = begin();
    struct error err;

    TEST("what is mapped already is told of, and no more");
    extents_clear(&unmapped);
    CHECK_OK(extents_append(&unmapped, 50 * K, 100 * K, &err), &err);
    CHECK_OK(extents_append(&unmapped, 250 * K, 20 * K, &err), &err);
    add_all(&f);
    CHECK_UINT(f.new_entries, 3);
    CHECK_UINT(f.data.count, 1);
    CHECK_UINT(f.data.list[0].file_offset, 114 * K);
    CHECK_UINT(f.data.list[0].disk_offset, 50 * K);
    CHECK_UINT(f.data.list[0].length, 50 * K);
    check_one(&f.window.compressed, 100 * K, 50 * K);
    check_one(&f.window.zeroes, 250 * K, 20 * K);
    CHECK_UINT(f.told.list[0].length, 300 * K);
    map_findings_clear(&f);
}

static void test_too_many(void)
{
    struct map_findings f = begin();
    struct error err = {0};
    uint64_t most;

    TEST("there are no more ranges than what has come has entries");
    extents_clear(&unmapped);
    CHECK_OK(extents_append(&unmapped, 0, UINT64_C(1) << 40, &err), &err);
    append(inbox, 0, 8000);
    most = 8000 / 8 * 16 + 16;
    f.known_entries = 10;
    for (uint64_t i = 0; i < most - 10; i++)
        if (!CHECK_OK(add(&f, K, true, false, (2 * i + 1) * K, &err), &err))
            break;
    CHECK_FAILS(add(&f, K, true, false, 0, &err), &err,
                "more ranges than its tables have entries: they are used more "
                "than once");
    CHECK_INT(f.is_refused, true);
    map_findings_clear(&f);

    TEST("nor more than a run may have, holes among them");
    f = begin();
    for (unsigned i = 0; i < MAP_MOST_FINDINGS; i++)
        if (!CHECK_OK(add(&f, K, false, false, 0, &err), &err))
            break;
    CHECK_INT(f.is_full, false);
    CHECK_FAILS(add(&f, K, false, false, 0, &err), &err,
                "more ranges than are wanted at once");
    CHECK_INT(f.is_full, true);
    map_findings_clear(&f);
}

int main(void)
{
    struct error err;

    test_begin();
    inbox = make_inbox(0);
    append(inbox, 0, 1000);
    CHECK_OK(extents_append(&unmapped, 0, DISK, &err), &err);
    test_kinds();
    test_unmapped();
    inbox_free(inbox);
    inbox = make_inbox(0);
    test_too_many();
    inbox_free(inbox);
    extents_clear(&unmapped);
    return test_end();
}
