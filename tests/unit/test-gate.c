/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests which headers pass, and what QEMU is shown of them. */

#include "config.h"

#include "import/gate.h"
#include "test.h"

enum { FILE_LENGTH = 4096 };

/* A good header of version 3, as QEMU writes it: clusters of 64 KiB, a disk of
 * 1 GiB, the tables in clusters 1 (refcounts) and 3 (L1).  Its offsets are
 * those of docs/interop/qcow2.txt in QEMU's source.
 */
static const unsigned char good[GATE_HEADER] = {
    /* clang-format off */
    /*   0 */ 'Q', 'F', 'I', 0xfb, 0, 0, 0, 3,
    /*   8 */ 0, 0, 0, 0, 0, 0, 0, 0, /* backing file's name */
    /*  16 */ 0, 0, 0, 0, /* its length */
    /*  20 */ 0, 0, 0, 16, /* cluster bits */
    /*  24 */ 0, 0, 0, 0, 0x40, 0, 0, 0, /* size of the disk */
    /*  32 */ 0, 0, 0, 0, /* encryption */
    /*  36 */ 0, 0, 0, 2, /* L1 entries */
    /*  40 */ 0, 0, 0, 0, 0, 3, 0, 0, /* L1 table */
    /*  48 */ 0, 0, 0, 0, 0, 1, 0, 0, /* refcount table */
    /*  56 */ 0, 0, 0, 1, /* its clusters */
    /*  60 */ 0, 0, 0, 0, /* snapshots */
    /*  64 */ 0, 0, 0, 0, 0, 0, 0, 0, /* their table */
    /*  72 */ 0, 0, 0, 0, 0, 0, 0, 0, /* incompatible features */
    /*  80 */ 0, 0, 0, 0, 0, 0, 0, 0, /* compatible features */
    /*  88 */ 0, 0, 0, 0, 0, 0, 0, 0, /* autoclear features */
    /*  96 */ 0, 0, 0, 4, /* refcount order */
    /* 100 */ 0, 0, 0, 112, /* header length */
    /* 104 */ 0, 0, 0, 0, 0, 0, 0, 0, /* compression type */
    /* clang-format on */
};

/* Some bytes of the header, big-endian, with another value. */
struct mutation {
    size_t at, width; /* of width 0: none */
    uint64_t value;
};

enum { MAX_MUTATIONS = 4 };

static void mutate(unsigned char *header,
                   const struct mutation mutations[MAX_MUTATIONS])
{
    for (size_t i = 0; i < MAX_MUTATIONS; i++)
        for (size_t j = 0; j < mutations[i].width; j++)
            header[mutations[i].at + j] =
                mutations[i].value >> 8 * (mutations[i].width - 1 - j);
}

#define VERSION_2                                                             \
    {                                                                         \
        4, 4, 2                                                               \
    }

