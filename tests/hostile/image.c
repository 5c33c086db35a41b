/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A qcow2 image in memory, and where its tables are. */

#include "config.h"

#include "image.h"

#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const struct field fields[N_FIELDS] = {
    [F_MAGIC] = {"magic", 0, 4},
    [F_VERSION] = {"version", 4, 4},
    [F_BACKING_OFFSET] = {"backing_file_offset", 8, 8},
    [F_BACKING_SIZE] = {"backing_file_size", 16, 4},
    [F_CLUSTER_BITS] = {"cluster_bits", 20, 4},
    [F_SIZE] = {"size", 24, 8},
    [F_CRYPT] = {"crypt_method", 32, 4},
    [F_L1_SIZE] = {"l1_size", 36, 4},
    [F_L1_OFFSET] = {"l1_table_offset", 40, 8},
    [F_REFCOUNT_OFFSET] = {"refcount_table_offset", 48, 8},
    [F_REFCOUNT_CLUSTERS] = {"refcount_table_clusters", 56, 4},
    [F_SNAPSHOTS] = {"nb_snapshots", 60, 4},
    [F_SNAPSHOTS_OFFSET] = {"snapshots_offset", 64, 8},
    [F_INCOMPATIBLE] = {"incompatible_features", 72, 8},
    [F_COMPATIBLE] = {"compatible_features", 80, 8},
    [F_AUTOCLEAR] = {"autoclear_features", 88, 8},
    [F_REFCOUNT_ORDER] = {"refcount_order", 96, 4},
    [F_HEADER_LENGTH] = {"header_length", 100, 4},
    [F_COMPRESSION] = {"compression_type", 104, 1},
};

const char *const place_names[N_PLACE_KINDS] = {
    [PLACE_L1] = "L1 entry",
    [PLACE_L2] = "L2 entry",
    [PLACE_REFCOUNT_TABLE] = "refcount table entry",
    [PLACE_REFCOUNT_BLOCK] = "refcounts",
    [PLACE_SNAPSHOT] = "snapshot table",
    [PLACE_BITMAP] = "bitmap tables",
    [PLACE_EXTENSION] = "header extension",
};

#define EXTENSION_BITMAPS UINT64_C(0x23852875)

/* More of one table are not remembered. */
enum { MOST_PLACES = 4096 };

struct image image_read(const char *path)
{
    struct image image = {0};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd == -1 || fstat(fd, &st) == -1)
        err(EXIT_FAILURE, "%s", path);
    image.size = st.st_size;
    image.bytes = malloc(image.size > 0 ? image.size : 1);
    if (image.bytes == NULL)
        err(EXIT_FAILURE, "%s", path);
    for (size_t done = 0; done < image.size;) {
        ssize_t n = read(fd, image.bytes + done, image.size - done);

        if (n <= 0)
            err(EXIT_FAILURE, "%s", path);
        done += n;
    }
    close(fd);
    return image;
}

uint64_t image_get(const struct image *image, uint64_t at, size_t width)
{
    uint64_t value = 0;

    for (size_t i = 0; i < width; i++)
        value = value << 8 | (at < image->size && i < image->size - at
                                  ? image->bytes[at + i]
                                  : 0);
    return value;
}

void image_put(struct image *image, uint64_t at, size_t width, uint64_t value)
{
    for (size_t i = width; i-- > 0; value >>= 8)
        if (at < image->size && i < image->size - at)
            image->bytes[at + i] = value;
}

uint64_t image_field(const struct image *image, enum field_number field)
{
    return image_get(image, fields[field].at, fields[field].width);
}

struct geometry image_geometry(const struct image *image)
{
    struct geometry g = {
        .virtual_size = image_field(image, F_SIZE) / 512 * 512,
        .l1_offset = image_field(image, F_L1_OFFSET),
        .l1_entries = image_field(image, F_L1_SIZE),
        .refcount_offset = image_field(image, F_REFCOUNT_OFFSET),
        .entry = 8,
        .bits = image_field(image, F_CLUSTER_BITS),
        .version = image_field(image, F_VERSION),
    };

