/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What lies where in a qcow2 file. */

#include "config.h"

#include "base/io.h"
#include "base/lock.h"
#include "nbd/anatomy.h"
#include "nbd/map.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* QEMU takes what is behind the end of a file for zeroes.  So it is told of a
 * longer one, and what it reads there is missing.
 */
#define LONGEST_FILE (UINT64_C(1) << 56)

/* So many pieces of data, zeroes and tables are kept, in some 200 MiB.  Of
 * tables that are used over and over again there would be no end.
 */
#define MOST_PIECES (UINT64_C(1) << 22)

/* What is known while QEMU maps.  It reads in the bridge's thread, and what it
 * says comes in ours.
 */
struct watch {
    struct anatomy *a;
    int fd;
    uint64_t cluster;
    uint64_t last_table; /* file offset of the last L2 table read */
    uint64_t disk_end;   /* how far the map goes */

    pthread_mutex_t lock;      /* of all that follows, and of the lists of a */
    struct ranges_batch reads; /* in the order in which they came */
    struct filemap_batch data;
    bool has_failed;
    struct error failure; /* of the file, or of memory */
};

static bool is_within(uint64_t offset, uint64_t from, uint64_t length)
{
    return offset >= from && offset - from < length;
}

static uint64_t l1_length(const struct header *h)
{
    return (uint64_t)h->l1_entries * 8;
}

static uint64_t refcount_length(const struct anatomy *a)
{
    return a->header.refcount_clusters * anatomy_cluster(a);
}

/* An L2 table is being read; slices of one ascend. */
static void note_table(struct watch *w, uint64_t file_offset)
{
    struct anatomy *a = w->a;
    bool was_good = a->has_l1_first && a->has_l2_in_order;

    if (file_offset < a->header.l1_offset)
        a->has_l1_first = false;
    if (file_offset < w->last_table)
        a->has_l2_in_order = false;
    if (was_good && !(a->has_l1_first && a->has_l2_in_order))
        a->odd_table = file_offset;
    w->last_table = file_offset;
}

static int check_count(struct watch *w, struct error *err)
{
    const struct anatomy *a = w->a;
    uint64_t count = w->data.count + a->zeroes.count + a->compressed.count;
    uint64_t most = a->file_length / sizeof(uint64_t);

    LOCK_ASSERT_HELD(&w->lock);
    /* Of an entry of two words there may be 32 pieces. */
    if (a->header.incompatible_features & HEADER_EXTENDED_L2)
        most *= 16;
    if (count > most)
        return error_set(err, 0,
                         "the image has more ranges than there is room for in "
                         "its tables: one is used more than once");
    if (count + w->reads.count > MOST_PIECES)
        return error_set(err, 0,
                         "the image is in more than %" PRIu64
                         " pieces, which are too many to look at",
                         MOST_PIECES);
    return 0;
}

/* Tables lie one after the other, most of them. */
static int add_read(struct watch *w, uint64_t file_offset, uint32_t length)
{
    struct range *last =
        w->reads.count == 0 ? NULL : &w->reads.list[w->reads.count - 1];

    if (last == NULL || range_end(last) != file_offset)
        return ranges_batch_add(&w->reads, file_offset, length, &w->failure);
    last->length += length;
    return 0;
}

/* The first failure counts. */
static void note_read(struct watch *w, uint64_t file_offset, uint32_t length)
{
    LOCK_FOR_SCOPE(&w->lock);
    if (!w->has_failed)
        w->has_failed = add_read(w, file_offset, length) == -1 ||
                        check_count(w, &w->failure) == -1;
}

/* Returns errno. */
static int note_failure(struct watch *w, uint64_t file_offset)
{
    int errnum = errno;
    LOCK_FOR_SCOPE(&w->lock);

    if (!w->has_failed)
        error_set(&w->failure, errnum, "cannot read at file offset %" PRIu64,
                  file_offset);
    w->has_failed = true;
    return errnum;
}

