/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the SHA-256 of pieces: FIPS 180-4's examples, as NIST has them. */

#include "config.h"

#include "base/checksum.h"
#include "test.h"

static const struct {
    const char *name, *pieces[4], *sum;
} cases[] = {
    {"nothing",
     {""},
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"one piece",
     {"abc"},
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"pieces, one of them empty",
     {"a", "", "bc"},
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"pieces that are more than a block",
     {"abcdbcdecdefdefgefghfghighijhi", "jkijkljklmklmnlmnomnopnopq"},
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

int main(void)
{
    test_begin();
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct checksum *checksum = NULL;
        char sum[CHECKSUM_SPACE];
        struct error err;

        TEST(cases[i].name);
        CHECK_OK(checksum_new(&checksum, &err), &err);
        for (size_t j = 0; cases[i].pieces[j] != NULL; j++)
            CHECK_OK(checksum_add(checksum, cases[i].pieces[j],
                                  strlen(cases[i].pieces[j]), &err),
                     &err);
        CHECK_OK(checksum_finish(checksum, sum, &err), &err);
        CHECK_STR(sum, cases[i].sum);
        checksum_free(checksum);
    }
    return test_end();
}
