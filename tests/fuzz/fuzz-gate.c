/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Fuzzes the gate: any header, and the beginning of a stream around it. */

#include "config.h"

#include "fuzz.h"
#include "import/gate.h"

#include <string.h>

/* The first byte says how the stream is cut when it is cleaned. */
#define MAGIC "QFI\xfb"
#define NO_BACKING_FILE "\0\0\0\0\0\0\0\0\0\0\0\0"

static const struct fuzz_seed seeds[] = {
    /* version 3, clusters of 64 KiB, 1 GiB; an extension */
    FUZZ_SEED("\5" MAGIC "\0\0\0\3" NO_BACKING_FILE "\0\0\0\20"
              "\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0\3\0\0"
              "\0\0\0\0\0\1\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0"
              "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
              "\0\0\0\4\0\0\0\x70\0\0\0\0\0\0\0\0\x68\x03\xf8\x57\0\0\0\x08"
              "12345678"),
    /* version 2, clusters of 512 bytes, 1 MiB, 2 snapshots */
    FUZZ_SEED("\1" MAGIC "\0\0\0\2" NO_BACKING_FILE "\0\0\0\x09"
              "\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\x20\0\0\0\0\0\0\6\0"
              "\0\0\0\0\0\0\2\0\0\0\0\1\0\0\0\2\0\0\0\0\0\0\x10\0"
              "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
              "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    /* version 3, clusters of 2 MiB with subclusters, zstd, dirty */
    FUZZ_SEED("\xff" MAGIC "\0\0\0\3" NO_BACKING_FILE "\0\0\0\x15"
              "\0\0\1\0\0\0\2\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\x60\0\0"
              "\0\0\0\0\0\x20\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0"
              "\0\0\0\0\0\0\0\x19\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\3"
              "\0\0\0\6\0\0\0\x70\1\0\0\0\0\0\0\0"),
};

static uint64_t get(const uint8_t *data, size_t length)
{
    uint64_t value = 0;

    while (length-- > 0)
        value = value << 8 | *data++;
    return value;
}

static void check_image(const uint8_t *header, const struct gate_image *image)
{
    uint64_t cs = image->cluster_size, size = get(header + 24, 8);

    MUST(memcmp(header, MAGIC, 4) == 0);
    MUST(get(header + 4, 4) == 2 || get(header + 4, 4) == 3);
    /* A place without a length names no backing file. */
    MUST(get(header + 8, 8) == 0 || get(header + 16, 4) == 0);
    MUST(get(header + 32, 4) == 0);
    MUST(cs >= 512 && cs <= 2 << 20 && (cs & (cs - 1)) == 0);
    MUST(image->window == cs * (cs / 8) || image->window == cs * (cs / 16));
    MUST(image->virtual_size <= size && size - image->virtual_size < 512);
    MUST(image->virtual_size % 512 == 0);
    MUST(image->virtual_size <= image->window * get(header + 36, 4));
    MUST(get(header + 36, 4) <= (32 << 20) / 8);
    MUST(image->header_length >= 72 && image->header_length <= cs);
}

/* The same stream cleaned at once and in pieces, from memory with nothing
 * around it.
 */
static void check_clean(const struct gate_image *image, const uint8_t *data,
                        size_t size, size_t piece)
{
    uint8_t *whole = malloc(size), *cut = malloc(size);
    struct gate_image again;
    struct error err;

    MUST(whole != NULL && cut != NULL);
    memcpy(whole, data, size);
    gate_clean(image, 0, whole, size);
    for (size_t done = 0, n = GATE_HEADER; done < size; done += n, n = piece) {
        uint8_t *copy;

        n = n < size - done ? n : size - done;
        copy = malloc(n);
        MUST(copy != NULL);
        memcpy(copy, data + done, n);
        gate_clean(image, done, copy, n);
        memcpy(cut + done, copy, n);
        free(copy);
    }
    MUST(memcmp(whole, cut, size) == 0);
    MUST(gate_check(whole, GATE_HEADER, &again, &err) == 0);
    MUST(memcmp(&again, image, sizeof again) == 0);
    MUST(get(whole + 60, 4) == 0);
    MUST(image->header_length < 104 || get(whole + 88, 8) == 0);
    MUST(image->header_length < 104 || (whole[79] & 1) == 0);
    free(whole);
    free(cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gate_image image;
    struct error err = {0};
    size_t length;
    uint8_t *header;
    int r;

    if (size == 0)
        return 0;
    length = size - 1 < GATE_HEADER ? size - 1 : GATE_HEADER;
    header = malloc(length > 0 ? length : 1);
    MUST(header != NULL);
    memcpy(header, data + 1, length);
    r = gate_check(header, length, &image, &err);
    MUST(r == 0 || r == -1);
    MUST((r == -1) == (err.msg[0] != '\0'));
    if (r == 0) {
        MUST(length == GATE_HEADER);
        check_image(header, &image);
        check_clean(&image, data + 1, size - 1, 1 + data[0]);
    }
    free(header);
    return 0;
}

FUZZ_MAIN(seeds)
