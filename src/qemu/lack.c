/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Names what a QEMU lacks, from what it says. */

#include "config.h"

#include "qemu/header.h"
#include "qemu/lack.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LACK_NAME = 32 }; /* of a driver, with its end */

static const char zstd[] =
    "cannot read what is compressed with zstd (some can, from 5.1 on)";
static const char extended_l2[] = "knows no extended L2 entries (since 5.2)";

/* What the programs say.  Before 5.1 and 5.2 a feature has no name but what
 * the image's own table says.
 */
static const struct {
    const char *said, *meaning;
} phrases[] = {
    {"feature(s): compression type", zstd},
    {"unknown compression type", zstd},
    {"feature(s): extended L2 entries", extended_l2},
    {"Invalid parameter 'extended_l2'", extended_l2},
};

/* "Unknown incompatible feature: 18": bits, in hexadecimal. */
static const char *find_bits(const char *msg)
{
    static const char unknown[] = "Unknown incompatible feature: ";
    const char *at = strstr(msg, unknown);
    uint64_t bits;

    if (at == NULL)
        return NULL;
    bits = strtoull(at + strlen(unknown), NULL, 16);
    if ((bits & ~(uint64_t)HEADER_KNOWN_FEATURES) != 0)
        return NULL;
    if (bits & HEADER_COMPRESSION)
        return zstd;
    return bits & HEADER_EXTENDED_L2 ? extended_l2 : NULL;
}

static const char *find_phrase(const char *msg)
{
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
        if (strstr(msg, phrases[i].said) != NULL)
            return phrases[i].meaning;
    return find_bits(msg);
}

/* The name that stands between before and after; false: none does. */
static bool find_between(const char *msg, const char *before,
                         const char *after, char name[LACK_NAME])
{
    const char *at = strstr(msg, before);
    size_t length;

    if (at == NULL)
        return false;
    at += strlen(before);
    length = strcspn(at, "'");
    if (length >= LACK_NAME || strncmp(at + length, after, strlen(after)) != 0)
        return false;
    memcpy(name, at, length);
    name[length] = '\0';
    return true;
}

int lack_name(const char *program, struct error *err)
{
    const char *meaning, *slash = strrchr(program, '/');
    char driver[LACK_NAME];

    if (err->errnum != 0)
        return -1;
    if (slash != NULL)
        program = slash + 1;
    meaning = find_phrase(err->msg);
    if (meaning != NULL)
        error_set(err, 0, "QEMU: this %s %s", program, meaning);
    else if (find_between(err->msg, "Unknown driver '", "'", driver) ||
             find_between(err->msg, "Driver '", "' is not whitelisted",
                          driver))
        error_set(err, 0, "QEMU: this %s was built without the driver '%s'",
                  program, driver);
    else
        return -1;
    err->errnum = ENOTSUP;
    return -1;
}
