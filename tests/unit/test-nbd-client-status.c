/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what NBD servers say of where their data is. */

#include "config.h"

#include "nbd-peer.h"
#include "nbd/client.h"
#include "test.h"

enum { MAX_LIST = 6 };

#define M(n) ((uint64_t)(n) << 20)
#define G(n) ((uint64_t)(n) << 30)

static struct nbd_address address_of(const struct peer *p)
{
    return (struct nbd_address){
        .role = "x",
        .socket_fd = -1,
        .socket_path = p->path,
        .export_name = "",
    };
}

static struct nbd_client *connect_peer(struct peer *p)
{
    const struct nbd_address address = address_of(p);
    struct nbd_client *client = NULL;
    struct error err;

    peer_open(p);
    if (!CHECK_OK(nbd_client_open(&address, -1, &client, &err), &err))
        exit(test_end());
    return client;
}

/* Each question gets the same answer: pairs of a length and flags, ended by a
 * pair of 0 and 0.  A list of extents ends with an empty one.  To libnbd from
 * 1.22 on it is an error if an answer goes past the end of the export.
 */
static const struct {
    const char *name;
    uint64_t size;
    uint32_t statuses[2 * PEER_STATUSES];
    unsigned questions;
    struct extent data[MAX_LIST];
} known[] = {
    {"of an empty disk nothing is asked", 0, {512, 0}, 0, {{0}}},
    {"what is said to be nothing else is data",
     M(1),
     {1 << 20, 0},
     1,
     {{0, M(1)}}},
    {"a hole that may be anything is data",
     M(1),
     {1 << 20, STATUS_HOLE},
     1,
     {{0, M(1)}}},
    {"what is zero is no data", M(1), {1 << 20, STATUS_ZERO}, 1, {{0}}},
    {"a hole that is zero is no data",
     M(1),
     {1 << 20, STATUS_HOLE | STATUS_ZERO},
     1,
     {{0}}},
    {"flags that nobody knows say nothing",
     M(1),
     {1 << 19, 4, 1 << 19, 4 | STATUS_ZERO},
     1,
     {{0, M(1) / 2}}},
    {"data and zeroes are told apart",
     M(1),
     {1 << 18, 0, 1 << 18, 3, 1 << 18, 0, 1 << 18, 2},
     1,
     {{0, M(1) / 4}, {M(1) / 2, M(1) / 4}}},
    {"what touches is one range",
     M(1),
     {1 << 18, 0, 1 << 18, STATUS_HOLE, 1 << 18, 0, 1 << 18, 3},
     1,
     {{0, M(1) / 4 * 3}}},
    {"a server may say little at once", M(1), {1 << 18, 0}, 4, {{0, M(1)}}},
    {"what little it says may change",
     M(1),
     {1 << 17, 0, 1 << 17, STATUS_ZERO},
     4,
     {{0, M(1) / 8},
      {M(1) / 4, M(1) / 8},
      {M(1) / 2, M(1) / 8},
      {M(1) / 4 * 3, M(1) / 8}}},
    {"what it says may go past what was asked",
     G(4) + M(4),
     {1 << 21, STATUS_ZERO, UINT32_C(2) << 30, 0},
     3,
     {{M(2), G(4) + M(2)}}},
    {"of what is behind what was asked, the first answer counts",
     G(4) + M(4),
     {1 << 21, 0, UINT32_C(2) << 30, STATUS_ZERO},
     3,
     {{0, M(2)}}},
    {"what it says may go past the end",
     M(1),
     {1 << 19, STATUS_ZERO, 1 << 30, 0},
     1,
     {{M(1) / 2, M(1) / 2}}},
    {"what it says of behind the end does not count",
     M(1),
     {1 << 20, STATUS_ZERO, 1 << 20, 0, 1 << 20, 0},
     1,
     {{0}}},
    {"the last sector may not be whole",
     M(1) + 1,
     {1 << 20, STATUS_ZERO, 512, 0},
     1,
     {{M(1), 1}}},
    {"a large disk is asked for in pieces of 2 GiB",
     G(6),
     {UINT32_C(1) << 31, 0},
     3,
     {{0, G(6)}}},
    {"each piece may take several questions",
     G(64),
     {1 << 30, STATUS_ZERO},
     64,
     {{0}}},
};