static const struct {
    const char *name;
    struct mutation mutations[MAX_MUTATIONS];
    struct {
        uint64_t virtual_size, cluster_size, window;
        size_t header_length;
    } image;
} accepted[] = {
    {"what QEMU writes passes", {{0}}, {1 << 30, 65536, 512 << 20, 112}},
    {"version 2 passes", {VERSION_2}, {1 << 30, 65536, 512 << 20, 72}},
    {"of version 2 the fields of version 3 do not count",
     {VERSION_2, {72, 8, UINT64_MAX}, {96, 8, UINT64_MAX}},
     {1 << 30, 65536, 512 << 20, 72}},
    {"an offset of a backing file's name that has no length names none",
     {{8, 8, 0x200}},
     {1 << 30, 65536, 512 << 20, 112}},
    {"the shortest header of version 3 passes",
     {{100, 4, 104}},
     {1 << 30, 65536, 512 << 20, 104}},
    {"behind the shortest header there is no compression type",
     {{100, 4, 104}, {104, 1, 1}},
     {1 << 30, 65536, 512 << 20, 104}},
    {"the place of a backing file without a name passes",
     {{8, 8, 65536}},
     {1 << 30, 65536, 512 << 20, 112}},
    {"a longer header passes",
     {{100, 4, 4096}},
     {1 << 30, 65536, 512 << 20, 4096}},
    {"a header as long as a cluster passes",
     {{100, 4, 65536}},
     {1 << 30, 65536, 512 << 20, 65536}},
    {"the smallest clusters pass",
     {{20, 4, 9}, {24, 8, 1 << 20}, {36, 4, 32}},
     {1 << 20, 512, 32 << 10, 112}},
    {"the largest clusters pass",
     {{20, 4, 21}, {40, 8, 6 << 20}, {48, 8, 2 << 20}},
     {1 << 30, 2 << 20, UINT64_C(512) << 30, 112}},
    {"an empty disk needs no L1 table",
     {{24, 8, 0}, {36, 4, 0}, {40, 8, 0}},
     {0, 65536, 512 << 20, 112}},
    {"a last part that is no sector is no part of the disk",
     {{24, 8, 100 * 512 + 511}},
     {100 * 512, 65536, 512 << 20, 112}},
    {"a longer L1 table passes",
     {{36, 4, 1000}},
     {1 << 30, 65536, 512 << 20, 112}},
    {"the longest L1 table passes",
     {{36, 4, 4 << 20}, {24, 8, UINT64_C(2) << 50}},
     {UINT64_C(2) << 50, 65536, 512 << 20, 112}},
    {"the longest refcount table passes",
     {{56, 4, 128}},
     {1 << 30, 65536, 512 << 20, 112}},
    {"snapshots pass",
     {{60, 4, 65536}, {64, 8, 0x50000}},
     {1 << 30, 65536, 512 << 20, 112}},
    {"an image that was not closed passes",
     {{72, 8, 1}},
     {1 << 30, 65536, 512 << 20, 112}},
    {"compression by zstd passes",
     {{72, 8, 8}, {104, 1, 1}},
     {1 << 30, 65536, 512 << 20, 112}},
    {"subclusters pass, with half the window",
     {{72, 8, 16}, {36, 4, 4}},
     {1 << 30, 65536, 256 << 20, 112}},
    {"the smallest subclusters pass",
     {{72, 8, 16}, {20, 4, 14}, {36, 4, 64}},
     {1 << 30, 16384, 16 << 20, 112}},
    {"compatible and autoclear features do not matter",
     {{80, 8, UINT64_MAX}, {88, 8, UINT64_MAX}},
     {1 << 30, 65536, 512 << 20, 112}},
    {"refcounts of 64 bits pass",
     {{96, 4, 6}},
     {1 << 30, 65536, 512 << 20, 112}},
    {"tables at the end of a huge file pass",
     {{40, 8, (UINT64_C(1) << 56) - 65536},
      {48, 8, (UINT64_C(1) << 56) - 131072}},
     {1 << 30, 65536, 512 << 20, 112}},
};

#define REFUSED(why) "source: refused by its header: " why
#define NOT_QCOW2 "source: not a qcow2 image: no magic number at file offset 0"
#define BAD_L1 REFUSED("impossible offset of the L1 table")
#define BAD_REFCOUNT REFUSED("impossible offset of the refcount table")
#define BAD_LENGTH REFUSED("impossible header length")
#define BAD_CLUSTER REFUSED("the cluster size is not 512 bytes to 2 MiB")

