/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* How NBD looks on the wire. */

#ifndef QT_NBD_WIRE_H
#define QT_NBD_WIRE_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The protocol's numbers once more (its doc/proto.md), so that nothing is
 * tested against itself.
 */
enum {
    OPT_EXPORT_NAME = 1,
    OPT_ABORT = 2,
    OPT_LIST = 3,
    OPT_STARTTLS = 5,
    OPT_INFO = 6,
    OPT_GO = 7,
    OPT_STRUCTURED_REPLY = 8,
    OPT_LIST_META_CONTEXT = 9,
    OPT_SET_META_CONTEXT = 10,

    REP_ACK = 1,
    REP_INFO = 3,
    REP_META_CONTEXT = 4,

    CMD_READ = 0,
    CMD_WRITE = 1,
    CMD_DISC = 2,
    CMD_FLUSH = 3,
    CMD_TRIM = 4,
    CMD_CACHE = 5,
    CMD_WRITE_ZEROES = 6,
    CMD_BLOCK_STATUS = 7,

    CHUNK_IS_LAST = 1, /* a flag; types of chunks follow */
    CHUNK_DATA = 1,
    CHUNK_STATUS = 5,
    CHUNK_ERROR = 32769,

    STATUS_HOLE = 1,
    STATUS_ZERO = 2,

    /* In replies; not this system's numbers, though they are the same. */
    NBD_EPERM = 1,
    NBD_EIO = 5,
    NBD_ENOMEM = 12,
    NBD_EINVAL = 22,
    NBD_ENOSPC = 28,
    NBD_EOVERFLOW = 75,
    NBD_ENOTSUP = 95,

    MAX_PAYLOAD = 32 << 20,
};

#define REP_ERR_UNSUP UINT32_C(0x80000001)
#define REP_ERR_INVALID UINT32_C(0x80000003)
#define REP_ERR_TOO_BIG UINT32_C(0x80000009)

#define OPTION_MAGIC "IHAVEOPT"
#define REQUEST_MAGIC UINT32_C(0x25609513)
#define SIMPLE_REPLY_MAGIC UINT32_C(0x67446698)
#define CHUNK_MAGIC UINT32_C(0x668e33ef)
#define OPTION_REPLY_MAGIC UINT64_C(0x3e889045565a9)

/* Numbers, as they go over it; put returns what is behind. */
static inline unsigned char *put16(unsigned char *p, uint16_t value)
{
    value = htobe16(value);
    return (unsigned char *)memcpy(p, &value, sizeof value) + sizeof value;
}

static inline unsigned char *put32(unsigned char *p, uint32_t value)
{
    value = htobe32(value);
    return (unsigned char *)memcpy(p, &value, sizeof value) + sizeof value;
}

static inline unsigned char *put64(unsigned char *p, uint64_t value)
{
    value = htobe64(value);
    return (unsigned char *)memcpy(p, &value, sizeof value) + sizeof value;
}

static inline uint64_t get(const unsigned char *p, size_t length)
{
    uint64_t value = 0;

    for (size_t i = 0; i < length; i++)
        value = value << 8 | p[i];
    return value;
}

#endif
