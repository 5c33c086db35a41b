/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests reading from NBD servers, ours and others. */

#include "config.h"

#include "base/signals.h"
#include "nbd-reading.h"
#include "nbd/server.h"
#include "test.h"

#define K(n) ((uint64_t)(n) << 10)
#define M(n) ((uint64_t)(n) << 20)

/* ---------------------------------------------------------------- ours */

enum { OURS = (9 << 20) + 77 };

static uint64_t ours_bad_from = UINT64_MAX;

static int ours_read(void *opaque, void *buf, uint32_t length,
                     uint64_t file_offset)
{
    (void)opaque;
    if (file_offset + length > ours_bad_from)
        return EIO;
    peer_fill(buf, file_offset, length);
    return 0;
}

static const struct nbd_export ours = {.size = OURS, .read = ours_read};

static struct nbd_client *connect_ours(struct nbd_server **server)
{
    struct nbd_address address = {.role = "x"};
    struct nbd_client *client = NULL;
    struct error err;
    int fd;

    if (!CHECK_OK(nbd_server_start(&ours, server, &fd, &err), &err))
        exit(test_end());
    address.socket_fd = dup(fd);
    if (!CHECK_OK(nbd_client_open(&address, -1, &client, &err), &err))
        exit(test_end());
    return client;
}

static const struct {
    const char *name;
    uint64_t disk_offset, length;
} ranges[] = {
    {"nothing", 0, 0},
    {"nothing at the end", OURS, 0},
    {"a byte", 0, 1},
    {"the last byte", OURS - 1, 1},
    {"a piece", 0, K(256)},
    {"a piece from an odd offset", 12345, K(256)},
    {"some pieces", K(256), M(1)},
    {"as many pieces as are in flight", 0, M(4)},
    {"more pieces than are in flight", 1, M(4) + 1},
    {"the whole disk", 0, OURS},
};

static void test_ours(void)
{
    struct nbd_server *server;
    struct nbd_client *client = connect_ours(&server);
    struct taken t = {0};
    struct error err = {0};

    TEST("the size is known");
    CHECK_UINT(nbd_client_size(client), OURS);
    for (size_t i = 0; i < N_ELEMENTS(ranges); i++) {
        TEST(ranges[i].name);
        check_range(client, ranges[i].disk_offset, ranges[i].length);
    }

    TEST("many ranges can be asked for before any is waited for");
    for (uint64_t at = 0; at < OURS; at += 200001) {
        uint64_t length = io_min(200001, OURS - at);

        CHECK_OK(nbd_client_read(client, at, length, take, &t, &err), &err);
    }
    CHECK(t.disk_offset < OURS);
    CHECK_OK(nbd_client_finish(client, &err), &err);
    CHECK_UINT(t.disk_offset, OURS);
    CHECK_OK(nbd_client_finish(client, &err), &err);
    CHECK_UINT(t.disk_offset, OURS);
    nbd_client_free(client);
    nbd_server_stop(server);
}

static void test_ours_fails(void)
{
    struct nbd_server *server;
    struct nbd_client *client = connect_ours(&server);
    struct taken t = {0};
    struct error err = {0};

    TEST("of what cannot be read the first piece is named");
    ours_bad_from = M(2) + 1;
    check_begins(read_range(client, M(1) + 5, M(5), &t, &err), &err,
                 "x: cannot read at disk offset 2097152: ");
    CHECK_UINT(t.disk_offset, M(2));
    nbd_client_free(client);
    nbd_server_stop(server);
    ours_bad_from = UINT64_MAX;

    TEST("what cannot be taken is the taker's error");
    client = connect_ours(&server);
    t.refused_at = M(1);
    CHECK_FAILS(read_range(client, 5, M(6), &t, &err), &err,
                "taker: No space left on device");
    CHECK_UINT(t.disk_offset, M(1));
    nbd_client_free(client);
    nbd_server_stop(server);

    TEST("a server that is gone is an error");
    client = connect_ours(&server);
    t = (struct taken){0};
    check_range(client, 0, K(1));
    nbd_server_stop(server);
    check_begins(read_range(client, K(4), M(8), &t, &err), &err,
                 "x: cannot read at disk offset 4096: ");
    nbd_client_free(client);
}

/* Is fd's other end closed?  It may not have read all. */
static bool is_at_end(int fd)
{
    char byte;
    ssize_t n = io_read(fd, &byte, 1);

    return n == 0 || (n == -1 && errno == ECONNRESET);
}