static int watch_read(void *opaque, void *buf, uint32_t length,
                      uint64_t file_offset)
{
    struct watch *w = opaque;
    const struct header *h = &w->a->header;
    ssize_t got = 0;

    if (file_offset < w->a->file_length)
        got = io_pread_full(w->fd, buf,
                            io_min(length, w->a->file_length - file_offset),
                            file_offset);
    if (got == -1)
        return note_failure(w, file_offset);
    memset((char *)buf + got, 0, length - got);
    header_clean(h->length, w->cluster, file_offset, buf, length);
    note_read(w, file_offset, length);
    if (file_offset >= w->cluster &&
        !is_within(file_offset, h->l1_offset, l1_length(h)) &&
        !is_within(file_offset, h->refcount_offset, refcount_length(w->a)))
        note_table(w, file_offset);
    return 0;
}

static int watch_check(void *opaque, struct error *err)
{
    const struct watch *w = opaque;

    if (!w->has_failed)
        return 0;
    *err = w->failure;
    return -1;
}

static int take(void *opaque, const struct mapjson_entry *e, struct error *err)
{
    struct watch *w = opaque;

    w->disk_end = e->disk_offset + e->length;
    if (!e->is_present)
        return 0;
    LOCK_FOR_SCOPE(&w->lock);
    if (check_count(w, err) == -1)
        return -1;
    if (!mapjson_entry_has_data(e))
        return extents_append(&w->a->zeroes, e->disk_offset, e->length, err);
    if (e->has_file_offset)
        return filemap_batch_add(&w->data, e->file_offset, e->length,
                                 e->disk_offset, err);
    return extents_append(&w->a->compressed, e->disk_offset, e->length, err);
}

static int map(const struct qemu *qemu, struct watch *w, struct error *err)
{
    const struct nbd_export export = {
        .size = LONGEST_FILE,
        .read = watch_read,
        .opaque = w,
    };
    const struct nbd_shown shown = {
        .export = &export,
        .check = watch_check,
        .opaque = w,
    };
    const struct qemu_img_map request = {
        .disk_size = w->a->header.virtual_size,
        .cancel_fd = -1,
        .sink = take,
        .opaque = w,
    };
    bool is_qemus;

    if (nbd_map(qemu, &shown, &request, &is_qemus, err) == -1)
        return -1;
    if (w->disk_end != request.disk_size)
        return error_set(err, 0,
                         "QEMU: the map ends at disk offset %" PRIu64
                         ", not at %" PRIu64,
                         w->disk_end, request.disk_size);
    return filemap_merge(&w->a->map, &w->data, err) == -1 ||
                   ranges_unite(&w->a->tables, &w->reads, err) == -1
               ? -1
               : 0;
}

/* What follows from the lists. */
static void conclude(struct anatomy *a)
{
    const struct filemap *map = &a->map;
    const struct ranges *tables = &a->tables;

    a->needed_end = filemap_end(map);
    if (tables->count > 0)
        a->needed_end =
            io_max(a->needed_end, range_end(&tables->list[tables->count - 1]));
    for (size_t i = 1; i < map->count && a->has_data_in_order; i++)
        if (map->list[i].disk_offset < map->list[i - 1].disk_offset) {
            a->has_data_in_order = false;
            a->odd_data = map->list[i].file_offset;
        }
}

/* What QEMU would open another file for, or what it does not know. */
static int read_header(int fd, struct anatomy *a, struct error *err)
{
    unsigned char bytes[HEADER_BYTES] = {0};
    const struct header *h = &a->header;
    ssize_t n = io_pread_full(fd, bytes, sizeof bytes, 0);

    if (n == -1)
        return error_set(err, errno, "cannot read at file offset 0");
    if (n < HEADER_V2_LENGTH || !header_is_qcow2(bytes, n))
        return error_set(err, 0, "not a qcow2 image");
    header_parse(bytes, &a->header);
    if (h->cluster_bits < 9 || h->cluster_bits > 21)
        return error_set(err, 0, "clusters of 2^%" PRIu32 " bytes",
                         h->cluster_bits);
    if (header_has_backing(h))
        return error_set(err, 0, "it names a backing file");
    if (h->incompatible_features & HEADER_DATA_FILE)
        return error_set(err, 0, "its data is in another file");
    if (h->crypt_method != 0)
        return error_set(err, 0, "it is encrypted");
    if (h->incompatible_features & ~(uint64_t)HEADER_KNOWN_FEATURES)
        return error_set(err, 0, "it has features that nobody knows");
    return 0;
}

