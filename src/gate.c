/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decides by its header whether a stranger's image may meet QEMU. */

#include "config.h"

#include "gate.h"
#include "io.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

/* Where the header's fields are, all big-endian. */
enum {
    VERSION = 4,
    BACKING_FILE_OFFSET = 8,
    BACKING_FILE_SIZE = 16,
    CLUSTER_BITS = 20,
    SIZE = 24,
    CRYPT_METHOD = 32,
    L1_SIZE = 36,
    L1_TABLE_OFFSET = 40,
    REFCOUNT_TABLE_OFFSET = 48,
    REFCOUNT_TABLE_CLUSTERS = 56,
    NB_SNAPSHOTS = 60,
    SNAPSHOTS_OFFSET = 64,
    V2_LENGTH = 72,
    INCOMPATIBLE_FEATURES = 72,
    AUTOCLEAR_FEATURES = 88,
    REFCOUNT_ORDER = 96,
    HEADER_LENGTH = 100,
    V3_LENGTH = 104,
    COMPRESSION_TYPE = 104,
};

enum {
    INCOMPATIBLE_DIRTY = 1 << 0,
    INCOMPATIBLE_CORRUPT = 1 << 1,
    INCOMPATIBLE_DATA_FILE = 1 << 2,
    INCOMPATIBLE_COMPRESSION = 1 << 3,
    INCOMPATIBLE_EXTENDED_L2 = 1 << 4,
    INCOMPATIBLE_KNOWN = (1 << 5) - 1,
};

/* QEMU's own limits (block/qcow2.h). */
#define MAX_L1_BYTES (UINT64_C(32) << 20)
#define MAX_REFCOUNT_TABLE_BYTES (UINT64_C(8) << 20)
#define MAX_SNAPSHOTS UINT32_C(65536)
#define MAX_FILE_OFFSET (UINT64_C(1) << 56)

static uint32_t get32(const unsigned char *header, size_t at)
{
    uint32_t value;

    memcpy(&value, header + at, sizeof value);
    return be32toh(value);
}

static uint64_t get64(const unsigned char *header, size_t at)
{
    uint64_t value;

    memcpy(&value, header + at, sizeof value);
    return be64toh(value);
}

static int refuse(struct error *err, const char *why)
{
    return error_set(err, 0, "source: refused by its header: %s", why);
}

bool gate_is_qcow2(const unsigned char *header, size_t length)
{
    static const unsigned char magic[] = {'Q', 'F', 'I', 0xfb};

    return memcmp(header, magic, io_min(length, sizeof magic)) == 0;
}

/* Is this the beginning of a qcow2 image that has its header in full? */
static int check_magic(const unsigned char *header, size_t length,
                       struct error *err)
{
    if (length == 0)
        return error_set(err, 0, "source: empty: it ends at file offset 0");
    if (!gate_is_qcow2(header, length))
        return error_set(err, 0,
                         "source: not a qcow2 image: no magic number at file "
                         "offset 0");
    if (length < GATE_HEADER)
        return error_set(err, 0,
                         "source: truncated: it ends at file offset %zu, "
                         "inside the qcow2 header",
                         length);
    return 0;
}

/* The members that version 3 added. */
static int check_v3(const unsigned char *header, struct gate_image *image,
                    bool *is_extended_l2, struct error *err)
{
    uint64_t features = get64(header, INCOMPATIBLE_FEATURES);
    bool has_compression = (features & INCOMPATIBLE_COMPRESSION) != 0;

    image->header_length = get32(header, HEADER_LENGTH);
    *is_extended_l2 = (features & INCOMPATIBLE_EXTENDED_L2) != 0;
    if (image->header_length < V3_LENGTH ||
        image->header_length > image->cluster_size ||
        image->header_length % 8 != 0)
        return refuse(err, "impossible header length");
    if (features & INCOMPATIBLE_CORRUPT)
        return refuse(err, "the image is marked corrupt");
    if (features & INCOMPATIBLE_DATA_FILE)
        return refuse(err, "its data is in an external data file");
    if (features & ~(uint64_t)INCOMPATIBLE_KNOWN)
        return error_set(err, 0,
                         "source: refused by its header: unknown "
                         "incompatible features 0x%" PRIx64,
                         features & ~(uint64_t)INCOMPATIBLE_KNOWN);
    if (has_compression &&
        (image->header_length == V3_LENGTH || header[COMPRESSION_TYPE] > 1))
        return refuse(err, "unknown compression type");
    if (get32(header, REFCOUNT_ORDER) > 6)
        return refuse(err, "refcounts of more than 64 bits");
    return 0;
}