static void test_socket(void)
{
    struct nbd_address address = {.role = "x"};
    struct nbd_client *client = NULL;
    struct error err = {0};
    int fds[2], cancel[2];

    TEST("one that hangs up cannot be connected to");
    test_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0,
                 "socketpair");
    close(fds[1]);
    address.socket_fd = fds[0];
    check_begins(nbd_client_open(&address, -1, &client, &err), &err,
                 "x: cannot connect: ");

    TEST("one that speaks something else cannot be connected to");
    test_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0,
                 "socketpair");
    CHECK_INT(io_write_full(fds[1], "HTTP/1.1 400 Bad Request\r\n\r\n", 28),
              0);
    address.socket_fd = fds[0];
    check_begins(nbd_client_open(&address, -1, &client, &err), &err,
                 "x: cannot connect: ");
    CHECK(is_at_end(fds[1]));
    close(fds[1]);

    TEST("a wait for one that says nothing can be cancelled");
    test_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0,
                 "socketpair");
    test_require(pipe2(cancel, O_CLOEXEC) == 0, "pipe2");
    CHECK_INT(io_write_full(cancel[1], "", 1), 0);
    address.socket_fd = fds[0];
    CHECK_FAILS(nbd_client_open(&address, cancel[0], &client, &err), &err,
                "x: NBD: Operation canceled");
    CHECK(is_at_end(fds[1]));
    close(fds[1]);
    close(cancel[0]);
    close(cancel[1]);
    CHECK(client == NULL);
    nbd_client_free(client); /* NULL is fine */
}

/* ------------------------------------------------------------- others */

static struct nbd_client *connect_peer(struct peer *p)
{
    const struct nbd_address address = {
        .role = "x",
        .socket_fd = -1,
        .socket_path = p->path,
        .export_name = "",
    };
    struct nbd_client *client = NULL;
    struct error err;

    peer_open(p);
    if (!CHECK_OK(nbd_client_open(&address, -1, &client, &err), &err))
        exit(test_end());
    CHECK_UINT(nbd_client_size(client), p->size);
    return client;
}

static void disconnect(struct nbd_client *client, struct peer *p)
{
    nbd_client_free(client);
    peer_close(p);
}

static const struct {
    const char *name;
    struct peer peer;
    unsigned connections; /* that are used */
} peers[] = {
    {"one that has nothing but reads", {.size = M(5)}, 1},
    {"one that has structured replies",
     {.size = M(5), .is_structured = true},
     1},
    {"one that has block status, too",
     {.size = M(5), .is_structured = true, .has_status = true},
     1},
    {"one that answers in another order",
     {.size = M(9), .is_reversing = true},
     1},
    {"one that answers in another order, with structured replies",
     {.size = M(9), .is_structured = true, .is_reversing = true},
     1},
    {"one for several connections", {.size = M(9), .is_multi = true}, 4},
    {"one for several connections, with structured replies",
     {.size = M(9), .is_multi = true, .is_structured = true},
     4},
    {"several connections, each in another order",
     {.size = M(17), .is_multi = true, .is_reversing = true},
     4},
    {"one that says several connections, but means one",
     {.size = M(5), .is_multi = true, .most_accepted = 1},
     1},
    {"one that says several connections, but means two",
     {.size = M(5), .is_multi = true, .most_accepted = 2},
     2},
    {"blocks of a byte",
     {.size = M(5) + 1, .block_minimum = 1, .block_maximum = 32 << 20},
     1},
    {"blocks of 512 bytes",
     {.size = M(5), .block_minimum = 512, .block_maximum = 32 << 20},
     1},
    {"blocks of 4 KiB",
     {.size = M(5), .block_minimum = 4096, .block_maximum = 32 << 20},
     1},
    {"blocks of 64 KiB, and little at once",
     {.size = M(5), .block_minimum = 65536, .block_maximum = 65536},
     1},
    {"blocks of 512 bytes, and an odd number of them at once",
     {.size = M(5), .block_minimum = 512, .block_maximum = 1536},
     1},
    {"several connections with blocks",
     {.size = M(5),
      .is_multi = true,
      .is_reversing = true,
      .block_minimum = 4096,
      .block_maximum = 1 << 20},
     4},
};

static void test_peers(void)
{
    for (size_t i = 0; i < N_ELEMENTS(peers); i++) {
        struct peer p = peers[i].peer;
        struct nbd_client *client;

        TEST(peers[i].name);
        client = connect_peer(&p);
        check_range(client, 0, p.size);
        check_range(client, 12345, M(1));
        check_range(client, p.size - 513, 513);
        check_range(client, 511, 2);
        CHECK_UINT(p.bad_reads, 0);
        /* The first is for block status, if there are others. */
        if (p.is_structured && peers[i].connections == 1)
            CHECK_UINT(p.simple_reads, 0);
        else
            CHECK_UINT(p.structured_reads, 0);
        disconnect(client, &p);
        CHECK_UINT(p.n_connections, peers[i].connections);
    }
}

