/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Reads what xapi says has changed on a disk. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/stall.h"
#include "export/changed-blocks.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdbool.h>

enum { TEXT = 16384, BITS = 8 };

/* How much of the text may be white space: as much as its digits, and some. */
enum { MOST_SPACE = 65536 };

struct reading {
    const char *name;
    uint64_t disk_size;
    uint64_t n_blocks, n_bytes; /* that a disk of this size has */
    EVP_ENCODE_CTX *base64;
    uint64_t text_offset; /* how much of the text has been looked at */
    uint64_t n_spaces;    /* of that */
    bool is_padded;       /* by a "=": there is no more to come */
    uint64_t done;        /* bytes that have been decoded */
    struct extents *changed;
};

static void cleanup_reading(struct reading *r)
{
    EVP_ENCODE_CTX_free(r->base64);
}

static int refuse_length(const struct reading *r, const char *many,
                         uint64_t n_bytes, struct error *err)
{
    return error_set(err, 0,
                     "source: changed blocks in %s: there are %s%" PRIu64
                     " bytes of bits, and a disk of %" PRIu64
                     " bytes has %" PRIu64,
                     r->name, many, n_bytes, r->disk_size, r->n_bytes);
}

/* OpenSSL takes a "-" for the end of all. */
static int check_text(struct reading *r, const char *text, size_t length,
                      struct error *err)
{
    for (size_t i = 0; i < length; i++, r->text_offset++) {
        unsigned char c = text[i];
        bool is_digit = isalnum(c) || c == '+' || c == '/';
        bool is_space = c == ' ' || c == '\t' || c == '\r' || c == '\n';

        r->n_spaces += is_space;
        if (r->n_spaces > 2 * r->n_bytes + MOST_SPACE)
            return error_set(err, 0,
                             "source: changed blocks in %s: white space "
                             "without an end, at byte %" PRIu64,
                             r->name, r->text_offset);
        if (is_space || (is_digit && !r->is_padded))
            continue;
        if (c != '=')
            return error_set(err, 0,
                             "source: changed blocks in %s: byte %" PRIu64
                             " is no base64",
                             r->name, r->text_offset);
        r->is_padded = true;
    }
    return 0;
}

static int take_byte(struct reading *r, unsigned char byte, struct error *err)
{
    for (unsigned i = 0; i < BITS; i++) {
        uint64_t block = r->done * BITS + i, from = block * CHANGED_BLOCK;

        if (!(byte & 0x80 >> i))
            continue;
        if (block >= r->n_blocks)
            return error_set(err, 0,
                             "source: changed blocks in %s: block %" PRIu64
                             " is marked, and a disk of %" PRIu64
                             " bytes has %" PRIu64,
                             r->name, block, r->disk_size, r->n_blocks);
        if (extents_append(r->changed, from,
                           io_min(CHANGED_BLOCK, r->disk_size - from),
                           err) == -1)
            return -1;
    }
    return 0;
}

static int take_bytes(struct reading *r, const unsigned char *bytes,
                      size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++, r->done++) {
        if (r->done == r->n_bytes)
            return refuse_length(r, "more than ", r->n_bytes, err);
        if (bytes[i] != 0 && take_byte(r, bytes[i], err) == -1)
            return -1;
    }
    return 0;
}

/* Takes a piece of the text; length 0: it is complete. */
static int take_text(struct reading *r, const char *text, size_t length,
                     struct error *err)
{
    unsigned char bytes[TEXT]; /* 3 for each 4 of the text */
    int count = 0, status;

    if (check_text(r, text, length, err) == -1)
        return -1;
    status = length > 0 ? EVP_DecodeUpdate(r->base64, bytes, &count,
                                           (const unsigned char *)text, length)
                        : EVP_DecodeFinal(r->base64, bytes, &count);
    if (status == -1)
        return error_set(err, 0,
                         "source: changed blocks in %s: the base64 ends in "
                         "the middle",
                         r->name);
    return take_bytes(r, bytes, count, err);
}

int changed_blocks_read(int fd, const char *name, uint64_t disk_size,
                        struct extents *changed, struct error *err)
{
    uint64_t n_blocks = IO_ROUND_UP(disk_size, CHANGED_BLOCK) / CHANGED_BLOCK;
    struct reading CLEANUP(reading) r = {
        .name = name,
        .disk_size = disk_size,
        .n_blocks = n_blocks,
        .n_bytes = IO_ROUND_UP(n_blocks, BITS) / BITS,
        .base64 = EVP_ENCODE_CTX_new(),
        .changed = changed,
    };
    char text[TEXT];
    ssize_t n;
    STALL_WAIT_FOR(STALL_PEER, "the list of changed blocks");

    if (r.base64 == NULL)
        return error_set(err, ENOMEM, "source: changed blocks");
    EVP_DecodeInit(r.base64);
    do {
        n = io_read(fd, text, sizeof text);
        if (n == -1)
            return error_set(err, errno,
                             "source: cannot read the changed blocks in %s",
                             name);
        if (take_text(&r, text, n, err) == -1)
            return -1;
    } while (n > 0);
    return r.done == r.n_bytes ? 0 : refuse_length(&r, "", r.done, err);
}
