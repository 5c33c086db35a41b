/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the maps that a caller passes in on pipes. */

#include "config.h"

#include "base/io.h"
#include "base/signals.h"
#include "export/mapfds.h"
#include "test.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>

enum { MAX_MAPS = IO_POLLED / 2, MAX_PIPES = 2 * MAX_MAPS };

#define DISK (UINT64_C(64) << 20)

/* Of each pipe: less than the texts are long, and as short texts do for that,
 * valgrind is done sooner.
 */
enum { PIPE_SIZE = 16384 };

/* --------------------------------------------------------------- pipes */

/* Texts that a thread writes, each into a pipe of its own: piece by piece,
 * the pipes in turn, or one after the other.
 */
struct writer {
    pthread_t thread;
    size_t count;
    struct {
        int fd;
        const char *text;
        size_t length, done;
    } pipes[MAX_PIPES]; /* in the order in which they are written */
    size_t piece;       /* 0: each as a whole */
};

static void *write_texts(void *opaque)
{
    struct writer *w = opaque;

    for (size_t left = w->count; left > 0;) {
        for (size_t i = 0; i < w->count; i++) {
            size_t rest = w->pipes[i].length - w->pipes[i].done;
            size_t n = w->piece == 0 ? rest : io_min(w->piece, rest);

            if (w->pipes[i].fd == -1)
                continue;
            /* The reader may have given up. */
            if (io_write_full(w->pipes[i].fd,
                              w->pipes[i].text + w->pipes[i].done, n) == 0)
                w->pipes[i].done += n;
            else
                n = rest;
            if (n == rest) {
                close(w->pipes[i].fd);
                w->pipes[i].fd = -1;
                left--;
            }
        }
    }
    return NULL;
}

/* Returns the end to read from. */
static int add_pipe(struct writer *w, const char *text, size_t length)
{
    int fds[2];

    test_require(pipe2(fds, O_CLOEXEC) == 0, "pipe2");
    test_require(fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE) == PIPE_SIZE,
                 "F_SETPIPE_SZ");
    w->pipes[w->count].fd = fds[1];
    w->pipes[w->count].text = text;
    w->pipes[w->count].length = length;
    w->count++;
    return fds[0];
}

/* Maps with their texts on pipes.  text is that of the map, info that of the
 * information; NULL: there is none.
 */
static void add_map(struct writer *w, struct mapfds *map, const char *text,
                    const char *info)
{
    map->map_fd = add_pipe(w, text, strlen(text));
    map->info_fd = info == NULL ? -1 : add_pipe(w, info, strlen(info));
}

static int read_maps(struct writer *w, const struct mapfds *maps, size_t count,
                     struct error *err)
{
    int r;

    pthread_create(&w->thread, NULL, write_texts, w);
    r = mapfds_read(maps, count, err);
    for (size_t i = 0; i < count; i++) {
        close(maps[i].map_fd);
        if (maps[i].info_fd != -1)
            close(maps[i].info_fd);
    }
    pthread_join(w->thread, NULL);
    return r;
}

/* --------------------------------------------------------------- orders */

/* A map whose even sectors are data, and information that is padded; both
 * are more than a pipe holds.
 */
static char *make_map(uint64_t sectors)
{
    size_t space = sectors * 100 + 3, used = 1;
    char *text = malloc(space);

    test_require(text != NULL, "malloc");
    text[0] = '[';
    for (uint64_t i = 0; i < sectors; i++)
        used += snprintf(text + used, space - used,
                         "%s{\"start\": %" PRIu64 ", \"length\": 512, "
                         "\"depth\": 0, \"zero\": %s, \"data\": %s}",
                         i == 0 ? "" : ",\n", i * 512,
                         i % 2 == 0 ? "false" : "true",
                         i % 2 == 0 ? "true" : "false");
    snprintf(text + used, space - used, "]");
    return text;
}

static char *make_info(uint64_t disk_size, size_t length)
{
    char *text = malloc(length + 1);
    int used;

    test_require(text != NULL, "malloc");
    used =
        snprintf(text, length + 1, "{\"virtual-size\": %" PRIu64, disk_size);
    memset(text + used, ' ', length - used);
    text[length - 1] = '}';
    text[length] = '\0';
    return text;
}

enum { SECTORS = 400, SECTORS_OF_BASE = 300 };

