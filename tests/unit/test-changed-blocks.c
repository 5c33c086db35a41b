/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the record that xapi has of what has changed. */

#include "config.h"

#include "base/io.h"
#include "export/changed-blocks.h"
#include "test.h"

#include <openssl/evp.h>

enum { MAX_LIST = 6 };

#define K(n) ((uint64_t)(n) << 10)
#define MANY "there are more than "
#define FEW "there are "

/* A list of extents ends with an empty one.  message is what follows the
 * record's name; NULL: all is well.
 */
static const struct {
    const char *name, *text;
    uint64_t disk_size;
    struct extent changed[MAX_LIST];
    const char *message;
} cases[] = {
    {"nothing has changed", "AA==", K(512), {{0}}, NULL},
    {"the first block is the most significant bit",
     "gA==",
     K(512),
     {{0, K(64)}},
     NULL},
    {"the last one of a byte is the least significant",
     "AQ==",
     K(512),
     {{K(448), K(64)}},
     NULL},
    {"the next is in the next byte", "AIA=", K(1024), {{K(512), K(64)}}, NULL},
    {"what touches is one range, across bytes, too",
     "A8A=",
     K(1024),
     {{K(384), K(256)}},
     NULL},
    {"all of a disk", "////", K(64) * 24, {{0, K(64) * 24}}, NULL},
    {"the last block may not be whole",
     "wA==",
     K(64) + 512,
     {{0, K(64) + 512}},
     NULL},
    {"bits without a block are not set",
     "4A==",
     K(128),
     {{0}},
     "block 2 is marked, and a disk of 131072 bytes has 2"},
    {"the digits of base64",
     "+/8=",
     K(1024),
     {{0, K(320)}, {K(384), K(640)}},
     NULL},
    {"white space is skipped",
     "\r\n\t A 8\nA \n=\n\n",
     K(1024),
     {{K(384), K(256)}},
     NULL},
    {"an empty disk has an empty record", "\n", 0, {{0}}, NULL},
    {"an empty disk has no bits",
     "AA==",
     0,
     {{0}},
     MANY "0 bytes of bits, and a disk of 0 bytes has 0"},
    {"an empty record",
     "",
     K(64),
     {{0}},
     FEW "0 bytes of bits, and a disk of 65536 bytes has 1"},
    {"a record of a smaller disk",
     "AA==",
     K(512) + 1,
     {{0}},
     FEW "1 bytes of bits, and a disk of 524289 bytes has 2"},
    {"a record of a larger disk",
     "AAA=",
     K(512),
     {{0}},
     MANY "1 bytes of bits, and a disk of 524288 bytes has 1"},
    {"other characters", "AA*=", K(512), {{0}}, "byte 2 is no base64"},
    {"those of base64 in URLs", "_w==", K(512), {{0}}, "byte 0 is no base64"},
    {"what OpenSSL takes for the end",
     "AA==-",
     K(512),
     {{0}},
     "byte 4 is no base64"},
    {"vertical white space", "AA==\v", K(512), {{0}}, "byte 4 is no base64"},
    {"two records", "AA==AA==", K(512), {{0}}, "byte 4 is no base64"},
    {"digits are missing",
     "AA",
     K(512),
     {{0}},
     "the base64 ends in the middle"},
    {"padding is missing",
     "AA=",
     K(512),
     {{0}},
     "the base64 ends in the middle"},
    {"there is too much padding",
     "AAA==",
     K(1024),
     {{0}},
     "the base64 ends in the middle"},
    {"there is nothing but padding",
     "====",
     K(512),
     {{0}},
     "the base64 ends in the middle"},
};

/* A file that has the text. */
static int file_of(const char *text, size_t length)
{
    int fd = test_file();

    CHECK_INT(io_pwrite_full(fd, text, length, 0), 0);
    return fd;
}

static void test_cases(void)
{
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        int fd = file_of(cases[i].text, strlen(cases[i].text));
        struct extents changed = {0};
        struct error err = {0};
        char message[200];
        size_t n = 0;
        int r =
            changed_blocks_read(fd, "x", cases[i].disk_size, &changed, &err);

        TEST(cases[i].name);
        if (cases[i].message != NULL) {
            snprintf(message, sizeof message,
                     "source: changed blocks in x: %s", cases[i].message);
            CHECK_FAILS(r, &err, message);
        } else if (CHECK_OK(r, &err)) {
            for (; n < MAX_LIST && cases[i].changed[n].length > 0; n++) {
                if (!CHECK(n < changed.count))
                    break;
                CHECK_UINT(changed.list[n].disk_offset,
                           cases[i].changed[n].disk_offset);
                CHECK_UINT(changed.list[n].length, cases[i].changed[n].length);
            }
            CHECK_UINT(changed.count, n);
        }
        extents_clear(&changed);
        close(fd);
    }
}

/* Longer than what is read at once. */
static void test_long(void)
{
    enum { BYTES = 50000, TEXT = (BYTES + 2) / 3 * 4 };
    static unsigned char bits[BYTES];
    static char text[TEXT + 1];
    struct extents changed = {0}, expected = {0};
    struct error err;
    uint64_t differ = 0;
    int fd;

    TEST("a long record");
    test_fill_random(bits, sizeof bits);
    EVP_EncodeBlock((unsigned char *)text, bits, sizeof bits);
    for (size_t i = 0; i < sizeof bits * 8; i++)
        if (bits[i / 8] >> (7 - i % 8) & 1)
            CHECK_OK(extents_append(&expected, i * K(64), K(64), &err), &err);
    fd = file_of(text, TEXT);
    CHECK_OK(changed_blocks_read(fd, "x", sizeof bits * 8 * K(64), &changed,
                                 &err),
             &err);
    CHECK(extents_is_equal(&changed, &expected, &differ));
    CHECK_UINT(differ, 0);
    extents_clear(&changed);
    extents_clear(&expected);
    close(fd);
}

int main(void)
{
    test_begin();
    test_cases();
    test_long();
    return test_end();
}
