/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The header of a qcow2 file: the only structure of it that we know. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "qemu/header.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Where the fields are, all big-endian. */
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
    INCOMPATIBLE_FEATURES = 72,
    LAST_INCOMPATIBLE = 79, /* its last byte, the lowest bits */
    AUTOCLEAR_FEATURES = 88,
    REFCOUNT_ORDER = 96,
    LENGTH = 100,
    COMPRESSION_TYPE = 104,
};

/* Header extensions: a type and a length of 4 bytes each, then the data, which
 * is padded to a multiple of 8.
 */
enum { EXTENSION_HEADER = 8 };
#define EXTENSION_BACKING_FORMAT UINT32_C(0xe2792aca)
#define EXTENSION_DATA_FILE UINT32_C(0x44415441)

enum { LONGEST_NAME = 1023 }; /* QEMU takes no longer one */

static uint32_t get32(const unsigned char *bytes, size_t at)
{
    uint32_t value;

    memcpy(&value, bytes + at, sizeof value);
    return be32toh(value);
}

static uint64_t get64(const unsigned char *bytes, size_t at)
{
    uint64_t value;

    memcpy(&value, bytes + at, sizeof value);
    return be64toh(value);
}

static const unsigned char magic[] = {'Q', 'F', 'I', 0xfb};

bool header_is_qcow2(const unsigned char *bytes, size_t length)
{
    return memcmp(bytes, magic, io_min(length, sizeof magic)) == 0;
}

void header_parse(const unsigned char *bytes, struct header *h)
{
    *h = (struct header){
        .version = get32(bytes, VERSION),
        .backing_offset = get64(bytes, BACKING_FILE_OFFSET),
        .backing_length = get32(bytes, BACKING_FILE_SIZE),
        .cluster_bits = get32(bytes, CLUSTER_BITS),
        /* QEMU, too, leaves out a last part that is no whole sector. */
        .virtual_size = IO_ROUND_DOWN(get64(bytes, SIZE), IO_SECTOR),
        .crypt_method = get32(bytes, CRYPT_METHOD),
        .l1_entries = get32(bytes, L1_SIZE),
        .refcount_clusters = get32(bytes, REFCOUNT_TABLE_CLUSTERS),
        .n_snapshots = get32(bytes, NB_SNAPSHOTS),
        .l1_offset = get64(bytes, L1_TABLE_OFFSET),
        .refcount_offset = get64(bytes, REFCOUNT_TABLE_OFFSET),
        .refcount_order = 4,
        .length = HEADER_V2_LENGTH,
    };
    if (h->version < 3)
        return;
    h->incompatible_features = get64(bytes, INCOMPATIBLE_FEATURES);
    h->refcount_order = get32(bytes, REFCOUNT_ORDER);
    h->length = get32(bytes, LENGTH);
    if (h->length > HEADER_V3_LENGTH)
        h->compression_type = bytes[COMPRESSION_TYPE];
}

bool header_has_backing(const struct header *h)
{
    return h->backing_offset != 0 && h->backing_length != 0;
}

/* Reads length bytes as text, up to the first zero as QEMU does; "" is NULL.
 */
static int read_name(int fd, uint64_t file_offset, uint32_t length,
                     char **name, struct error *err)
{
    char *CLEANUP(free_ptr) text = calloc(1, (size_t)length + 1);
    ssize_t got;

    if (text == NULL)
        return error_set(err, errno, "name in the qcow2 header");
    got = io_pread_full(fd, text, length, file_offset);
    if (got == -1)
        return error_set(err, errno, "cannot read at file offset %" PRIu64,
                         file_offset);
    if (got != (ssize_t)length)
        return error_set(err, 0,
                         "truncated: it ends at file offset %" PRIu64
                         ", and the bytes up to %" PRIu64 " are needed",
                         file_offset + got, file_offset + length);
    free(*name);
    *name = text[0] == '\0' ? NULL : STEAL_PTR(text);
    return 0;
}

static int read_extensions(int fd, const struct header *h, uint64_t end,
                           struct header_image *image, struct error *err)
{
    uint64_t at = h->length;

    while (at + EXTENSION_HEADER <= end) {
        unsigned char bytes[EXTENSION_HEADER];
        char **name = NULL;
        ssize_t got = io_pread_full(fd, bytes, sizeof bytes, at);
        uint32_t type, length;

        if (got == -1)
            return error_set(err, errno, "cannot read at file offset %" PRIu64,
                             at);
        if (got != sizeof bytes || get32(bytes, 0) == 0)
            return 0;
        type = get32(bytes, 0);
        length = get32(bytes, 4);
        at += EXTENSION_HEADER;
        if (length > end - at)
            return error_set(err, 0,
                             "header extension at file offset %" PRIu64
                             " is too long",
                             at - EXTENSION_HEADER);
        if (type == EXTENSION_BACKING_FORMAT)
            name = &image->backing_format;
        else if (type == EXTENSION_DATA_FILE)
            name = &image->data_file;
        if (name != NULL && read_name(fd, at, length, name, err) == -1)
            return -1;
        at += IO_ROUND_UP((uint64_t)length, 8);
    }
    return 0;
}