static void check_data(struct extents *data, uint64_t sectors)
{
    CHECK_UINT(data->count, (sectors + 1) / 2);
    for (size_t i = 0; i < data->count; i++) {
        CHECK_UINT(data->list[i].disk_offset, i * 1024);
        CHECK_UINT(data->list[i].length, 512);
    }
    extents_clear(data);
}

/* The order of the four pipes that number, below 4!, stands for. */
static void reorder(struct writer *w, unsigned number)
{
    for (size_t i = w->count; i > 1; i--) {
        size_t j = number % i;
        __typeof__(w->pipes[0]) swapped = w->pipes[j];

        number /= i;
        w->pipes[j] = w->pipes[i - 1];
        w->pipes[i - 1] = swapped;
    }
}

static void test_orders(void)
{
    char *map = make_map(SECTORS), *base_map = make_map(SECTORS_OF_BASE);
    char *info = make_info(SECTORS * 512, 25000);
    char *base_info = make_info(SECTORS_OF_BASE * 512, 17500);

    test_require(strlen(base_map) > PIPE_SIZE && strlen(base_info) > PIPE_SIZE,
                 "short texts");
    TEST("maps and information may be written in any order, or together");
    for (unsigned order = 0; order < 24 + 4; order++) {
        static const size_t pieces[4] = {7, 4096, 12500, PIPE_SIZE};
        struct extents data = {0}, base_data = {0};
        struct mapfds maps[2] = {
            {.role = "source", .disk_size = SECTORS * 512, .data = &data},
            {.role = "base",
             .disk_size = SECTORS_OF_BASE * 512,
             .data = &base_data},
        };
        struct writer w = {.piece = order < 24 ? 0 : pieces[order - 24]};
        struct error err;

        add_map(&w, &maps[0], map, info);
        add_map(&w, &maps[1], base_map, base_info);
        reorder(&w, order);
        CHECK_OK(read_maps(&w, maps, 2, &err), &err);
        check_data(&data, SECTORS);
        check_data(&base_data, SECTORS_OF_BASE);
    }

    TEST("there may be as many maps as can be waited for");
    for (unsigned run = 0; run < 10; run++) {
        struct extents data[MAX_MAPS] = {{0}};
        struct mapfds maps[MAX_MAPS];
        struct writer w = {0};
        struct error err;

        for (size_t i = 0; i < MAX_MAPS; i++) {
            maps[i] = (struct mapfds){.role = "source",
                                      .disk_size = SECTORS * 512,
                                      .data = &data[i]};
            add_map(&w, &maps[i], map, i % 2 == 0 ? info : NULL);
        }
        reorder(&w, test_random(UINT32_MAX));
        CHECK_OK(read_maps(&w, maps, MAX_MAPS, &err), &err);
        for (size_t i = 0; i < MAX_MAPS; i++)
            check_data(&data[i], SECTORS);
    }
    free(map);
    free(base_map);
    free(info);
    free(base_info);
}

/* --------------------------------------------------------------- texts */

#define ENTRY(start, length, zero, data)                                      \
    "{\"start\": " start ", \"length\": " length ", \"depth\": 0, "           \
    "\"zero\": " zero ", \"data\": " data ", \"offset\": 327680}"
#define DATA(start, length) ENTRY(start, length, "false", "true")
#define ZERO(start, length) ENTRY(start, length, "true", "true")
#define HOLE(start, length) ENTRY(start, length, "true", "false")

#define SIZE(size) "{\"virtual-size\": " size ", \"format\": \"qcow2\"}"
#define ALL "[" DATA("0", "67108864") "]"

enum { MAX_LIST = 4 };

