/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests who may own which byte of a file. */

#include "config.h"

#include "import/ledger.h"
#include "test.h"

static int add_data(struct ledger *l, uint64_t from, uint64_t to,
                    uint64_t disk_offset, uint64_t granule, struct error *err)
{
    struct filemap_entry entry = {from, to - from, disk_offset};
    const struct filemap data = {&entry, 1, 1};

    return ledger_add_data(l, &data, granule, err);
}

static int add_table(struct ledger *l, uint64_t from, uint64_t to,
                     struct error *err)
{
    struct ranges_batch reads = {0};

    CHECK_OK(ranges_batch_add(&reads, from, to - from, err), err);
    if (ledger_add_tables(l, &reads, err) == 0)
        return 0;
    ranges_batch_clear(&reads);
    return -1;
}

/* A read of a compressed cluster, or of a table. */
static void compressed(struct ledger *l, uint64_t from, uint64_t to,
                       bool is_compressed)
{
    struct error err;
    bool was_compressed = !is_compressed;

    CHECK_OK(ledger_add_compressed(l, false, from, to - from, &was_compressed,
                                   &err),
             &err);
    CHECK_INT(was_compressed, is_compressed);
}

static int compressed_fails(struct ledger *l, uint64_t from, uint64_t to,
                            struct error *err)
{
    bool is_compressed;

    if (ledger_add_compressed(l, false, from, to - from, &is_compressed,
                              err) == -1)
        return -1;
    return ledger_check_compressed(l, err);
}

static void test_compressed(void)
{
    static const struct {
        const char *name;
        uint64_t first[2], second[2]; /* reads, from and to */
        const char *message;          /* NULL: both may be */
    } cases[] = {
        {"clusters may be apart", {1000, 2048}, {3000, 4096}, NULL},
        {"a cluster may begin in the last sector of another",
         {1000, 2048},
         {1537, 3072},
         NULL},
        {"a cluster may be all in the last sector of another",
         {1000, 2048},
         {2047, 2048},
         NULL},
        {"small clusters may share a sector", {10, 512}, {11, 512}, NULL},
        {"no cluster begins where another has its last sector's first byte",
         {1000, 2048},
         {1536, 3072},
         "source: file offset 1536 belongs to two compressed clusters"},
        {"no cluster is inside another",
         {1000, 4096},
         {2000, 2560},
         "source: file offset 2000 belongs to two compressed clusters"},
        {"no two clusters are the same",
         {1000, 4096},
         {1000, 4096},
         "source: file offset 1000 belongs to two compressed clusters"},
        {"no two small clusters are the same",
         {1000, 1024},
         {1000, 1024},
         "source: file offset 1000 belongs to two compressed clusters"},
    };
    struct error err;

    for (size_t i = 0; i < 2 * N_ELEMENTS(cases); i++) {
        const uint64_t *a = cases[i / 2].first, *b = cases[i / 2].second;
        const char *message = cases[i / 2].message;
        struct ledger l = {0};

        TEST(cases[i / 2].name);
        if (i % 2 == 1) { /* the other way round, sorted in between */
            a = b;
            b = cases[i / 2].first;
        }
        compressed(&l, a[0], a[1], true);
        if (i % 2 == 1)
            CHECK_OK(ledger_check_compressed(&l, &err), &err);
        if (message != NULL) {
            CHECK_FAILS(compressed_fails(&l, b[0], b[1], &err), &err, message);
        } else {
            compressed(&l, b[0], b[1], true);
            CHECK_OK(ledger_check_compressed(&l, &err), &err);
        }
        ledger_clear(&l);
    }
}

static void test_compressed_and_others(void)
{
    struct ledger l = {0};
    struct error err;
    bool is_compressed;

    TEST("while the image is opened all reads are of tables");
    CHECK_OK(ledger_protect(&l, 0, 1000, &err), &err);
    CHECK_OK(ledger_add_compressed(&l, true, 104, 8, &is_compressed, &err),
             &err);
    CHECK(!is_compressed);

    TEST("a known table may be read again");
    CHECK_OK(add_table(&l, 0, 1000, &err), &err);
    CHECK_OK(add_table(&l, 4096, 8192, &err), &err);
    compressed(&l, 4096, 8192, false);
    compressed(&l, 4608, 5120, false);

    TEST("what every run reads is not, and what begins in a table neither");
    CHECK_FAILS(compressed_fails(&l, 512, 1000, &err), &err,
                "source: file offset 512 is metadata, and compressed data");
    CHECK_FAILS(compressed_fails(&l, 5000, 5120, &err), &err,
                "source: file offset 5000 is metadata, and compressed data");
    CHECK_FAILS(compressed_fails(&l, 7680, 8704, &err), &err,
                "source: file offset 7680 is metadata, and compressed data");

    TEST("compressed data is no plain data, and the other way round");
    CHECK_OK(add_data(&l, 16384, 20480, 0, 4096, &err), &err);
    CHECK_FAILS(compressed_fails(&l, 16000, 16896, &err), &err,
                "source: file offset 16384 is both data and metadata");
    compressed(&l, 30000, 30720, true);
    CHECK_FAILS(add_data(&l, 28672, 32768, 65536, 4096, &err), &err,
                "source: file offset 30000 is compressed data, and plain data "
                "for disk offset 66864");

    TEST("compressed data is no table, later");
    CHECK_FAILS(add_table(&l, 28672, 32768, &err), &err,
                "source: file offset 30000 is both data and metadata");
    ledger_clear(&l);
}

/* Of clusters of 4096 bytes some subclusters are in use. */
static void test_subclusters(void)
{
    struct filemap_entry entries[] = {{8192, 128, 40960},
                                      {8320 + 128, 128, 40960 + 256},
                                      {12288, 128, 0}};
    const struct filemap data = {entries, 3, 3};
    struct ledger l = {0};
    struct error err;

    TEST("pieces of a cluster are one cluster of the disk");
    CHECK_OK(ledger_add_data(&l, &data, 4096, &err), &err);
    CHECK_UINT(l.data.count, 1);
    CHECK_UINT(l.data.list[0].file_offset, 8192);
    CHECK_UINT(l.data.list[0].length, 8192);
    ledger_clear(&l);

    TEST("pieces of a cluster are not of two clusters of the disk");
    entries[1].disk_offset = 256;
    CHECK_FAILS(ledger_add_data(&l, &data, 4096, &err), &err,
                "source: file offset 8192 is claimed twice, for disk offsets "
                "40960 and 0");
    CHECK_UINT(l.data.count, 0);
    CHECK_OK(add_data(&l, 8192, 8320, 40960, 4096, &err), &err);
    CHECK_FAILS(add_data(&l, 9000, 9100, 808, 4096, &err), &err,
                "source: file offset 8192 is claimed twice, again for disk "
                "offset 0");
    ledger_clear(&l);
}

int main(void)
{
    test_begin();
    test_compressed();
    test_compressed_and_others();
    test_subclusters();
    return test_end();
}
