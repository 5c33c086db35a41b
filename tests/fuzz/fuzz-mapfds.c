/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Fuzzes the maps that a caller passes in: any text on both of its pipes. */

#include "config.h"

#include "export/mapfds.h"
#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

/* The first byte says what is passed; the second, in units of 16 bytes, how
 * much of the rest is the map.  The rest is information.
 */
enum { IS_OF_CLUSTERS = 1, HAS_INFO = 2 };

enum {
    DISK_SIZE = 1 << 20,
    MAX_INPUT = 4096, /* a pipe takes it before anybody reads */
};

#define ENTRY(start, length, data)                                            \
    "{\"start\":" start ",\"length\":" length ",\"depth\":0,"                 \
    "\"zero\":false,\"data\":" data ",\"offset\":0}"

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\1\xff{\"virtual_size\":1048576,\"cluster_bits\":16,"
              "\"data_clusters\":[3,[5,7]]}"),
    FUZZ_SEED("\0\xff[" ENTRY("0", "65536", "true") "," ENTRY("65536",
                                                              "983040",
                                                              "false") "]"),
    /* 144 bytes of map */
    FUZZ_SEED("\2\x9[" ENTRY("0", "65536", "true") "," ENTRY(
        "65536", "983040",
        "false") "]      "
                 "{\"virtual-size\":1048576,\"cluster-size\":65536,"
                 "\"format-specific\":{\"data\":{\"extended-l2\":true}}}"),
};

/* The end to read from of a pipe with these bytes, and then nothing. */
static int pipe_with(const uint8_t *data, size_t size)
{
    int fds[2];

    MUST(pipe2(fds, O_CLOEXEC) == 0);
    MUST(write(fds[1], data, size) == (ssize_t)size);
    close(fds[1]);
    return fds[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct extents extents = {0};
    struct mapfds map = {
        .role = "source",
        .info_fd = -1,
        .disk_size = DISK_SIZE,
        .data = &extents,
    };
    struct error err = {0};
    uint64_t end = 0;
    size_t length;
    int r;

    if (size < 2 || size > MAX_INPUT)
        return 0;
    length = (size_t)data[1] * 16 < size - 2 ? data[1] * 16 : size - 2;
    map.is_of_clusters = (data[0] & IS_OF_CLUSTERS) != 0;
    map.map_fd = pipe_with(data + 2, length);
    if (!map.is_of_clusters && data[0] & HAS_INFO)
        map.info_fd = pipe_with(data + 2 + length, size - 2 - length);
    r = mapfds_read(&map, 1, &err);
    MUST(r == 0 || r == -1);
    MUST((r == -1) == (err.msg[0] != '\0'));
    for (size_t i = 0; r == 0 && i < extents.count; i++) {
        MUST(i == 0 || extents.list[i].disk_offset > end);
        MUST(extents.list[i].length > 0);
        end = extent_end(&extents.list[i]);
        MUST(end <= DISK_SIZE);
    }
    extents_clear(&extents);
    close(map.map_fd);
    if (map.info_fd != -1)
        close(map.info_fd);
    return 0;
}

FUZZ_MAIN(seeds)