/* For a disk of 64 MiB.  A list of extents ends with an empty one. */
static const struct {
    const char *name, *map, *info;
    struct extent data[MAX_LIST];
} good[] = {
    {"a map alone is enough", ALL, NULL, {{0, DISK}}},
    {"information may come with it", ALL, SIZE("67108864"), {{0, DISK}}},
    {"information may have a newline behind it",
     ALL,
     SIZE("67108864") "\n",
     {{0, DISK}}},
    {"an empty disk has no data", "[" HOLE("0", "67108864") "]", NULL, {{0}}},
    {"what reads as zeroes is no data",
     "[" ZERO("0", "67108864") "]",
     NULL,
     {{0}}},
    {"what touches is one range",
     "[" DATA("0", "65536") "," DATA("65536",
                                     "65536") "," HOLE("131072",
                                                       "66977792") "]",
     NULL,
     {{0, 131072}}},
    {"what lies apart is not",
     "[" DATA("0", "512") "," ZERO("512", "512") "," DATA(
         "1024", "512") "," HOLE("1536", "67107328") "]",
     NULL,
     {{0, 512}, {1024, 512}}},
    {"a disk may end inside of a sector",
     "[" HOLE("0", "67108352") "," DATA("67108352", "1") "]",
     SIZE("67108353"),
     {{67108352, 1}}},
    {"only one of the two may say so",
     "[" HOLE("0", "67108353") "]",
     SIZE("67108864"),
     {{0}}},
};

static void test_good(void)
{
    for (size_t i = 0; i < N_ELEMENTS(good); i++) {
        struct extents data = {0};
        struct mapfds map = {.role = "x", .disk_size = DISK, .data = &data};
        struct writer w = {0};
        struct error err;
        size_t n = 0;

        TEST(good[i].name);
        add_map(&w, &map, good[i].map, good[i].info);
        CHECK_OK(read_maps(&w, &map, 1, &err), &err);
        for (; n < MAX_LIST && good[i].data[n].length > 0; n++) {
            if (!CHECK(n < data.count))
                break;
            CHECK_UINT(data.list[n].disk_offset, good[i].data[n].disk_offset);
            CHECK_UINT(data.list[n].length, good[i].data[n].length);
        }
        CHECK_UINT(data.count, n);
        extents_clear(&data);
    }
}

#define DIFFERS(what, size)                                                   \
    "the device has 67108864 bytes, but its " what " describes a disk of " size

/* message stands behind "x: ", and with is_fd behind the fd, too, which is the
 * map's or the information's.
 */
static const struct {
    const char *name, *map, *info;
    enum { NO_FD, MAP_FD, INFO_FD } fd;
    const char *message;
} bad[] = {
    {"a map must not be empty", "", NULL, MAP_FD,
     "map ends early, after 0 entries"},
    {"a map must not be blank", " \n", SIZE("67108864"), MAP_FD,
     "map ends early, after 0 entries"},
    {"a map must not break off", "[" DATA("0", "67108864"), NULL, MAP_FD,
     "map ends early, after 1 entries"},
    {"a map must be an array", SIZE("67108864"), NULL, MAP_FD,
     "unexpected '{' after 0 map entries"},
    {"a map must be JSON", "Offset          Length", NULL, MAP_FD,
     "unexpected 'O' after 0 map entries"},
    {"nothing must stand behind a map", ALL "]", NULL, MAP_FD,
     "unexpected ']' after 1 map entries"},
    {"a map must not have gaps",
     "[" DATA("0", "512") "," DATA("1024", "67107840") "]", NULL, MAP_FD,
     "map entry 1 begins at disk offset 1024, not at 512"},
    {"a map must begin with the disk", "[" DATA("512", "67108352") "]", NULL,
     MAP_FD, "map begins at disk offset 512"},
    {"a map must have entries", "[]", NULL, NO_FD, DIFFERS("map", "0")},
    {"a map must not be too short", "[" DATA("0", "67108352") "]", NULL, NO_FD,
     DIFFERS("map", "67108352")},
    {"a map must not be too long", "[" DATA("0", "67108865") "]", NULL, NO_FD,
     DIFFERS("map", "67108865")},
    {"a map's size is looked at whatever information says",
     "[" HOLE("0", "65536") "]", SIZE("67108864"), NO_FD,
     DIFFERS("map", "65536")},
    {"data behind the end is a disk too long",
     "[" HOLE("0", "67108864") "," DATA("67108864", "67108864") "]", NULL,
     NO_FD, DIFFERS("map", "134217728")},
    {"information must not be empty", ALL, "", INFO_FD,
     "image information is not a JSON object"},
    {"information must be JSON", ALL, "image: /a", INFO_FD,
     "image information is not a JSON object"},
    {"information must not break off", ALL, "{\"virtual-size\": 67108864",
     INFO_FD, "image information is not a JSON object"},
    {"information is not a map", ALL, ALL, INFO_FD,
     "image information is not a JSON object"},
    {"information must tell the size", ALL, "{\"format\": \"raw\"}", INFO_FD,
     "image information lacks virtual-size"},
    {"information must tell the same size", ALL, SIZE("67109376"), NO_FD,
     DIFFERS("information", "67109376")},
    {"information must tell no smaller size", ALL, SIZE("67108352"), NO_FD,
     DIFFERS("information", "67108352")},
};

