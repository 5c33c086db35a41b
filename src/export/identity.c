/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* By what two streams can be told to be of one image. */

/* Notes on the design
 *
 * What is digested, numbers as 8 bytes, the highest first:
 *
 *     tag | disk size | file length | metadata | entries | number of entries
 *
 * Metadata is every byte that no entry of the file map covers, ascending; an
 * entry is its file offset, length and disk offset.  Entries that continue
 * each other count as one, because where QEMU cuts its map does not matter.
 * Which bytes are metadata follows from the entries, so that no two images
 * are one text.  The tag changes if any of this does.
 */

#include "config.h"

#include "base/cleanup.h"
#include "export/identity.h"

#include <endian.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

static const char tag[] = "qcow-tool identity 1\n";

static void cleanup_digest(EVP_MD_CTX **digest)
{
    EVP_MD_CTX_free(*digest);
}

static int failed(struct error *err)
{
    return error_set(err, 0, "cannot compute a SHA-256");
}

static int add(EVP_MD_CTX *digest, const void *buf, size_t length,
               struct error *err)
{
    return EVP_DigestUpdate(digest, buf, length) == 1 ? 0 : failed(err);
}

static int add_number(EVP_MD_CTX *digest, uint64_t number, struct error *err)
{
    number = htobe64(number);
    return add(digest, &number, sizeof number, err);
}

static int hash_metadata(void *opaque, const void *buf, size_t length,
                         uint64_t file_offset, struct error *err)
{
    (void)file_offset;
    return add(opaque, buf, length, err);
}

static bool continues(const struct filemap_entry *e,
                      const struct filemap_entry *next)
{
    return e->file_offset + e->length == next->file_offset &&
           e->disk_offset + e->length == next->disk_offset;
}

static int add_map(EVP_MD_CTX *digest, const struct filemap *map,
                   struct error *err)
{
    uint64_t n = 0;

    for (size_t i = 0; i < map->count; i++) {
        struct filemap_entry e = map->list[i];

        for (; i + 1 < map->count && continues(&e, &map->list[i + 1]); i++)
            e.length += map->list[i + 1].length;
        if (add_number(digest, e.file_offset, err) == -1 ||
            add_number(digest, e.length, err) == -1 ||
            add_number(digest, e.disk_offset, err) == -1)
            return -1;
        n++;
    }
    return add_number(digest, n, err);
}

int identity_compute(const struct skeleton *skeleton,
                     const struct store *store, uint64_t disk_size,
                     char id[IDENTITY_SPACE], struct error *err)
{
    static const char digits[] = "0123456789abcdef";
    EVP_MD_CTX *CLEANUP(digest) digest = EVP_MD_CTX_new();
    unsigned char sum[IDENTITY_DIGITS / 2];

    if (digest == NULL || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
        return failed(err);
    if (add(digest, tag, sizeof tag - 1, err) == -1 ||
        add_number(digest, disk_size, err) == -1 ||
        add_number(digest, skeleton->file_length, err) == -1 ||
        skeleton_read_metadata(skeleton, store, skeleton->file_length,
                               hash_metadata, digest, err) == -1 ||
        add_map(digest, &skeleton->map, err) == -1)
        return -1;
    if (EVP_DigestFinal_ex(digest, sum, NULL) != 1)
        return failed(err);
    for (size_t i = 0; i < sizeof sum; i++) {
        id[2 * i] = digits[sum[i] >> 4];
        id[2 * i + 1] = digits[sum[i] & 15];
    }
    id[IDENTITY_DIGITS] = '\0';
    return 0;
}

bool identity_is_valid(const char *text)
{
    return strlen(text) == IDENTITY_DIGITS &&
           strspn(text, "0123456789abcdefABCDEF") == IDENTITY_DIGITS;
}

bool identity_is_equal(const char *id, const char *other_id)
{
    return strcasecmp(id, other_id) == 0;
}
