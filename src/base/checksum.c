/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The SHA-256 of bytes that come in pieces. */

#include "config.h"

#include "base/checksum.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct checksum {
    EVP_MD_CTX *digest;
};

static int failed(struct error *err)
{
    return error_set(err, 0, "cannot compute a SHA-256");
}

int checksum_new(struct checksum **checksum, struct error *err)
{
    struct checksum *c = malloc(sizeof *c);

    if (c == NULL)
        return error_set(err, errno, "no memory for a SHA-256");
    c->digest = EVP_MD_CTX_new();
    if (c->digest == NULL ||
        EVP_DigestInit_ex(c->digest, EVP_sha256(), NULL) != 1) {
        checksum_free(c);
        return failed(err);
    }
    *checksum = c;
    return 0;
}

void checksum_free(struct checksum *c)
{
    if (c == NULL)
        return;
    EVP_MD_CTX_free(c->digest);
    free(c);
}

int checksum_add(struct checksum *c, const void *buf, size_t length,
                 struct error *err)
{
    return EVP_DigestUpdate(c->digest, buf, length) == 1 ? 0 : failed(err);
}

int checksum_finish(struct checksum *c, char text[CHECKSUM_SPACE],
                    struct error *err)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[CHECKSUM_DIGITS / 2];

    if (EVP_DigestFinal_ex(c->digest, sum, NULL) != 1)
        return failed(err);
    for (size_t i = 0; i < sizeof sum; i++) {
        text[2 * i] = digits[sum[i] >> 4];
        text[2 * i + 1] = digits[sum[i] & 15];
    }
    text[CHECKSUM_DIGITS] = '\0';
    return 0;
}
