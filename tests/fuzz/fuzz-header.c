/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Fuzzes what is read of an image's header: names, extensions. */

#include "config.h"

#include "base/compat.h"
#include "fuzz.h"
#include "qemu/header.h"

#include <string.h>
#include <unistd.h>

#define BEGINNING "QFI\xfb\0\0\0\3"
#define SIZES                                                                 \
    "\0\0\0\x10\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0\3\0\0"            \
    "\0\0\0\0\0\1\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0"
#define LENGTH "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\4\0\0\0\x70"

static const struct fuzz_seed seeds[] = {
    /* a backing file "base" at 144, and its format */
    FUZZ_SEED(BEGINNING "\0\0\0\0\0\0\0\x90\0\0\0\4" SIZES
                        "\0\0\0\0\0\0\0\0" LENGTH "\0\0\0\0\0\0\0\0"
                        "\xe2\x79\x2a\xca\0\0\0\3raw\0\0\0\0\0"
                        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0base"),
    /* a data file, and an extension that nobody knows */
    FUZZ_SEED(BEGINNING "\0\0\0\0\0\0\0\0\0\0\0\0" SIZES
                        "\0\0\0\0\0\0\0\4" LENGTH "\0\0\0\0\0\0\0\0"
                        "\x12\x34\x56\x78\0\0\0\2ab\0\0\0\0\0\0"
                        "\x44\x41\x54\x41\0\0\0\5d.raw\0\0\0"
                        "\0\0\0\0\0\0\0\0"),
    /* version 2 */
    FUZZ_SEED("QFI\xfb\0\0\0\2\0\0\0\0\0\0\0\x60\0\0\0\3" SIZES
              "\xe2\x79\x2a\xca\0\0\0\5qcow2\0\0\0\0\0\0\0\0\0\0\0abc"),
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct header_image image = {0};
    struct error err = {0};
    int r;

    if (fd == -1)
        fd = compat_memfd_create("image", MFD_CLOEXEC);
    MUST(fd != -1 && ftruncate(fd, 0) == 0);
    MUST(pwrite(fd, data, size, 0) == (ssize_t)size);
    r = header_read(fd, &image, &err);
    MUST(r == 0 || r == -1);
    MUST((r == -1) == (err.msg[0] != '\0'));
    if (r == 0) {
        MUST(image.virtual_size % 512 == 0);
        MUST(image.cluster_size >= 512 && image.cluster_size <= 2 << 20);
        MUST(image.backing_file == NULL || image.backing_file[0] != '\0');
        MUST(image.backing_file == NULL || strlen(image.backing_file) < size);
    }
    header_image_clear(&image);
    return 0;
}

FUZZ_MAIN(seeds)