/* A table must lie behind the header, on a cluster of its own. */
static bool is_table_offset(const struct gate_image *image,
                            uint64_t file_offset)
{
    return file_offset >= image->cluster_size &&
           file_offset % image->cluster_size == 0 &&
           file_offset < MAX_FILE_OFFSET;
}

static int check_tables(const unsigned char *header, struct gate_image *image,
                        struct error *err)
{
    uint64_t l1_entries = get32(header, L1_SIZE);
    uint64_t l1_needed = image->virtual_size / image->window +
                         (image->virtual_size % image->window != 0 ? 1 : 0);
    uint64_t refcount_clusters = get32(header, REFCOUNT_TABLE_CLUSTERS);

    image->l1_offset = get64(header, L1_TABLE_OFFSET);
    image->l1_length = l1_entries * 8;
    image->refcount_offset = get64(header, REFCOUNT_TABLE_OFFSET);
    image->refcount_length = refcount_clusters * image->cluster_size;
    if (l1_entries * 8 > MAX_L1_BYTES || l1_needed * 8 > MAX_L1_BYTES)
        return refuse(err, "the L1 table is larger than 32 MiB");
    if (l1_entries < l1_needed)
        return refuse(err, "the L1 table is too small for the disk");
    if (l1_entries > 0 && !is_table_offset(image, image->l1_offset))
        return refuse(err, "impossible offset of the L1 table");
    if (refcount_clusters == 0 ||
        image->refcount_length > MAX_REFCOUNT_TABLE_BYTES)
        return refuse(err, "the refcount table is empty or larger than "
                           "8 MiB");
    if (!is_table_offset(image, image->refcount_offset))
        return refuse(err, "impossible offset of the refcount table");
    if (get32(header, NB_SNAPSHOTS) > MAX_SNAPSHOTS)
        return refuse(err, "more than 65536 snapshots");
    return 0;
}

int gate_check(const unsigned char *header, size_t length,
               struct gate_image *image, struct error *err)
{
    bool is_extended_l2 = false;
    uint32_t version, cluster_bits;

    *image = (struct gate_image){.header_length = V2_LENGTH};
    if (check_magic(header, length, err) == -1)
        return -1;
    version = get32(header, VERSION);
    if (version != 2 && version != 3)
        return error_set(err, 0,
                         "source: refused by its header: qcow version %" PRIu32
                         ", supported are 2 and 3",
                         version);
    if (get64(header, BACKING_FILE_OFFSET) != 0)
        return refuse(err, "the image names a backing file");
    cluster_bits = get32(header, CLUSTER_BITS);
    if (cluster_bits < 9 || cluster_bits > 21)
        return refuse(err, "the cluster size is not 512 bytes to 2 MiB");
    image->cluster_size = UINT64_C(1) << cluster_bits;
    if (get32(header, CRYPT_METHOD) != 0)
        return refuse(err, "the image is encrypted");
    if (version == 3 && check_v3(header, image, &is_extended_l2, err) == -1)
        return -1;
    if (is_extended_l2 && cluster_bits < 14)
        return refuse(err, "extended L2 entries in clusters of less than "
                           "16 KiB");
    image->window = image->cluster_size *
                    (image->cluster_size / (is_extended_l2 ? 16 : 8));
    /* QEMU, too, leaves out a last part that is no whole sector. */
    image->virtual_size = IO_ROUND_DOWN(get64(header, SIZE), IO_SECTOR);
    return check_tables(header, image, err);
}

/* Zeroes bytes [from, to) of the file, as far as they are in buf. */
static void blank(uint64_t from, uint64_t to, uint64_t file_offset,
                  unsigned char *buf, size_t length)
{
    from = io_max(from, file_offset);
    to = io_min(to, file_offset + length);
    if (from < to)
        memset(buf + (from - file_offset), 0, to - from);
}

void gate_clean(const struct gate_image *image, uint64_t file_offset,
                unsigned char *buf, size_t length)
{
    if (file_offset >= image->cluster_size)
        return;
    if (file_offset == 0 && image->header_length >= V3_LENGTH)
        buf[INCOMPATIBLE_FEATURES + 7] &= ~INCOMPATIBLE_DIRTY;
    blank(NB_SNAPSHOTS, SNAPSHOTS_OFFSET + 8, file_offset, buf, length);
    if (image->header_length >= V3_LENGTH)
        blank(AUTOCLEAR_FEATURES, AUTOCLEAR_FEATURES + 8, file_offset, buf,
              length);
    /* Extensions begin where the header ends; eight zeroes end them. */
    blank(image->header_length, image->cluster_size, file_offset, buf, length);
}

void gate_hide_backing(uint64_t file_offset, unsigned char *buf, size_t length)
{
    blank(BACKING_FILE_OFFSET, BACKING_FILE_SIZE + 4, file_offset, buf,
          length);
}