static int read_names(int fd, const struct header *h,
                      struct header_image *image, struct error *err)
{
    uint64_t end = image->cluster_size;

    if (h->backing_offset > end)
        return error_set(err, 0,
                         "the name of its backing file is outside of "
                         "the header's cluster");
    if (h->backing_offset != 0)
        end = h->backing_offset;
    if (h->length <= end && read_extensions(fd, h, end, image, err) == -1)
        return -1;
    if ((h->incompatible_features & HEADER_DATA_FILE) == 0) {
        free(image->data_file);
        image->data_file = NULL;
    }
    if (!header_has_backing(h))
        return 0;
    if (h->backing_length > LONGEST_NAME ||
        h->backing_length > image->cluster_size - h->backing_offset)
        return error_set(err, 0, "the name of its backing file is too long");
    return read_name(fd, h->backing_offset, h->backing_length,
                     &image->backing_file, err);
}

int header_read(int fd, struct header_image *image, struct error *err)
{
    unsigned char bytes[HEADER_BYTES] = {0};
    ssize_t got = io_pread_full(fd, bytes, sizeof bytes, 0);
    struct header h;

    *image = (struct header_image){0};
    if (got == -1)
        return error_set(err, errno, "cannot read at file offset 0");
    if (got < HEADER_V2_LENGTH || !header_is_qcow2(bytes, got))
        return error_set(err, 0, "it is not a qcow2 image");
    header_parse(bytes, &h);
    if (h.version != 2 && h.version != 3)
        return error_set(err, 0,
                         "qcow version %" PRIu32 ", supported are 2 and 3",
                         h.version);
    if (h.cluster_bits < 9 || h.cluster_bits > 21)
        return error_set(err, 0, "the cluster size is not 512 bytes to 2 MiB");
    if (h.virtual_size > INT64_MAX)
        return error_set(err, 0, "its disk is of an impossible size");
    image->virtual_size = h.virtual_size;
    image->cluster_size = UINT64_C(1) << h.cluster_bits;
    image->is_extended_l2 =
        (h.incompatible_features & HEADER_EXTENDED_L2) != 0;
    if (read_names(fd, &h, image, err) == 0)
        return 0;
    header_image_clear(image);
    return -1;
}

void header_image_clear(struct header_image *image)
{
    free(image->backing_file);
    free(image->backing_format);
    free(image->data_file);
    *image = (struct header_image){0};
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

int header_write_disk_size(int fd, uint64_t disk_size, struct error *err)
{
    uint64_t value = htobe64(disk_size);

    if (io_pwrite_full(fd, &value, sizeof value, SIZE) == -1)
        return error_set(err, errno, "spool: cannot write the header");
    return 0;
}

void header_make_beginning(bool is_v2, uint64_t cluster_size,
                           uint64_t disk_size,
                           unsigned char bytes[HEADER_BEGINNING])
{
    uint32_t version = htobe32(is_v2 ? 2 : 3);
    uint32_t cluster_bits = htobe32(__builtin_ctzll(cluster_size));
    uint64_t size = htobe64(disk_size);

    memset(bytes, 0, HEADER_BEGINNING);
    memcpy(bytes, magic, sizeof magic);
    memcpy(bytes + VERSION, &version, sizeof version);
    memcpy(bytes + CLUSTER_BITS, &cluster_bits, sizeof cluster_bits);
    memcpy(bytes + SIZE, &size, sizeof size);
}

void header_hide_backing(uint64_t file_offset, unsigned char *buf,
                         size_t length)
{
    blank(BACKING_FILE_OFFSET, BACKING_FILE_SIZE + 4, file_offset, buf,
          length);
}

void header_clean(uint64_t header_length, uint64_t cluster_size,
                  uint64_t file_offset, unsigned char *buf, size_t length)
{
    if (file_offset >= cluster_size)
        return;
    header_hide_backing(file_offset, buf, length);
    if (header_length >= HEADER_V3_LENGTH &&
        file_offset <= LAST_INCOMPATIBLE &&
        LAST_INCOMPATIBLE - file_offset < length)
        buf[LAST_INCOMPATIBLE - file_offset] &= ~HEADER_DIRTY;
    blank(NB_SNAPSHOTS, SNAPSHOTS_OFFSET + 8, file_offset, buf, length);
    if (header_length >= HEADER_V3_LENGTH)
        blank(AUTOCLEAR_FEATURES, AUTOCLEAR_FEATURES + 8, file_offset, buf,
              length);
    /* Extensions begin where the header ends; eight zeroes end them. */
    blank(header_length, cluster_size, file_offset, buf, length);
}