static const struct {
    const char *name;
    struct mutation mutations[MAX_MUTATIONS];
    const char *message;
} refused[] = {
    {"a wrong magic number is refused", {{3, 1, 0xfa}}, NOT_QCOW2},
    {"a raw disk of zeroes is refused", {{0, 8, 0}}, NOT_QCOW2},
    {"version 1 is refused",
     {{4, 4, 1}},
     REFUSED("qcow version 1, supported are 2 and 3")},
    {"version 4 is refused",
     {{4, 4, 4}},
     REFUSED("qcow version 4, supported are 2 and 3")},
    {"a huge version is refused",
     {{4, 4, 0xffffffff}},
     REFUSED("qcow version 4294967295, supported are 2 and 3")},
    {"a backing file is refused",
     {{8, 8, 0x200}, {16, 4, 5}},
     REFUSED("the image names a backing file")},
    {"a backing file of version 2 is refused",
     {VERSION_2, {8, 8, UINT64_C(1) << 63}, {16, 4, 1}},
     REFUSED("the image names a backing file")},
    {"the place of no backing file lies in the first cluster",
     {{8, 8, 65537}},
     REFUSED("impossible offset of a backing file's name")},
    {"clusters of 256 bytes are refused", {{20, 4, 8}}, BAD_CLUSTER},
    {"clusters of 4 MiB are refused", {{20, 4, 22}}, BAD_CLUSTER},
    {"clusters of a byte are refused", {{20, 4, 0}}, BAD_CLUSTER},
    {"a shift by 64 bits is refused", {{20, 4, 64}}, BAD_CLUSTER},
    {"a shift by billions is refused", {{20, 4, 0x80000010}}, BAD_CLUSTER},
    {"encryption is refused", {{32, 4, 1}}, REFUSED("the image is encrypted")},
    {"LUKS of version 2 is refused",
     {VERSION_2, {32, 4, 2}},
     REFUSED("the image is encrypted")},
    {"an L1 table past 32 MiB is refused",
     {{36, 4, (4 << 20) + 1}},
     REFUSED("the L1 table is larger than 32 MiB")},
    {"an L1 table of 32 GiB is refused",
     {{36, 4, 0xffffffff}},
     REFUSED("the L1 table is larger than 32 MiB")},
    {"a disk that needs too large a table is refused",
     {{36, 4, 4 << 20}, {24, 8, (UINT64_C(2) << 50) + 512}},
     REFUSED("the L1 table is larger than 32 MiB")},
    {"a disk of 16 EiB is refused",
     {{36, 4, 4 << 20}, {24, 8, UINT64_MAX}},
     REFUSED("the L1 table is larger than 32 MiB")},
    {"a disk of 8 EiB is refused",
     {{36, 4, 4 << 20}, {24, 8, UINT64_C(1) << 63}},
     REFUSED("the L1 table is larger than 32 MiB")},
    {"an L1 table that is too short is refused",
     {{36, 4, 1}},
     REFUSED("the L1 table is too small for the disk")},
    {"an L1 table that is too short by a sector is refused",
     {{24, 8, (1 << 30) + 512}},
     REFUSED("the L1 table is too small for the disk")},
    {"a disk without an L1 table is refused",
     {{36, 4, 0}},
     REFUSED("the L1 table is too small for the disk")},
    {"an L1 table in the header is refused", {{40, 8, 0}}, BAD_L1},
    {"an L1 table that is not aligned is refused", {{40, 8, 0x30200}}, BAD_L1},
    {"an L1 table past all files is refused",
     {{40, 8, UINT64_C(1) << 56}},
     BAD_L1},
    {"an L1 table at the largest offset is refused",
     {{40, 8, UINT64_MAX - 65535}},
     BAD_L1},
    {"an L1 table in the header is refused, even if nothing needs it",
     {{24, 8, 0}, {40, 8, 0}},
     BAD_L1},
    {"an image without refcounts is refused",
     {{56, 4, 0}},
     REFUSED("the refcount table is empty or larger than 8 MiB")},
    {"a refcount table past 8 MiB is refused",
     {{56, 4, 129}},
     REFUSED("the refcount table is empty or larger than 8 MiB")},
    {"a refcount table of 256 TiB is refused",
     {{56, 4, 0xffffffff}},
     REFUSED("the refcount table is empty or larger than 8 MiB")},
    {"a refcount table in the header is refused", {{48, 8, 0}}, BAD_REFCOUNT},
    {"a refcount table that is not aligned is refused",
     {{48, 8, 0x10001}},
     BAD_REFCOUNT},
    {"a refcount table past all files is refused",
     {{48, 8, UINT64_C(1) << 56}},
     BAD_REFCOUNT},
    {"too many snapshots are refused",
     {{60, 4, 65537}},
     REFUSED("more than 65536 snapshots")},
    {"too many snapshots of version 2 are refused",
     {VERSION_2, {60, 4, 0xffffffff}},
     REFUSED("more than 65536 snapshots")},
    {"a corrupt image is refused",
     {{72, 8, 2}},
     REFUSED("the image is marked corrupt")},
    {"an image that was not closed, and is corrupt, is refused",
     {{72, 8, 3}},
     REFUSED("the image is marked corrupt")},
    {"an external data file is refused",
     {{72, 8, 4}},
     REFUSED("its data is in an external data file")},
    {"a feature that is not known is refused",
     {{72, 8, 32}},
     REFUSED("unknown incompatible features 0x20")},
    {"all features that are not known are named",
     {{72, 8, (UINT64_C(0xf) << 60) + 1}},
     REFUSED("unknown incompatible features 0xf000000000000000")},
    {"a compression type that is not known is refused",
     {{72, 8, 8}, {104, 1, 2}},
     REFUSED("unknown compression type")},
    {"a compression type that is not known is refused without its bit, too",
     {{104, 1, 255}},
     REFUSED("unknown compression type")},
    {"a compression bit without a field for the type is refused",
     {{72, 8, 8}, {100, 4, 104}, {104, 1, 1}},
     REFUSED("compression type 0 contradicts its feature bit")},
    {"a compression bit with the type that needs none is refused",
     {{72, 8, 8}},
     REFUSED("compression type 0 contradicts its feature bit")},
    {"a compression type without its bit is refused",
     {{104, 1, 1}},
     REFUSED("compression type 1 contradicts its feature bit")},
    {"subclusters of 256 bytes are refused",
     {{72, 8, 16}, {20, 4, 13}, {36, 4, 1 << 10}},
     REFUSED("extended L2 entries in clusters of less than 16 KiB")},
    {"with subclusters the L1 table is twice as long",
     {{72, 8, 16}},
     REFUSED("the L1 table is too small for the disk")},
    {"refcounts of 128 bits are refused",
     {{96, 4, 7}},
     REFUSED("refcounts of more than 64 bits")},
    {"a header too short for version 3 is refused",
     {{100, 4, 96}},
     BAD_LENGTH},
    {"a header without a length is refused", {{100, 4, 0}}, BAD_LENGTH},
    {"a header of an odd length is refused", {{100, 4, 108}}, BAD_LENGTH},
    {"a header longer than a cluster is refused",
     {{100, 4, 65544}},
     BAD_LENGTH},
};