static void test_peer_fails(void)
{
    struct peer template = {.size = M(8)};
    struct error err = {0};

    for (int i = 0; i < 8; i++) {
        struct peer p = template;
        struct nbd_client *client;
        struct taken t = {0};

        p.is_structured = i & 1;
        p.is_multi = i & 2;
        if (i & 4) {
            TEST("where it hangs up is named");
            p.hang_up_from = M(3) + 1;
        } else {
            TEST("where it cannot read is named");
            p.bad_from = M(3) + 1;
        }
        client = connect_peer(&p);
        check_range(client, 0, M(3));
        check_begins(read_range(client, M(3), M(5), &t, &err), &err,
                     "x: cannot read at disk offset 3145728: ");
        CHECK_UINT(t.disk_offset, M(3));
        disconnect(client, &p);
    }

    TEST("before that all is read");
    for (int i = 0; i < 2; i++) {
        struct peer p = template;
        struct nbd_client *client;
        struct taken t = {0};

        p.is_structured = i;
        p.bad_from = M(3) + 1;
        client = connect_peer(&p);
        check_begins(read_range(client, M(1), M(7), &t, &err), &err,
                     "x: cannot read at disk offset 3145728: ");
        CHECK_UINT(t.disk_offset, M(3));
        disconnect(client, &p);
    }
}

/* A server that has less than it should is not asked for more. */
static void test_behind_end(void)
{
    static const struct {
        uint64_t disk_offset, length;
        const char *text;
    } wanted[] = {
        {0, M(1) + 1, "1048576: the export has only 1048576 bytes"},
        {M(1) - 512, 1024, "1048576: the export has only 1048576 bytes"},
        {M(1), 1, "1048576: the export has only 1048576 bytes"},
        {M(8), M(1), "8388608: the export has only 1048576 bytes"},
        {M(1), UINT64_MAX, "1048576: the export has only 1048576 bytes"},
    };
    struct peer p = {.size = M(1)};
    struct nbd_client *client = connect_peer(&p);

    for (size_t i = 0; i < N_ELEMENTS(wanted); i++) {
        char text[100];
        struct taken t = {0};
        struct error err = {0};

        TEST("what is behind the end of an export cannot be read");
        snprintf(text, sizeof text, "x: cannot read at disk offset %s",
                 wanted[i].text);
        CHECK_FAILS(read_range(client, wanted[i].disk_offset, wanted[i].length,
                               &t, &err),
                    &err, text);
    }
    check_range(client, 0, M(1));
    disconnect(client, &p);
}

/* libnbd would not ask for it. */
static void test_last_block(void)
{
    struct peer p = {.size = M(1) + 512,
                     .block_minimum = 4096,
                     .block_maximum = 32 << 20};
    struct error err = {0};

    TEST("an export whose last block is not whole is refused");
    peer_open(&p);
    CHECK_FAILS(open_peer(&p, -1, &err), &err,
                "x: NBD: the export has 1049088 bytes, in blocks of 4096");
    peer_close(&p);
}

static void test_cancelled(void)
{
    struct peer p = {.size = M(8), .is_silent = true};
    const struct nbd_address address = {
        .role = "x",
        .socket_fd = -1,
        .socket_path = p.path,
        .export_name = "",
    };
    struct nbd_client *client = NULL;
    struct taken t = {0};
    struct error err = {0};
    int cancel[2];

    TEST("a wait for what is read can be cancelled");
    test_require(pipe2(cancel, O_CLOEXEC) == 0, "pipe2");
    peer_open(&p);
    CHECK_OK(nbd_client_open(&address, cancel[0], &client, &err), &err);
    CHECK_OK(nbd_client_read(client, 0, K(1), take, &t, &err), &err);
    CHECK_INT(io_write_full(cancel[1], "", 1), 0);
    CHECK_FAILS(nbd_client_finish(client, &err), &err,
                "x: NBD: Operation canceled");
    CHECK_UINT(t.disk_offset, 0);
    disconnect(client, &p);
    close(cancel[0]);
    close(cancel[1]);
}

static void be_signalled(void)
{
    struct peer p = {.size = M(8), .is_silent = true};
    struct nbd_client *client;
    struct taken t = {0};
    struct error err = {0};

    client = connect_peer(&p);
    CHECK_OK(signals_open(&err), &err);
    raise(SIGTERM);
    CHECK_FAILS(read_range(client, 0, M(8), &t, &err), &err,
                "x: NBD: Interrupted system call");
    CHECK_UINT(t.disk_offset, 0);
    nbd_client_free(client);
    unlink(p.path);
}

int main(void)
{
    test_begin();
    signal(SIGPIPE, SIG_IGN);
    test_ours();
    test_ours_fails();
    test_socket();
    test_peers();
    test_peer_fails();
    test_behind_end();
    test_last_block();
    test_cancelled();
    TEST("a signal ends the wait for a server");
    test_in_child(be_signalled);
    return test_end();
}