static void test_bad(void)
{
    for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
        struct extents data = {0};
        struct mapfds map = {.role = "x", .disk_size = DISK, .data = &data};
        struct writer w = {0};
        struct error err = {0};
        char message[200], where[40] = "";

        TEST(bad[i].name);
        add_map(&w, &map, bad[i].map, bad[i].info);
        if (bad[i].fd != NO_FD)
            snprintf(where, sizeof where, "fd %d: ",
                     bad[i].fd == MAP_FD ? map.map_fd : map.info_fd);
        snprintf(message, sizeof message, "x: %s%s", where, bad[i].message);
        CHECK_FAILS(read_maps(&w, &map, 1, &err), &err, message);
        extents_clear(&data);
    }
}

static void test_second_is_bad(void)
{
    struct extents data = {0}, base_data = {0};
    struct mapfds maps[2] = {
        {.role = "source", .disk_size = DISK, .data = &data},
        {.role = "base", .disk_size = DISK + 512, .data = &base_data},
    };
    struct writer w = {0};
    struct error err = {0};

    TEST("a message says whose map it is");
    add_map(&w, &maps[0], ALL, SIZE("67108864"));
    add_map(&w, &maps[1], ALL, NULL);
    CHECK_FAILS(read_maps(&w, maps, 2, &err), &err,
                "base: the device has 67109376 bytes, but its map describes a "
                "disk of 67108864");
    CHECK_UINT(extents_total(&data), DISK);
    extents_clear(&data);
    extents_clear(&base_data);
}

/* --------------------------------------------------------------- limits */

static void test_limits(void)
{
    char *info = make_info(DISK, 2 << 20);
    struct extents data = {0};
    struct mapfds map = {.role = "x", .disk_size = DISK, .data = &data};
    struct writer w = {0};
    struct error err = {0};

    TEST("information may be of any length");
    add_map(&w, &map, ALL, info);
    CHECK_OK(read_maps(&w, &map, 1, &err), &err);
    extents_clear(&data);
    free(info);
}

static void test_fds(void)
{
    struct extents data = {0};
    struct mapfds map = {.role = "x",
                         .info_fd = -1,
                         .disk_size = DISK,
                         .data = &data};
    struct error err = {0};
    char message[100];

    TEST("no maps are read at once");
    CHECK_OK(mapfds_read(NULL, 0, &err), &err);

    TEST("a map may be in a file");
    map.map_fd = test_file();
    CHECK_INT(io_write_full(map.map_fd, ALL, strlen(ALL)), 0);
    lseek(map.map_fd, 0, SEEK_SET);
    CHECK_OK(mapfds_read(&map, 1, &err), &err);
    CHECK_UINT(extents_total(&data), DISK);
    extents_clear(&data);
    close(map.map_fd);

    TEST("what cannot be read is named");
    map.map_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    snprintf(message, sizeof message, "x: fd %d is write-only", map.map_fd);
    CHECK_FAILS(mapfds_read(&map, 1, &err), &err, message);
    close(map.map_fd);
}

/* Its writer is silent. */
static void be_signalled(void)
{
    struct mapfds map = {.role = "x", .info_fd = -1, .disk_size = DISK};
    struct error err = {0};
    int fds[2];

    CHECK_OK(signals_open(&err), &err);
    test_require(pipe2(fds, O_CLOEXEC) == 0, "pipe2");
    map.map_fd = fds[0];
    raise(SIGTERM);
    CHECK_FAILS(mapfds_read(&map, 1, &err), &err,
                "x: map: Interrupted system call");
}

int main(void)
{
    test_begin();
    signal(SIGPIPE, SIG_IGN);
    test_orders();
    test_good();
    test_bad();
    test_second_is_bad();
    test_limits();
    test_fds();
    TEST("a signal ends the wait for a map");
    test_in_child(be_signalled);
    return test_end();
}