int anatomy_find(const struct qemu *qemu, int fd, uint64_t file_length,
                 struct anatomy *a, struct error *err)
{
    struct watch w = {.a = a, .fd = fd};
    int r;

    *a = (struct anatomy){
        .file_length = file_length,
        .has_data_in_order = true,
        .has_l1_first = true,
        .has_l2_in_order = true,
    };
    if (read_header(fd, a, err) == -1)
        return -1;
    w.cluster = anatomy_cluster(a);
    pthread_mutex_init(&w.lock, NULL);
    r = map(qemu, &w, err);
    pthread_mutex_destroy(&w.lock);
    ranges_batch_clear(&w.reads);
    filemap_batch_clear(&w.data);
    if (r == 0)
        conclude(a);
    return r;
}

uint64_t anatomy_cluster(const struct anatomy *a)
{
    return UINT64_C(1) << a->header.cluster_bits;
}

uint64_t anatomy_tables_end(const struct anatomy *a)
{
    const struct ranges *tables = &a->tables;
    const struct header *h = &a->header;
    uint64_t end = io_max(h->l1_offset + l1_length(h),
                          h->refcount_offset + refcount_length(a));

    if (tables->count > 0)
        end = io_max(end, range_end(&tables->list[tables->count - 1]));
    return IO_ROUND_UP(end, anatomy_cluster(a));
}

bool anatomy_find_data(const struct anatomy *a, uint64_t disk_offset,
                       uint64_t *file_offset)
{
    for (size_t i = 0; i < a->map.count; i++) {
        const struct filemap_entry *e = &a->map.list[i];

        *file_offset = e->file_offset + (disk_offset - e->disk_offset);
        if (is_within(disk_offset, e->disk_offset, e->length))
            return true;
    }
    return false;
}

/* Of what is no data. */
static const char *name_metadata(const struct anatomy *a, uint64_t file_offset)
{
    const struct header *h = &a->header;
    uint64_t cluster = anatomy_cluster(a);

    if (file_offset >= a->file_length)
        return "behind the end";
    if (file_offset < cluster)
        return "the header";
    if (is_within(file_offset, h->l1_offset,
                  IO_ROUND_UP(l1_length(h), cluster)))
        return "the L1 table";
    if (is_within(file_offset, h->refcount_offset, refcount_length(a)))
        return "the refcount table";
    if (ranges_has_all(&a->tables, file_offset, 1))
        return "an L2 table";
    if (a->compressed.count > 0)
        return "a refcount block or compressed data";
    return "a refcount block";
}

void anatomy_name(const struct anatomy *a, uint64_t file_offset,
                  char name[ANATOMY_NAME])
{
    uint64_t cluster = anatomy_cluster(a);
    bool is_beside_data = false;

    for (size_t i = 0; i < a->map.count; i++) {
        const struct filemap_entry *e = &a->map.list[i];
        uint64_t from = IO_ROUND_DOWN(e->file_offset, cluster);
        uint64_t to = IO_ROUND_UP(e->file_offset + e->length, cluster);

        is_beside_data |= is_within(file_offset, from, to - from);
        if (!is_within(file_offset, e->file_offset, e->length))
            continue;
        snprintf(name, ANATOMY_NAME, "data of disk offset %" PRIu64,
                 e->disk_offset + (file_offset - e->file_offset));
        return;
    }
    /* Beside data are subclusters that hold nothing. */
    snprintf(name, ANATOMY_NAME, "%s",
             is_beside_data ? "an unused part of a data cluster"
                            : name_metadata(a, file_offset));
}

void anatomy_clear(struct anatomy *a)
{
    filemap_clear(&a->map);
    extents_clear(&a->zeroes);
    extents_clear(&a->compressed);
    ranges_clear(&a->tables);
}