/* Does an answer go past the end?  That is always the same, and the last piece
 * is asked for from a multiple of 2 GiB on.
 */
static bool is_past_end(const uint32_t *statuses, uint64_t size)
{
    uint64_t end = (size - (size > 0)) / G(2) * G(2);

    for (; statuses[0] != 0; statuses += 2)
        end += statuses[0];
    return end > size;
}

static void test_known(void)
{
    for (size_t i = 0; i < N_ELEMENTS(known); i++) {
        struct peer p = {
            .size = known[i].size,
            .is_structured = true,
            .has_status = true,
        };
        struct nbd_client *client;
        struct extents data = {0};
        uint64_t total = 0;
        bool is_known, is_refused;
        struct error err;
        size_t n = 0;
        int r;

        TEST(known[i].name);
        while (known[i].statuses[2 * p.n_statuses] != 0)
            p.n_statuses++;
        memcpy(p.statuses, known[i].statuses, sizeof p.statuses);
        client = connect_peer(&p);
        r = nbd_client_status(client, &data, &is_known, &err);
        is_refused = is_past_end(known[i].statuses, known[i].size) &&
                     r == -1 && strstr(err.msg, "Protocol error") != NULL;
        if (!is_refused && CHECK_OK(r, &err))
            CHECK_UINT(p.questions, known[i].questions);
        for (; !is_refused && n < MAX_LIST && known[i].data[n].length > 0;
             n++) {
            if (!CHECK(n < data.count))
                break;
            CHECK_UINT(data.list[n].disk_offset, known[i].data[n].disk_offset);
            CHECK_UINT(data.list[n].length, known[i].data[n].length);
            total += known[i].data[n].length;
        }
        if (!is_refused) {
            CHECK_UINT(data.count, n);
            /* All of it may be what it says for want of knowledge. */
            CHECK_INT(is_known, total < p.size || p.size == 0);
        }
        extents_clear(&data);
        nbd_client_free(client);
        peer_close(&p);
    }
}

static void test_unknown(void)
{
    for (int i = 0; i < 4; i++) {
        struct peer p = {
            .size = i < 2 ? M(5) + 1 : 0,
            .is_structured = i % 2 == 1,
        };
        struct nbd_client *client = connect_peer(&p);
        struct extents data = {0};
        bool is_known;
        struct error err;

        TEST("where a server says nothing all is data");
        CHECK_OK(nbd_client_status(client, &data, &is_known, &err), &err);
        CHECK_INT(is_known, p.size == 0);
        CHECK_UINT(data.count, i < 2 ? 1 : 0);
        CHECK_UINT(extents_total(&data), p.size);
        CHECK_UINT(p.questions, 0);
        extents_clear(&data);
        nbd_client_free(client);
        peer_close(&p);
    }
}

static const struct {
    const char *name;
    struct peer peer;
    const char *message; /* begins like that */
} bad[] = {
    {"a server may fail to tell",
     {.is_status_bad = true},
     "x: no block status at disk offset 0: "},
    {"a server may hang up instead of telling",
     {.is_status_bad = false},
     "x: no block status at disk offset 0: "},
    {"a server that tells nothing is not asked again",
     {.n_statuses = 1, .statuses = {0, 0}},
     "x: "},
};

static void test_bad(void)
{
    for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
        struct peer p = bad[i].peer;
        struct nbd_client *client;
        struct extents data = {0};
        struct error err = {0};
        bool is_known;

        TEST(bad[i].name);
        p.size = M(1);
        p.is_structured = p.has_status = true;
        client = connect_peer(&p);
        CHECK_INT(nbd_client_status(client, &data, &is_known, &err), -1);
        err.msg[strlen(bad[i].message)] = '\0';
        CHECK_STR(err.msg, bad[i].message);
        CHECK_UINT(p.questions, 1);
        extents_clear(&data);
        nbd_client_free(client);
        peer_close(&p);
    }
}

/* Block status is asked for on the first connection, while others read. */
static void test_several(void)
{
    struct peer p = {
        .size = M(1),
        .is_structured = true,
        .has_status = true,
        .is_multi = true,
        .statuses = {1 << 19, 0, 1 << 19, STATUS_ZERO},
        .n_statuses = 2,
    };
    struct nbd_client *client = connect_peer(&p);
    struct extents data = {0};
    struct error err;
    bool is_known = false;

    TEST("with several connections there is block status as well");
    CHECK_OK(nbd_client_status(client, &data, &is_known, &err), &err);
    CHECK(is_known);
    CHECK_UINT(extents_total(&data), M(1) / 2);
    nbd_client_free(client);
    peer_close(&p);
    CHECK_UINT(p.n_connections, 4);
    extents_clear(&data);
}

