/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
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
    if (ledger_add_tables(l, &reads, true, err) == 0)
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

/* ----------------------------------------------------------- transitions */

/* What a byte of the file may be, and what may happen to it. */
enum state { UNKNOWN, DATA, COMPRESSED, TABLE, PROTECTED, DROPPED, STATES };
enum event {
    RUN_READS,            /* as a table, in a run that counts */
    OPENING_READS,        /* by the QEMU that decodes, while it opens */
    CLUSTER_READS,        /* by it, later, from a sector's first byte */
    CLUSTER_READS_INSIDE, /* by it, later, from the second byte of a sector */
    CLAIM,                /* for the disk */
    DROP,                 /* tables that QEMU is done with */
    EVENTS
};

/* Two sectors next to each other, and where the first is on the disk. */
enum { FIRST = 8192, SECOND = FIRST + 512, END = SECOND + 512, DISK = 65536 };

/* Why an event is refused if either sector has one of the states.  What stands
 * first is said first; other transitions are allowed.
 */
static const struct {
    enum event event;
    unsigned states; /* bits */
    const char *why;
} refusals[] = {
    {RUN_READS, 1U << DATA, "is both data and metadata"},
    {RUN_READS, 1U << DROPPED, "is both data and metadata"},
    {RUN_READS, 1U << COMPRESSED, "is both data and metadata"},
    {OPENING_READS, 1U << DATA, "is both data and metadata"},
    {OPENING_READS, 1U << DROPPED, "is both data and metadata"},
    {CLUSTER_READS, 1U << DATA, "is both data and metadata"},
    {CLUSTER_READS, 1U << DROPPED, "is both data and metadata"},
    {CLUSTER_READS, 1U << TABLE | 1U << PROTECTED,
     "is metadata, and compressed data"},
    {CLUSTER_READS, 1U << COMPRESSED, "belongs to two compressed clusters"},
    {CLUSTER_READS_INSIDE, 1U << DATA, "is both data and metadata"},
    {CLUSTER_READS_INSIDE, 1U << DROPPED, "is both data and metadata"},
    {CLUSTER_READS_INSIDE, 1U << TABLE | 1U << PROTECTED,
     "is metadata, and compressed data"},
    {CLUSTER_READS_INSIDE, 1U << COMPRESSED,
     "belongs to two compressed clusters"},
    {CLAIM, 1U << DATA, "is claimed twice, again for disk offset"},
    {CLAIM, 1U << COMPRESSED,
     "is compressed data, and plain data for disk offset"},
    {CLAIM, 1U << TABLE | 1U << PROTECTED | 1U << DROPPED,
     "is metadata, and data for disk offset"},
};

/* What an allowed event makes of a sector. */
static enum state outcome(enum state state, enum event event)
{
    if (state == UNKNOWN && event == RUN_READS)
        return TABLE;
    if (state == UNKNOWN &&
        (event == CLUSTER_READS || event == CLUSTER_READS_INSIDE))
        return COMPRESSED;
    if (state == UNKNOWN && event == CLAIM)
        return DATA;
    if (state == TABLE && event == DROP)
        return DROPPED;
    return state;
}

static void ignore_drop(void *opaque, uint64_t file_offset, uint64_t length)
{
    (void)opaque;
    (void)file_offset;
    (void)length;
}

/* Gives a sector of an unknown ledger a state. */
static void make_state(struct ledger *l, uint64_t from, enum state state)
{
    uint64_t to = from + 512;
    struct error err;

    if (state == PROTECTED)
        CHECK_OK(ledger_protect(l, from, to - from, &err), &err);
    if (state == TABLE || state == PROTECTED || state == DROPPED)
        CHECK_OK(add_table(l, from, to, &err), &err);
    if (state == DROPPED)
        CHECK_OK(ledger_drop_tables(l, ignore_drop, NULL, &err), &err);
    if (state == DATA)
        CHECK_OK(add_data(l, from, to, 0, 512, &err), &err);
    if (state == COMPRESSED) { /* two small clusters */
        compressed(l, from, to, true);
        compressed(l, from + 1, to, true);
        CHECK_OK(ledger_check_compressed(l, &err), &err);
    }
}