static void test_headers(void)
{
    for (size_t i = 0; i < N_ELEMENTS(accepted); i++) {
        unsigned char header[GATE_HEADER];
        struct gate_image image;
        struct error err;

        TEST(accepted[i].name);
        memcpy(header, good, sizeof header);
        mutate(header, accepted[i].mutations);
        if (!CHECK_OK(gate_check(header, sizeof header, &image, &err), &err))
            continue;
        CHECK_UINT(image.virtual_size, accepted[i].image.virtual_size);
        CHECK_UINT(image.cluster_size, accepted[i].image.cluster_size);
        CHECK_UINT(image.window, accepted[i].image.window);
        CHECK_UINT(image.header_length, accepted[i].image.header_length);
    }
    for (size_t i = 0; i < N_ELEMENTS(refused); i++) {
        unsigned char header[GATE_HEADER];
        struct gate_image image;
        struct error err = {0};

        TEST(refused[i].name);
        memcpy(header, good, sizeof header);
        mutate(header, refused[i].mutations);
        CHECK_FAILS(gate_check(header, sizeof header, &image, &err), &err,
                    refused[i].message);
    }
}

/* Where the tables are, in the file. */
static const struct {
    const char *name;
    struct mutation mutations[MAX_MUTATIONS];
    uint64_t l1_offset, l1_length, refcount_offset, refcount_length;
} tables[] = {
    {"tables are where the header says", {{0}}, 0x30000, 16, 0x10000, 0x10000},
    {"an L1 table is as long as its entries",
     {{36, 4, 1000}},
     0x30000,
     8000,
     0x10000,
     0x10000},
    {"a refcount table is as long as its clusters",
     {{20, 4, 9}, {24, 8, 1 << 20}, {36, 4, 32}, {56, 4, 3}},
     0x30000,
     256,
     0x10000,
     1536},
    {"no L1 table is empty",
     {{24, 8, 0}, {36, 4, 0}},
     0x30000,
     0,
     0x10000,
     0x10000},
    {"the longest tables are told in full",
     {{36, 4, 4 << 20}, {56, 4, 128}},
     0x30000,
     32 << 20,
     0x10000,
     8 << 20},
    {"tables at the end of a huge file are told",
     {{40, 8, (UINT64_C(1) << 56) - 65536},
      {48, 8, (UINT64_C(1) << 56) - 131072}},
     (UINT64_C(1) << 56) - 65536,
     16,
     (UINT64_C(1) << 56) - 131072,
     0x10000},
};

