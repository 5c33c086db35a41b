/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests that what is no qcow2 image is called by its name. */

#include "config.h"

#include "import/foreign.h"
#include "test.h"

/* Of each format, bytes at a place, and zeroes or noise before them. */
static const struct {
    const char *name;
    size_t at, length;
    const char *bytes;
    const char *words; /* their beginning; NULL: nobody knows */
} cases[] = {
    {"gzip", 0, 10, "\x1f\x8b\x08\0\0\0\0\0\0\x03", "gzip data: pipe it"},
    {"xz", 0, 6, "\xfd\x37\x7a\x58\x5a\0", "xz data: pipe it through xz -dc"},
    {"zstd", 0, 4, "\x28\xb5\x2f\xfd", "zstd data: pipe it through zstd"},
    {"bzip2", 0, 4, "BZh9", "bzip2 data: pipe it through bzip2 -dc"},
    {"lz4", 0, 4, "\x04\x22\x4d\x18", "lz4 data: pipe it through lz4 -dc"},
    {"zip", 0, 4, "PK\x03\x04", "a zip archive"},
    {"tar", 257, 8, "ustar  ", "a tar archive"},
    {"VMDK", 0, 8, "KDMV\x01\0\0\0", "a VMDK image"},
    {"VMDK of ESX", 0, 4, "COWD", "a VMDK image"},
    {"VMDK in parts", 0, 22, "# Disk DescriptorFile\n", "a VMDK descriptor"},
    {"VHD", 0, 8, "conectix", "a VHD image"},
    {"VHDX", 0, 8, "vhdxfile", "a VHDX image"},
    {"VDI", 64, 4, "\x7f\x10\xda\xbe", "a VDI image"},
    {"QED", 0, 4, "QED\0", "a QED image"},
    {"LUKS", 0, 8, "LUKS\xba\xbe\0\1", "an encrypted disk (LUKS)"},
    {"ISO 9660", 32769, 5, "CD001", "an ISO 9660 image"},
    {"a boot sector", 510, 2, "\x55\xaa", "a raw disk with a boot sector"},
    {"zeroes", 512, 1, "\0", "zeroes, as a raw disk"},
    {"HTML", 0, 26, "\r\n <!DOCTYPE HTML>\n <html>",
     "an HTML page, as servers show for an error: <!DOCTYPE HTML> <html>"},
    {"HTML without its type", 0, 6, "<HTML>", "an HTML page"},
    {"XML", 0, 21, "<?xml version=\"1.0\"?>", "an XML text: <?xml version"},
    {"an HTTP response", 0, 38, "HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n<html>",
     "an HTTP response with its headers, where only the body should come: "
     "HTTP/1.1 404 Not Found"},
    {"a JSON object", 0, 19, "{\n    \"error\": \"x\"}",
     "a JSON text: { \"error\": \"x\"}"},
    {"a JSON list", 0, 4, "[]\n\n", "a JSON text: [] "},
    {"a JSON text with a NUL", 0, 4, "{\0\"a", "a JSON text: {"},

    {"nothing", 0, 0, "", NULL},
    {"blanks", 0, 4, " \n\t ", NULL},
    {"a word", 0, 5, "hello", NULL},
    {"half of a magic number", 0, 1, "\x1f", NULL},
    {"a magic number that is cut off", 0, 7, "conecti", NULL},
    {"a few zeroes", 0, 4, "\0\0\0\0", NULL},
};

static void test_words(void)
{
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        static unsigned char bytes[FOREIGN_BYTES];
        char words[FOREIGN_WORDS] = "";
        bool is_known;

        TEST(cases[i].name);
        memset(bytes, 0, sizeof bytes);
        memcpy(bytes + cases[i].at, cases[i].bytes, cases[i].length);
        is_known =
            foreign_describe(bytes, cases[i].at + cases[i].length, words);
        CHECK_INT(is_known, cases[i].words != NULL);
        if (cases[i].words != NULL) {
            words[strlen(cases[i].words)] = '\0';
            CHECK_STR(words, cases[i].words);
        }
    }
}

static void test_images(void)
{
    static const unsigned char qcow2[] = {'Q', 'F', 'I', 0xfb, 0, 0, 0, 3};
    unsigned char bytes[FOREIGN_IMAGE_BYTES] = {0};

    TEST("what begins as an image does, and what does not");
    CHECK_STR(foreign_find_image(qcow2, sizeof qcow2), "a qcow2 image");
    CHECK(foreign_find_image(qcow2, 3) == NULL);
    CHECK(foreign_find_image(bytes, 0) == NULL);
    memcpy(bytes + 64, "\x7f\x10\xda\xbe", 4);
    CHECK_STR(foreign_find_image(bytes, sizeof bytes), "a VDI image");
    /* A raw disk may begin so by right. */
    memcpy(bytes + 64, "\0\0\0\0", 4);
    memcpy(bytes + 510, "\x55\xaa", 2);
    CHECK(foreign_find_image(bytes, sizeof bytes) == NULL);
    memcpy(bytes, "LUKS\xba\xbe", 6);
    CHECK(foreign_find_image(bytes, sizeof bytes) == NULL);
}

static void test_long_text(void)
{
    unsigned char bytes[1000];
    char words[FOREIGN_WORDS];

    TEST("no text is too long");
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "HTTP/", 5);
    CHECK(foreign_describe(bytes, sizeof bytes, words));
    CHECK(strlen(words) < sizeof words - 1);
}

int main(void)
{
    test_begin();
    test_words();
    test_images();
    test_long_text();
    return test_end();
}