    if (g.bits < 9 || g.bits > 21)
        return g;
    if (g.version >= 3 &&
        image_field(image, F_INCOMPATIBLE) & INCOMPATIBLE_EXTENDED_L2)
        g.entry = 16;
    g.cluster = UINT64_C(1) << g.bits;
    g.window = g.cluster / g.entry * g.cluster;
    g.refcount_length = image_field(image, F_REFCOUNT_CLUSTERS) * g.cluster;
    return g;
}

void image_compressed_range(const struct geometry *g, uint64_t entry,
                            uint64_t *from, uint64_t *to)
{
    unsigned shift = 62 - (g->bits - 8);
    uint64_t sectors =
        (entry >> shift & ((UINT64_C(1) << (g->bits - 8)) - 1)) + 1;

    *from = entry & ((UINT64_C(1) << shift) - 1);
    *to = *from / 512 * 512 + sectors * 512;
}

/* Adds length bytes from at on, as numbers of step bytes. */
static void add(struct places *p, uint64_t at, uint64_t length, unsigned step)
{
    for (uint64_t n = 0; n < length / step && p->count < MOST_PLACES; n++) {
        if (p->count % 256 == 0)
            p->at = realloc(p->at, (p->count + 256) * sizeof *p->at);
        if (p->at == NULL)
            err(EXIT_FAILURE, "places");
        p->at[p->count++] = at + n * step;
    }
}

/* The L2 tables of an L1 table, as far as the disk goes. */
static void add_tables(const struct image *image, const struct geometry *g,
                       uint64_t l1, uint64_t l1_entries,
                       struct places places[])
{
    uint64_t entries = (g->virtual_size + g->cluster - 1) / g->cluster;
    uint64_t in_table = g->cluster / g->entry;

    add(&places[PLACE_L1], l1, l1_entries * 8, 8);
    for (uint64_t i = 0; i < l1_entries && i * in_table < entries; i++) {
        uint64_t table = image_get(image, l1 + i * 8, 8) & ENTRY_OFFSET;
        uint64_t n = entries - i * in_table;

        if (table != 0)
            add(&places[PLACE_L2], table,
                (n < in_table ? n : in_table) * g->entry, 8);
    }
}

static void add_snapshots(const struct image *image, const struct geometry *g,
                          struct places places[])
{
    uint64_t at = image_field(image, F_SNAPSHOTS_OFFSET);

    for (uint64_t n = image_field(image, F_SNAPSHOTS); n > 0; n--) {
        uint64_t length = 40 + image_get(image, at + 36, 4) +
                          image_get(image, at + 12, 2) +
                          image_get(image, at + 14, 2);

        add(&places[PLACE_SNAPSHOT], at, 64, 4);
        add_tables(image, g, image_get(image, at, 8),
                   image_get(image, at + 8, 4), places);
        at += (length + 7) / 8 * 8;
    }
}

static void add_extensions(const struct image *image, struct places places[])
{
    uint64_t at = 72, type, length;

    if (image_field(image, F_VERSION) >= 3)
        at = image_field(image, F_HEADER_LENGTH);
    do {
        type = image_get(image, at, 4);
        length = image_get(image, at + 4, 4);
        add(&places[PLACE_EXTENSION], at, 8 + (length < 24 ? length : 24), 4);
        if (type == EXTENSION_BITMAPS) {
            uint64_t directory = image_get(image, at + 24, 8);

            add(&places[PLACE_BITMAP], directory, 24, 8);
            add(&places[PLACE_BITMAP], image_get(image, directory, 8), 16, 8);
        }
        at += 8 + (length + 7) / 8 * 8;
    } while (type != 0 && at < image->size);
}

void image_find_places(const struct image *image,
                       struct places places[N_PLACE_KINDS])
{
    struct geometry g = image_geometry(image);

    if (g.cluster == 0)
        errx(EXIT_FAILURE, "a seed is no valid image");
    add_tables(image, &g, g.l1_offset, g.l1_entries, places);
    add(&places[PLACE_REFCOUNT_TABLE], g.refcount_offset, 32, 8);
    add(&places[PLACE_REFCOUNT_BLOCK], image_get(image, g.refcount_offset, 8),
        128, 8);
    add_snapshots(image, &g, places);
    add_extensions(image, places);
}