static void test_tables(void)
{
    for (size_t i = 0; i < N_ELEMENTS(tables); i++) {
        unsigned char header[GATE_HEADER];
        struct gate_image image;
        struct error err;

        TEST(tables[i].name);
        memcpy(header, good, sizeof header);
        mutate(header, tables[i].mutations);
        if (!CHECK_OK(gate_check(header, sizeof header, &image, &err), &err))
            continue;
        CHECK_UINT(image.l1_offset, tables[i].l1_offset);
        CHECK_UINT(image.l1_length, tables[i].l1_length);
        CHECK_UINT(image.refcount_offset, tables[i].refcount_offset);
        CHECK_UINT(image.refcount_length, tables[i].refcount_length);
    }
}

static void test_magic(void)
{
    unsigned char header[GATE_HEADER];

    TEST("as far as it came, a stream can be qcow2");
    for (size_t length = 0; length <= GATE_HEADER; length++)
        CHECK(header_is_qcow2(good, length));

    TEST("a stream with a wrong byte in its magic number cannot");
    for (size_t wrong = 0; wrong < 4; wrong++) {
        memcpy(header, good, sizeof header);
        header[wrong] ^= 1;
        for (size_t length = 0; length <= GATE_HEADER; length++)
            CHECK_INT(header_is_qcow2(header, length), length <= wrong);
    }
}

/* The stream ends somewhere in the header. */
static void test_short(void)
{
    struct gate_image image;
    struct error err = {0};

    TEST("an empty stream is refused as such");
    CHECK_FAILS(gate_check(good, 0, &image, &err), &err,
                "source: empty: it ends at file offset 0");

    TEST("a stream that ends in the header is refused as such");
    for (size_t length = 1; length < GATE_HEADER; length++) {
        unsigned char *header = malloc(length); /* with nothing behind it */
        char message[128];

        test_require(header != NULL, "malloc");
        memcpy(header, good, length);
        snprintf(message, sizeof message,
                 "source: truncated: it ends at file offset %zu, inside the "
                 "qcow2 header",
                 length);
        CHECK_FAILS(gate_check(header, length, &image, &err), &err, message);
        header[0] = 'q';
        CHECK_FAILS(gate_check(header, length, &image, &err), &err, NOT_QCOW2);
        free(header);
    }
}

/* --------------------------------------------------------------- cleaned */

/* A file that begins with the header, and has something in each byte that is
 * not the header's.  To the header are added: 3 snapshots, the dirty bit, all
 * compatible and autoclear features.
 */
static void make_file(const struct mutation *mutation, unsigned char *file)
{
    const struct mutation extras[MAX_MUTATIONS] = {{60, 4, 3},
                                                   {64, 8, 0x50000},
                                                   {80, 8, UINT64_MAX},
                                                   {88, 8, UINT64_MAX}};
    const struct mutation dirty[MAX_MUTATIONS] = {{79, 1, 1}, *mutation};

    memset(file, 0xa5, FILE_LENGTH);
    memcpy(file, good, sizeof good);
    mutate(file, extras);
    mutate(file, dirty);
}

/* Which bytes become zeroes; all others but the dirty bit stay. */
static const struct {
    const char *name;
    struct mutation mutations[MAX_MUTATIONS];
    struct {
        size_t from, to;
    } zeroed[3];
    bool is_dirty_kept; /* it means something else */
} cleaned[] = {
    {"of version 3 snapshots, autoclear and all behind it go",
     {{0}},
     {{60, 72}, {88, 96}, {112, FILE_LENGTH}},
     false},
    {"behind the shortest header, too",
     {{100, 4, 104}},
     {{60, 72}, {88, 96}, {104, FILE_LENGTH}},
     false},
    {"a longer header stays in full",
     {{100, 4, 1000}},
     {{60, 72}, {88, 96}, {1000, FILE_LENGTH}},
     false},
    {"of version 2 snapshots and all behind it go",
     {VERSION_2},
     {{60, 72}, {72, FILE_LENGTH}, {0, 0}},
     true},
};