static enum state state_of(const struct ledger *l, uint64_t file_offset)
{
    const struct ranges *sets[STATES] = {
        [DATA] = &l->data,       [COMPRESSED] = &l->compressed,
        [TABLE] = &l->tables,    [PROTECTED] = &l->protected,
        [DROPPED] = &l->dropped,
    };
    enum state state = UNKNOWN;

    for (enum state i = DATA; i < STATES; i++)
        if (ranges_has_all(sets[i], file_offset, 1)) {
            /* Tables of both kinds are tables, too; else it is one thing. */
            CHECK(state == UNKNOWN || state == TABLE);
            state = i;
        }
    return state;
}

static int happen(struct ledger *l, enum event event, struct error *err)
{
    bool is_compressed;

    switch (event) {
    case RUN_READS:
        if (ledger_check_table(l, FIRST, END - FIRST, err) == -1)
            return -1;
        return add_table(l, FIRST, END, err);
    case OPENING_READS:
        return ledger_add_compressed(l, true, FIRST, END - FIRST,
                                     &is_compressed, err);
    case CLUSTER_READS:
        return compressed_fails(l, FIRST, END, err);
    case CLUSTER_READS_INSIDE:
        return compressed_fails(l, FIRST + 1, END, err);
    case CLAIM:
        return add_data(l, FIRST, END, DISK, 512, err);
    default:
        return ledger_drop_tables(l, ignore_drop, NULL, err);
    }
}

/* What is said of the event, or NULL if it is allowed. */
static const char *refusal(enum state first, enum state second,
                           enum event event)
{
    static char message[200];
    uint64_t start = event == CLUSTER_READS_INSIDE ? FIRST + 1 : FIRST;

    if (event == CLUSTER_READS && first == TABLE && second == TABLE)
        return NULL; /* a known table may be read again */
    for (size_t i = 0; i < N_ELEMENTS(refusals); i++) {
        bool is_first = (refusals[i].states & 1U << first) != 0;
        uint64_t at = is_first ? start : SECOND;
        int n;

        if (refusals[i].event != event ||
            (refusals[i].states & (1U << first | 1U << second)) == 0)
            continue;
        n = snprintf(message, sizeof message, "source: file offset %d %s",
                     (int)at, refusals[i].why);
        if (event == CLAIM)
            snprintf(message + n, sizeof message - n, " %d",
                     (int)(DISK + at - FIRST));
        return message;
    }
    return NULL;
}

static void test_transition(enum state first, enum state second,
                            enum event event)
{
    const char *message = refusal(first, second, event);
    struct ledger l = {0};
    struct error err;
    char name[64];

    snprintf(name, sizeof name, "states %d and %d, event %d", first, second,
             event);
    TEST(name);
    /* All that is a table is dropped at once, so those come first. */
    if (second == DROPPED)
        make_state(&l, SECOND, second);
    make_state(&l, FIRST, first);
    if (second != DROPPED)
        make_state(&l, SECOND, second);
    CHECK_INT(state_of(&l, FIRST), first);
    CHECK_INT(state_of(&l, SECOND), second);
    if (message != NULL) {
        CHECK_FAILS(happen(&l, event, &err), &err, message);
        CHECK_INT(state_of(&l, FIRST), first);
        CHECK_INT(state_of(&l, SECOND), second);
    } else {
        CHECK_OK(happen(&l, event, &err), &err);
        CHECK_INT(state_of(&l, FIRST + 1), outcome(first, event));
        CHECK_INT(state_of(&l, SECOND), outcome(second, event));
    }
    ledger_clear(&l);
}

/* Each event, over two sectors of each two states. */
static void test_transitions(void)
{
    for (enum state first = 0; first < STATES; first++)
        for (enum state second = 0; second < STATES; second++)
            for (enum event event = 0; event < EVENTS; event++)
                test_transition(first, second, event);
}

int main(void)
{
    test_begin();
    test_compressed();
    test_compressed_and_others();
    test_subclusters();
    test_transitions();
    return test_end();
}