/* Several questions are in flight. */
static void test_any_order(void)
{
    struct peer p = {
        .size = G(64),
        .is_structured = true,
        .has_status = true,
        .is_reversing = true,
        .statuses = {1 << 30, 0, 1 << 30, STATUS_ZERO},
        .n_statuses = 2,
    };
    struct nbd_client *client = connect_peer(&p);
    struct extents data = {0};
    struct error err;
    bool is_known = false;

    TEST("answers may come in any order");
    CHECK_OK(nbd_client_status(client, &data, &is_known, &err), &err);
    CHECK(is_known);
    CHECK_UINT(data.count, 32);
    for (size_t i = 0; i < data.count; i++) {
        CHECK_UINT(data.list[i].disk_offset, G(2 * i));
        CHECK_UINT(data.list[i].length, G(1));
    }
    CHECK_UINT(p.questions, 32);
    extents_clear(&data);
    nbd_client_free(client);
    peer_close(&p);
}

#define BITMAPS "qemu:dirty-bitmap:"

static void test_dirty(void)
{
    for (int i = 0; i < 2; i++) {
        struct peer p = {
            .size = M(1),
            .is_structured = true,
            .has_status = true,
            .context = BITMAPS "b:1",
            .is_listless = i == 1,
            .statuses = {1 << 18, 0, 1 << 18, 1, 1 << 18, 2, 1 << 18, 3},
            .n_statuses = 4,
        };
        struct nbd_address address;
        struct nbd_client *client = NULL;
        struct extents dirty = {0};
        struct error err;

        TEST("what a bitmap marks");
        peer_open(&p);
        address = address_of(&p);
        address.bitmap = "b:1";
        if (!CHECK_OK(nbd_client_open(&address, -1, &client, &err), &err))
            exit(test_end());
        CHECK_OK(nbd_client_dirty(client, &dirty, &err), &err);
        CHECK_UINT(dirty.count, 2);
        CHECK_UINT(dirty.list[0].disk_offset, M(1) / 4);
        CHECK_UINT(dirty.list[0].length, M(1) / 4);
        CHECK_UINT(dirty.list[1].disk_offset, M(1) / 4 * 3);
        CHECK_UINT(extents_total(&dirty), M(1) / 2);
        extents_clear(&dirty);
        nbd_client_free(client);
        peer_close(&p);
    }
}

static const struct {
    const char *name;
    struct peer peer;
    const char *message;
} missing[] = {
    {"another bitmap is there",
     {.is_structured = true, .has_status = true, .context = BITMAPS "c"},
     "x: the NBD server has no bitmap 'b'; it has c"},
    {"there are others, which are not told",
     {.is_structured = true,
      .has_status = true,
      .context = BITMAPS "c",
      .is_listless = true},
     "x: the NBD server has no bitmap 'b', and tells of no other"},
    {"what there is is no bitmap",
     {.is_structured = true, .has_status = true},
     "x: the NBD server has no bitmap 'b', and tells of no other"},
    {"there is no block status",
     {.is_structured = true},
     "x: the NBD server has no bitmap 'b', and tells of no other"},
    {"there are no structured replies",
     {.size = 0},
     "x: the NBD server has no bitmap 'b': it tells no block status"},
};

static void test_missing(void)
{
    for (size_t i = 0; i < N_ELEMENTS(missing); i++) {
        struct peer p = missing[i].peer;
        struct nbd_address address;
        struct nbd_client *client = NULL;
        struct error err;

        TEST(missing[i].name);
        p.size = M(1);
        peer_open(&p);
        address = address_of(&p);
        address.bitmap = "b";
        CHECK_FAILS(nbd_client_open(&address, -1, &client, &err), &err,
                    missing[i].message);
        peer_close(&p);
    }
}

int main(void)
{
    test_begin();
    signal(SIGPIPE, SIG_IGN);
    test_known();
    test_unknown();
    test_bad();
    test_several();
    test_any_order();
    test_dirty();
    test_missing();
    return test_end();
}
