/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Names what came in the place of a qcow2 image, or stands in its way. */

#include "config.h"

#include "import/foreign.h"
#include "qemu/header.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SHOWN = 80 }; /* bytes of a text */

/* Formats that tell by some bytes at a known place, as file(1) knows them.
 * Text comes later: it may begin with blanks.
 */
static const struct {
    size_t at, length;
    const char *bytes;
    const char *image; /* the format of disk images that it is, or NULL */
    const char *words; /* what else it is, and what to do with it */
} magics[] = {
    {0, 2, "\x1f\x8b", NULL, "gzip data: pipe it through gzip -dc"},
    {0, 6,
     "\xfd"
     "7zXZ",
     NULL, "xz data: pipe it through xz -dc"},
    {0, 4, "\x28\xb5\x2f\xfd", NULL, "zstd data: pipe it through zstd -dc"},
    {0, 3, "BZh", NULL, "bzip2 data: pipe it through bzip2 -dc"},
    {0, 4, "\x04\x22\x4d\x18", NULL, "lz4 data: pipe it through lz4 -dc"},
    {0, 4, "PK\x03\x04", NULL, "a zip archive: take the image out of it"},
    {257, 5, "ustar", NULL, "a tar archive: take the image out of it"},
    {0, 4, "KDMV", "a VMDK image",
     "send it with qcow-tool stream --source-format vmdk"},
    {0, 4, "COWD", "a VMDK image",
     "send it with qcow-tool stream --source-format vmdk"},
    {0, 21, "# Disk DescriptorFile", "a VMDK descriptor",
     "send it with qcow-tool stream --source-format vmdk"},
    {0, 8, "conectix", "a VHD image",
     "send it with qcow-tool stream --source-format vpc"},
    {0, 8, "vhdxfile", "a VHDX image",
     "send it with qcow-tool stream --source-format vhdx"},
    {64, 4, "\x7f\x10\xda\xbe", "a VDI image",
     "send it with qcow-tool stream --source-format vdi"},
    {0, 4, "QED\0", "a QED image", "qemu-img convert makes qcow2 of it"},
    {0, 6, "LUKS\xba\xbe", NULL, "an encrypted disk (LUKS)"},
    {32769, 5, "CD001", NULL,
     "an ISO 9660 image, which is a raw disk: write it as "
     "it is"},
    {510, 2, "\x55\xaa", NULL,
     "a raw disk with a boot sector: write it as it is, "
     "or send it with qcow-tool stream"},
};

enum { N_MAGICS = sizeof magics / sizeof magics[0] };

static bool is_magic(size_t i, const unsigned char *bytes, size_t length)
{
    return magics[i].at + magics[i].length <= length &&
           memcmp(bytes + magics[i].at, magics[i].bytes, magics[i].length) ==
               0;
}

const char *foreign_find_image(const unsigned char *bytes, size_t length)
{
    if (length >= 4 && header_is_qcow2(bytes, length))
        return "a qcow2 image";
    for (size_t i = 0; i < N_MAGICS; i++)
        if (magics[i].image != NULL && is_magic(i, bytes, length))
            return magics[i].image;
    return NULL;
}

/* Its beginning as one line: blanks and ends of lines become one blank.  Of
 * what has lines that mean something, only the first.
 */
static void squeeze(const char *text, size_t length, bool is_first_line,
                    char line[SHOWN + 1])
{
    size_t n = 0;

    for (size_t i = 0; i < length && n < SHOWN && text[i] != '\0'; i++) {
        bool is_blank = strchr(" \t\r\n", text[i]) != NULL;

        if (is_first_line && (text[i] == '\r' || text[i] == '\n'))
            break;
        if (!is_blank)
            line[n++] = text[i];
        else if (n > 0 && line[n - 1] != ' ')
            line[n++] = ' ';
    }
    line[n] = '\0';
}

static bool begins(const char *text, size_t length, const char *with)
{
    return length >= strlen(with) &&
           strncasecmp(text, with, strlen(with)) == 0;
}

static bool describe_text(const char *text, size_t length,
                          char words[FOREIGN_WORDS])
{
    const char *what = NULL;
    char line[SHOWN + 1];

    while (length > 0 && strchr(" \t\r\n", text[0]) != NULL &&
           text[0] != '\0') {
        text++;
        length--;
    }
    if (begins(text, length, "HTTP/"))
        what = "an HTTP response with its headers, where only the body should "
               "come";
    else if (begins(text, length, "<!doctype html") ||
             begins(text, length, "<html"))
        what = "an HTML page, as servers show for an error";
    else if (begins(text, length, "<?xml"))
        what = "an XML text";
    else if (begins(text, length, "{") || begins(text, length, "["))
        what = "a JSON text";
    if (what == NULL)
        return false;
    squeeze(text, length, begins(text, length, "HTTP/"), line);
    snprintf(words, FOREIGN_WORDS, "%s: %s", what, line);
    return true;
}

static bool is_zero(const unsigned char *bytes, size_t length)
{
    return length >= 512 && bytes[0] == 0 &&
           memcmp(bytes, bytes + 1, length - 1) == 0;
}

bool foreign_describe(const unsigned char *bytes, size_t length,
                      char words[FOREIGN_WORDS])
{
    for (size_t i = 0; i < N_MAGICS; i++) {
        const char *image = magics[i].image;

        if (!is_magic(i, bytes, length))
            continue;
        snprintf(words, FOREIGN_WORDS, "%s%s%s", image == NULL ? "" : image,
                 image == NULL ? "" : ": ", magics[i].words);
        return true;
    }
    if (is_zero(bytes, length)) {
        snprintf(words, FOREIGN_WORDS, "zeroes, as a raw disk may begin with");
        return true;
    }
    return describe_text((const char *)bytes, length, words);
}