static void check_cleaned(size_t i, const struct gate_image *image,
                          const size_t *pieces, size_t n_pieces)
{
    unsigned char file[FILE_LENGTH], expected[FILE_LENGTH];
    size_t done = 0;

    make_file(&cleaned[i].mutations[0], file);
    make_file(&cleaned[i].mutations[0], expected);
    if (!cleaned[i].is_dirty_kept)
        expected[79] &= 0xfe;
    for (size_t j = 0; j < 3; j++)
        memset(expected + cleaned[i].zeroed[j].from, 0,
               cleaned[i].zeroed[j].to - cleaned[i].zeroed[j].from);
    for (size_t j = 0; j < n_pieces; j++) {
        /* From memory of its own, with nothing around it. */
        unsigned char *piece = malloc(pieces[j] > 0 ? pieces[j] : 1);

        test_require(piece != NULL, "malloc");
        memcpy(piece, file + done, pieces[j]);
        gate_clean(image, done, piece, pieces[j]);
        memcpy(file + done, piece, pieces[j]);
        free(piece);
        done += pieces[j];
    }
    CHECK_UINT(done, FILE_LENGTH);
    CHECK_MEM(file, expected, FILE_LENGTH);
}

static void test_clean(void)
{
    for (size_t i = 0; i < N_ELEMENTS(cleaned); i++) {
        unsigned char file[FILE_LENGTH];
        size_t pieces[FILE_LENGTH] = {FILE_LENGTH};
        struct gate_image image;
        struct error err;

        TEST(cleaned[i].name);
        make_file(&cleaned[i].mutations[0], file);
        CHECK_OK(gate_check(file, GATE_HEADER, &image, &err), &err);
        check_cleaned(i, &image, pieces, 1);

        /* In two, then byte by byte, then in random pieces: the first one
         * has the whole header.
         */
        for (size_t at = GATE_HEADER; at <= FILE_LENGTH; at += 97) {
            pieces[0] = at;
            pieces[1] = FILE_LENGTH - at;
            check_cleaned(i, &image, pieces, 2);
        }
        pieces[0] = GATE_HEADER;
        for (size_t j = 1; j <= FILE_LENGTH - GATE_HEADER; j++)
            pieces[j] = 1;
        check_cleaned(i, &image, pieces, FILE_LENGTH - GATE_HEADER + 1);
        for (int run = 0; run < 100; run++) {
            size_t done = GATE_HEADER, n = 1;

            while (done < FILE_LENGTH) {
                pieces[n] = test_random(300);
                if (pieces[n] > FILE_LENGTH - done)
                    pieces[n] = FILE_LENGTH - done;
                done += pieces[n++];
            }
            check_cleaned(i, &image, pieces, n);
        }
    }
}

/* Only the first cluster is the header's. */
static void test_clean_end(void)
{
    const struct mutation small[MAX_MUTATIONS] = {{20, 4, 9},
                                                  {24, 8, 1 << 20},
                                                  {36, 4, 32}};
    unsigned char file[FILE_LENGTH], before[FILE_LENGTH];
    struct gate_image image;
    struct error err;

    memset(file, 0xa5, sizeof file);
    memcpy(file, good, sizeof good);
    mutate(file, small);
    memcpy(before, file, sizeof file);
    CHECK_OK(gate_check(file, GATE_HEADER, &image, &err), &err);

    TEST("behind the first cluster all bytes stay");
    gate_clean(&image, 0, file, sizeof file);
    CHECK_MEM(file + 512, before + 512, sizeof file - 512);
    CHECK_INT(file[511], 0);
    for (uint64_t at = 512; at < 3000; at += 37) {
        gate_clean(&image, at, file + at, sizeof file - at);
        CHECK_MEM(file + 512, before + 512, sizeof file - 512);
    }
    gate_clean(&image, UINT64_C(1) << 40, file, sizeof file);
    CHECK_MEM(file + 512, before + 512, sizeof file - 512);

    TEST("a clean header stays as it is, and passes");
    memcpy(before, file, sizeof file);
    gate_clean(&image, 0, file, sizeof file);
    CHECK_MEM(file, before, sizeof file);
    CHECK_OK(gate_check(file, GATE_HEADER, &image, &err), &err);
}

int main(void)
{
    test_begin();
    test_headers();
    test_tables();
    test_magic();
    test_short();
    test_clean();
    test_clean_end();
    return test_end();
}
