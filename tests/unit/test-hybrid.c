/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests how the names of sources that have several parts are taken apart. */

#include "config.h"

#include "base/cleanup.h"
#include "cli/hybrid.h"
#include "test.h"

#include <fcntl.h>

enum { MAX_FILES = 3 };

/* Makes files where we are, or removes them.  A list ends with NULL. */
static void set_files(const char *const files[MAX_FILES], bool are_there)
{
    for (size_t i = 0; i < MAX_FILES && files[i] != NULL; i++) {
        int fd;

        if (!are_there) {
            unlink(files[i]);
            continue;
        }
        fd = open(files[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        test_require(fd != -1, "open");
        close(fd);
    }
}

static const struct {
    const char *name;
    const char *files[MAX_FILES];
    const char *hybrid, *device, *image; /* NULL: is none */
} pairs[] = {
    {"a colon stands between", {NULL}, "a:b", "a", "b"},
    {"paths stay as they are", {NULL}, "/dev/a:../b", "/dev/a", "../b"},
    {"the first of some colons counts", {NULL}, "a:b:c", "a", "b:c"},
    {"a device that exists may have a colon", {"a:b"}, "a:b:c", "a:b", "c"},
    {"a device that exists may have some",
     {"a:b:c"},
     "a:b:c:d:e",
     "a:b:c",
     "d:e"},
    {"of devices that exist the shorter one counts",
     {"a", "a:b"},
     "a:b:c",
     "a",
     "b:c"},
    {"a device that exists may end with a colon", {"a:"}, "a::b", "a:", "b"},
    {"a device that exists may begin with a colon", {":a"}, ":a:b", ":a", "b"},
    {"that the image exists says nothing", {"b:c", "c"}, "a:b:c", "a", "b:c"},
    {"what exists as a whole has no image", {"a:b"}, "a:b", "a", "b"},
    {"a device's name is not looked for in part",
     {"a"},
     "ab:c:d",
     "ab",
     "c:d"},
    {"a directory exists, too", {NULL}, ".:a:b", ".", "a:b"},
    {"a colon is needed", {"a"}, "a", NULL, NULL},
    {"a device is needed", {NULL}, ":b", NULL, NULL},
    {"an image is needed", {NULL}, "a:", NULL, NULL},
    {"an image is needed behind what exists", {"a:b"}, "a:b:", NULL, NULL},
    {"colons alone are none", {NULL}, "::", NULL, NULL},
    {"nothing is none", {NULL}, "", NULL, NULL},
};

static void test_pairs(void)
{
    for (size_t i = 0; i < N_ELEMENTS(pairs); i++) {
        struct export_source CLEANUP(export_source) parts = {0};
        char message[200];
        struct error err = {0};

        TEST(pairs[i].name);
        set_files(pairs[i].files, true);
        snprintf(message, sizeof message,
                 "--source: '%s' is not DEVICE:IMAGE, as hybrid wants it",
                 pairs[i].hybrid);
        if (pairs[i].device == NULL)
            CHECK_FAILS(hybrid_split(pairs[i].hybrid, &parts, &err), &err,
                        message);
        else
            CHECK_OK(hybrid_split(pairs[i].hybrid, &parts, &err), &err);
        CHECK_STR(parts.device, pairs[i].device);
        CHECK_STR(parts.image_path, pairs[i].image);
        set_files(pairs[i].files, false);
    }
}

static const struct {
    const char *name;
    const char *files[MAX_FILES];
    const char *hybrid, *device, *socket_path, *export_name; /* NULL: none */
    uint64_t size;
} quartets[] = {
    {"colons stand between", {NULL}, "a:b:c:5", "a", "b", "c", 5},
    {"an export may have no name", {NULL}, "a:b::5", "a", "b", "", 5},
    {"an export may have colons", {NULL}, "a:b:c:d:5", "a", "b", "c:d", 5},
    {"an export may be a number", {NULL}, "a:b:7:5", "a", "b", "7", 5},
    {"an export may end with a colon", {NULL}, "a:b:c::5", "a", "b", "c:", 5},
    {"a disk may be empty", {NULL}, "a:b:c:0", "a", "b", "c", 0},
    {"a size may have zeroes before it",
     {NULL},
     "a:b:c:010",
     "a",
     "b",
     "c",
     10},
    {"the largest size fits",
     {NULL},
     "a:b:c:9223372036854775807",
     "a",
     "b",
     "c",
     INT64_MAX},
    {"a device that exists may have a colon",
     {"a:b"},
     "a:b:c:d:5",
     "a:b",
     "c",
     "d",
     5},
    {"a socket that exists may have a colon",
     {"b:c"},
     "a:b:c:d:5",
     "a",
     "b:c",
     "d",
     5},
    {"both may have some",
     {"a:a:", ":b:b"},
     "a:a:::b:b:c:5",
     "a:a:",
     ":b:b",
     "c",
     5},
    {"what exists does not take the size's colon",
     {"a:b:c:5"},
     "a:b:c:5",
     "a",
     "b",
     "c",
     5},
    {"three parts are too few", {NULL}, "a:b:5", NULL, NULL, NULL, 0},
    {"two parts are too few", {NULL}, "a:5", NULL, NULL, NULL, 0},
    {"a size alone is too little", {NULL}, "5", NULL, NULL, NULL, 0},
    {"nothing is too little", {NULL}, "", NULL, NULL, NULL, 0},
    {"what exists can leave too few parts",
     {"a:b"},
     "a:b:c:5",
     NULL,
     NULL,
     NULL,
     0},
    {"a device is needed", {NULL}, ":b:c:5", NULL, NULL, NULL, 0},
    {"a socket is needed", {NULL}, "a::c:5", NULL, NULL, NULL, 0},
    {"a size is needed", {NULL}, "a:b:c:", NULL, NULL, NULL, 0},
    {"a size is a number", {NULL}, "a:b:c:d", NULL, NULL, NULL, 0},
    {"a size has no unit", {NULL}, "a:b:c:5K", NULL, NULL, NULL, 0},
    {"a size has no sign", {NULL}, "a:b:c:+5", NULL, NULL, NULL, 0},
    {"a size is not negative", {NULL}, "a:b:c:-5", NULL, NULL, NULL, 0},
    {"a size has no blank", {NULL}, "a:b:c: 5", NULL, NULL, NULL, 0},
    {"2^63 is too large",
     {NULL},
     "a:b:c:9223372036854775808",
     NULL,
     NULL,
     NULL,
     0},
    {"a size that wraps around is too large",
     {NULL},
     "a:b:c:18446744073709551621",
     NULL,
     NULL,
     NULL,
     0},
};

static void test_quartets(void)
{
    for (size_t i = 0; i < N_ELEMENTS(quartets); i++) {
        struct export_source parts = {0};
        struct error err = {0};
        char message[200];

        TEST(quartets[i].name);
        set_files(quartets[i].files, true);
        snprintf(message, sizeof message,
                 "source: '%s' is not DEVICE:NBD-SOCKET:EXPORT:SIZE",
                 quartets[i].hybrid);
        if (quartets[i].device == NULL)
            CHECK_FAILS(hybrid_split_nbd(quartets[i].hybrid, &parts, &err),
                        &err, message);
        else if (CHECK_OK(hybrid_split_nbd(quartets[i].hybrid, &parts, &err),
                          &err))
            CHECK_UINT(parts.size, quartets[i].size);
        CHECK_STR(parts.device, quartets[i].device);
        CHECK_STR(parts.socket_path, quartets[i].socket_path);
        CHECK_STR(parts.export_name, quartets[i].export_name);
        export_source_clear(&parts);
        CHECK_STR(parts.device, NULL);
        export_source_clear(&parts); /* once more does no harm */
        set_files(quartets[i].files, false);
    }
}

int main(void)
{
    test_begin();
    test_require(chdir(test_dir()) == 0, "chdir");
    test_pairs();
    test_quartets();
    return test_end();
}
