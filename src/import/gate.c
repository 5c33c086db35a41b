/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Decides by its header whether a stranger's image may meet QEMU. */

#include "config.h"

#include "base/io.h"
#include "import/foreign.h"
#include "import/gate.h"
#include "qemu/header.h"
#include "qemu/qemu.h"

#include <inttypes.h>

/* QEMU's own limits (block/qcow2.h). */
#define MAX_REFCOUNT_TABLE_BYTES (UINT64_C(8) << 20)
#define MAX_SNAPSHOTS UINT32_C(65536)
#define MAX_FILE_OFFSET (UINT64_C(1) << 56)

static int refuse(struct error *err, const char *why)
{
    return error_set(err, 0, "source: refused by its header: %s", why);
}

int gate_refuse_foreign(const unsigned char *bytes, size_t length,
                        struct error *err)
{
    char words[FOREIGN_WORDS];

    if (foreign_describe(bytes, length, words))
        return error_set(err, 0, "source: not a qcow2 image but %s", words);
    return error_set(err, 0,
                     "source: not a qcow2 image: no magic number at file "
                     "offset 0");
}

/* Is this the beginning of a qcow2 image that has its header in full? */
static int check_magic(const unsigned char *header, size_t length,
                       struct error *err)
{
    if (length == 0)
        return error_set(err, 0, "source: empty: it ends at file offset 0");
    if (!header_is_qcow2(header, length))
        return gate_refuse_foreign(header, length, err);
    if (length < GATE_HEADER)
        return error_set(err, 0,
                         "source: truncated: it ends at file offset %zu, "
                         "inside the qcow2 header",
                         length);
    return 0;
}

/* The type has a field only in longer headers.  The feature bit says that it
 * is another than zlib, and QEMU wants both to agree.
 */
static int check_compression(const struct header *h, struct error *err)
{
    bool is_other = (h->incompatible_features & HEADER_COMPRESSION) != 0;
    unsigned type = 0;

    if (h->length > HEADER_V3_LENGTH)
        type = h->compression_type;
    if (type > 1)
        return refuse(err, "unknown compression type");
    if ((type != 0) != is_other)
        return error_set(err, 0,
                         "source: refused by its header: compression type %u "
                         "contradicts its feature bit",
                         type);
    return 0;
}

/* The members that version 3 added. */
static int check_v3(const struct header *h, struct gate_image *image,
                    struct error *err)
{
    uint64_t features = h->incompatible_features;

    if (h->length < HEADER_V3_LENGTH || h->length > image->cluster_size ||
        h->length % 8 != 0)
        return refuse(err, "impossible header length");
    if (features & HEADER_CORRUPT)
        return refuse(err, "the image is marked corrupt");
    if (features & HEADER_DATA_FILE)
        return refuse(err, "its data is in an external data file");
    if (features & ~(uint64_t)HEADER_KNOWN_FEATURES)
        return error_set(err, 0,
                         "source: refused by its header: unknown "
                         "incompatible features 0x%" PRIx64,
                         features & ~(uint64_t)HEADER_KNOWN_FEATURES);
    if (check_compression(h, err) == -1)
        return -1;
    if (h->refcount_order > 6)
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

static int check_tables(const struct header *h, struct gate_image *image,
                        struct error *err)
{
    uint64_t l1_needed = image->virtual_size / image->window +
                         (image->virtual_size % image->window != 0 ? 1 : 0);

    image->l1_offset = h->l1_offset;
    image->l1_length = h->l1_entries * UINT64_C(8);
    image->refcount_offset = h->refcount_offset;
    image->refcount_length = h->refcount_clusters * image->cluster_size;
    if (image->l1_length > QCOW2_MAX_L1 || l1_needed * 8 > QCOW2_MAX_L1)
        return refuse(err, "the L1 table is larger than 32 MiB");
    if (h->l1_entries < l1_needed)
        return refuse(err, "the L1 table is too small for the disk");
    if (h->l1_entries > 0 && !is_table_offset(image, image->l1_offset))
        return refuse(err, "impossible offset of the L1 table");
    if (h->refcount_clusters == 0 ||
        image->refcount_length > MAX_REFCOUNT_TABLE_BYTES)
        return refuse(err, "the refcount table is empty or larger than "
                           "8 MiB");
    if (!is_table_offset(image, image->refcount_offset))
        return refuse(err, "impossible offset of the refcount table");
    if (h->n_snapshots > MAX_SNAPSHOTS)
        return refuse(err, "more than 65536 snapshots");
    return 0;
}

int gate_check(const unsigned char *header, size_t length,
               struct gate_image *image, struct error *err)
{
    struct header h;
    bool is_extended_l2;

    *image = (struct gate_image){0};
    if (check_magic(header, length, err) == -1)
        return -1;
    header_parse(header, &h);
    image->header_length = h.length;
    if (h.version != 2 && h.version != 3)
        return error_set(err, 0,
                         "source: refused by its header: qcow version %" PRIu32
                         ", supported are 2 and 3",
                         h.version);
    if (header_has_backing(&h))
        return refuse(err, "the image names a backing file");
    if (h.cluster_bits < 9 || h.cluster_bits > 21)
        return refuse(err, "the cluster size is not 512 bytes to 2 MiB");
    image->cluster_size = UINT64_C(1) << h.cluster_bits;
    /* Without a length it names none, but QEMU looks at it all the same. */
    if (h.backing_offset > image->cluster_size)
        return refuse(err, "impossible offset of a backing file's name");
    if (h.crypt_method != 0)
        return refuse(err, "the image is encrypted");
    if (h.version == 3 && check_v3(&h, image, err) == -1)
        return -1;
    is_extended_l2 = (h.incompatible_features & HEADER_EXTENDED_L2) != 0;
    if (is_extended_l2 && h.cluster_bits < 14)
        return refuse(err, "extended L2 entries in clusters of less than "
                           "16 KiB");
    image->window = image->cluster_size *
                    (image->cluster_size / (is_extended_l2 ? 16 : 8));
    image->virtual_size = h.virtual_size;
    return check_tables(&h, image, err);
}

void gate_clean(const struct gate_image *image, uint64_t file_offset,
                unsigned char *buf, size_t length)
{
    header_clean(image->header_length, image->cluster_size, file_offset, buf,
                 length);
}
