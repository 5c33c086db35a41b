/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the bridge with a client that does what QEMU never would. */

#include "config.h"

#include "bridge-client.h"

#include <libnbd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

/* ---------------------------------------------------------- negotiation */

/* An option, and what it is answered with.  Its data is longer than what is
 * here by zeroes.
 */
static const struct {
    const char *name;
    uint32_t option;
    char data[16];
    uint32_t length;
    uint32_t reply;
} options[] = {
    {"information on the only export can be had", OPT_INFO, "", 6, REP_ACK},
    {"any name is the only export's", OPT_INFO, "\0\0\0\4disk\0", 10, REP_ACK},
    {"the longest name is the only export's", OPT_INFO, "\0\0\x10\0", 4102,
     REP_ACK},
    {"a client may say what it wants to know", OPT_INFO,
     "\0\0\0\1x\0\2\0\0\0\3", 11, REP_ACK},
    {"an option without data lacks a name", OPT_INFO, "", 0, REP_ERR_INVALID},
    {"half a length of a name is none", OPT_INFO, "", 3, REP_ERR_INVALID},
    {"a name without a count is refused", OPT_INFO, "", 5, REP_ERR_INVALID},
    {"a name longer than the data is refused", OPT_INFO, "\0\0\0\5disk\0", 10,
     REP_ERR_INVALID},
    {"a name shorter than the data is refused", OPT_INFO, "\0\0\0\3disk\0", 10,
     REP_ERR_INVALID},
    {"a name of 4 GiB is refused", OPT_INFO, "\xff\xff\xff\xff", 100,
     REP_ERR_INVALID},
    {"a name of nearly 4 GiB is refused", OPT_INFO, "\xff\xff\xff\xfa", 6,
     REP_ERR_INVALID},
    {"more wishes than there are is refused", OPT_INFO, "\0\0\0\0\0\2\0\3", 8,
     REP_ERR_INVALID},
    {"fewer wishes than there are is refused", OPT_INFO, "\0\0\0\0\0\1\0\3\0",
     10, REP_ERR_INVALID},
    {"65535 wishes are too many", OPT_INFO, "\0\0\0\0\xff\xff", 6,
     REP_ERR_INVALID},
    {"to go needs a name, too", OPT_GO, "", 2, REP_ERR_INVALID},
    {"there is no list", OPT_LIST, "", 0, REP_ERR_UNSUP},
    {"there is no TLS", OPT_STARTTLS, "", 0, REP_ERR_UNSUP},
    {"there are no structured replies", OPT_STRUCTURED_REPLY, "", 0,
     REP_ERR_UNSUP},
    {"there are no contexts", OPT_SET_META_CONTEXT, "base:allocation", 15,
     REP_ERR_UNSUP},
    {"an unknown option is refused", 0x7fffffff, "abc", 3, REP_ERR_UNSUP},
    {"an unknown option's data is skipped", 99, "IHAVEOPT\0\0\0\7", 8192,
     REP_ERR_UNSUP},
    {"too much data is refused", 99, "IHAVEOPT\0\0\0\7", 8193,
     REP_ERR_TOO_BIG},
    {"too long a name is refused", OPT_GO, "", 8193, REP_ERR_TOO_BIG},
    {"megabytes of data are skipped", OPT_INFO, "", 40 << 20, REP_ERR_TOO_BIG},
};

static void test_options(void)
{
    struct client c;

    client_open(&c, false);
    TEST("the server greets");
    client_greet(&c);
    for (size_t i = 0; i < N_ELEMENTS(options); i++) {
        uint32_t length = options[i].length, option = options[i].option;
        char *data = calloc(1, length + sizeof options[i].data);

        TEST(options[i].name);
        test_require(data != NULL, "calloc");
        memcpy(data, options[i].data, sizeof options[i].data);
        CHECK(client_send_option(&c, option, data, length));
        free(data);
        if (options[i].reply == REP_ACK)
            client_check_infos(&c, option);
        else
            client_check_reply(&c, option, options[i].reply, NULL, 0);
    }
    TEST("after all that requests can begin");
    client_go(&c);
    client_check_in_step(&c);
    client_close(&c);
}

static void test_negotiation_ends(void)
{
    static const unsigned char bad_magic[16] = "IHAVEOPU";
    struct client c;

    TEST("a client may give up");
    client_open(&c, false);
    client_greet(&c);
    CHECK(client_send_option(&c, OPT_ABORT, NULL, 0));
    client_check_reply(&c, OPT_ABORT, REP_ACK, NULL, 0);
    CHECK(client_is_cut_off(&c));
    client_close(&c);

    TEST("an option with the wrong magic number is the end");
    client_open(&c, false);
    client_greet(&c);
    CHECK(client_send(&c, bad_magic, sizeof bad_magic));
    CHECK(client_is_cut_off(&c));
    client_close(&c);

    TEST("a client that leaves inside an option is gone");
    client_open(&c, false);
    client_greet(&c);
    CHECK(client_send(&c, bad_magic, 5));
    shutdown(c.fd, SHUT_WR);
    CHECK(client_is_cut_off(&c));
    client_close(&c);

    TEST("requests that come before the negotiation is over are the end");
    client_open(&c, false);
    client_greet(&c);
    CHECK(client_send_request(&c, CMD_READ, 0, 10));
    CHECK(client_is_cut_off(&c));
    CHECK_UINT(c.disk.reads, 0);
    client_close(&c);
}

/* ------------------------------------------------------------- requests */

#define END ((uint64_t)DISK_SIZE)

/* On a writable disk, one after the other on one connection. */
static const struct {
    const char *name;
    uint16_t type;
    uint64_t offset;
    uint32_t length;
    uint32_t error;
} requests[] = {
    {"a byte can be read", CMD_READ, 5000, 1, 0},
    {"nothing can be read", CMD_READ, 5000, 0, 0},
    {"the last byte can be read", CMD_READ, END - 1, 1, 0},
    {"nothing can be read at the end", CMD_READ, END, 0, 0},
    {"the largest payload can be read", CMD_READ, 1, MAX_PAYLOAD, 0},
    {"a larger payload cannot", CMD_READ, 1, MAX_PAYLOAD + 1, NBD_EOVERFLOW},
    {"a byte past the end is not there", CMD_READ, END, 1, NBD_EINVAL},
    {"a read across the end is refused", CMD_READ, END - 10, 11, NBD_EINVAL},
    {"nothing past the end is not there", CMD_READ, END + 1, 0, NBD_EINVAL},
    {"an offset that wraps around is refused", CMD_READ, UINT64_MAX, 1,
     NBD_EINVAL},
    {"an offset that wraps around to a good one is refused", CMD_READ,
     UINT64_MAX - 99, 200, NBD_EINVAL},
    {"4 GiB cannot be read", CMD_READ, 0, UINT32_MAX, NBD_EINVAL},

    {"a byte can be written", CMD_WRITE, 5000, 1, 0},
    {"nothing can be written", CMD_WRITE, 5000, 0, 0},
    {"the last byte can be written", CMD_WRITE, END - 1, 1, 0},
    {"the largest payload can be written", CMD_WRITE, 1, MAX_PAYLOAD, 0},
    {"a larger payload is refused, and skipped", CMD_WRITE, 1, MAX_PAYLOAD + 1,
     NBD_EOVERFLOW},
    {"a much larger payload is refused, and skipped", CMD_WRITE, 1,
     2 * MAX_PAYLOAD + 77, NBD_EOVERFLOW},
    {"a write past the end is refused, and skipped", CMD_WRITE, END, 1000,
     NBD_ENOSPC},
    {"a write across the end is refused, and skipped", CMD_WRITE, END - 10, 11,
     NBD_ENOSPC},
    {"a write far behind the end is refused, and skipped", CMD_WRITE,
     UINT64_MAX, 512, NBD_ENOSPC},

    {"a range can be zeroed", CMD_WRITE_ZEROES, 100, 5000, 0},
    {"all can be zeroed", CMD_WRITE_ZEROES, 0, DISK_SIZE, 0},
    {"nothing can be zeroed", CMD_WRITE_ZEROES, 100, 0, 0},
    {"what is not there cannot be zeroed", CMD_WRITE_ZEROES, END - 1, 2,
     NBD_ENOSPC},
    {"4 GiB cannot be zeroed", CMD_WRITE_ZEROES, 0, UINT32_MAX, NBD_ENOSPC},
    {"a range can be trimmed", CMD_TRIM, 100, 5000, 0},
    {"what is not there cannot be trimmed", CMD_TRIM, UINT64_MAX, 2,
     NBD_ENOSPC},

    {"a flush is done at once", CMD_FLUSH, 0, 0, 0},
    {"a command that was not offered is refused", CMD_CACHE, 0, 512,
     NBD_EINVAL},
    {"block status was not offered", CMD_BLOCK_STATUS, 0, 512, NBD_EINVAL},
    {"an unknown command is refused", 0xffff, 0, 512, NBD_EINVAL},
};

static unsigned char payload[2 * MAX_PAYLOAD + 100];

/* Sends a request and its payload, and checks what comes back. */
static void check_request(struct client *c, uint16_t type, uint64_t offset,
                          uint32_t length, uint32_t error)
{
    if (!CHECK(client_send_request(c, type, offset, length)) ||
        (type == CMD_WRITE && !CHECK(client_send(c, payload, length))) ||
        !client_check_error(c, type, offset, error) || error != 0)
        return;
    if (type == CMD_READ) {
        static unsigned char buf[MAX_PAYLOAD];

        CHECK(client_receive(c, buf, length));
        CHECK(memcmp(buf, c->disk.bytes + offset, length) == 0);
    } else if (type == CMD_WRITE) {
        CHECK(memcmp(payload, c->disk.bytes + offset, length) == 0);
    } else if (type == CMD_WRITE_ZEROES || type == CMD_TRIM) {
        CHECK(io_is_zero(c->disk.bytes + offset, length));
    }
}

static void test_requests(void)
{
    struct client c;

    test_fill_random(payload, 1 << 20);
    client_open(&c, true);
    client_greet(&c);
    client_go(&c);
    for (size_t i = 0; i < N_ELEMENTS(requests); i++) {
        unsigned reads = c.disk.reads, others = c.disk.writes + c.disk.zeroes;

        TEST(requests[i].name);
        check_request(&c, requests[i].type, requests[i].offset,
                      requests[i].length, requests[i].error);
        if (requests[i].error != 0) {
            CHECK_UINT(c.disk.reads, reads);
            CHECK_UINT(c.disk.writes + c.disk.zeroes, others);
        }
        client_check_in_step(&c);
    }
    client_close(&c);
}

static void test_read_only(void)
{
    static const struct {
        uint16_t type;
        uint32_t length;
    } writes[] = {
        {CMD_WRITE, 0},        {CMD_WRITE, 4096},       {CMD_WRITE, 1 << 20},
        {CMD_WRITE_ZEROES, 0}, {CMD_WRITE_ZEROES, 512}, {CMD_TRIM, 512},
    };
    struct client c;

    TEST("what is shown read-only is not written");
    client_open(&c, false);
    client_greet(&c);
    client_go(&c);
    for (size_t i = 0; i < N_ELEMENTS(writes); i++) {
        check_request(&c, writes[i].type, 512, writes[i].length, NBD_EPERM);
        client_check_in_step(&c);
    }
    check_request(&c, CMD_FLUSH, 0, 0, 0);
    CHECK_UINT(c.disk.writes + c.disk.zeroes, 0);
    client_close(&c);
}

static void test_disk_errors(void)
{
    static const struct {
        const char *name;
        int errnum;
        uint32_t error;
    } failures[] = {
        {"an error of the disk is told", EIO, NBD_EIO},
        {"a full disk is told", ENOSPC, NBD_ENOSPC},
        {"no memory is told", ENOMEM, NBD_ENOMEM},
        {"no permission is told", EPERM, NBD_EPERM},
        {"what NBD has no number for is EIO", EROFS, NBD_EIO},
    };
    static const uint16_t types[] = {CMD_READ, CMD_WRITE, CMD_WRITE_ZEROES,
                                     CMD_TRIM};
    struct client c;

    client_open(&c, true);
    client_greet(&c);
    client_go(&c);
    for (size_t i = 0; i < N_ELEMENTS(failures); i++)
        for (size_t j = 0; j < N_ELEMENTS(types); j++) {
            TEST(failures[i].name);
            c.disk.fails_with = failures[i].errnum;
            check_request(&c, types[j], 512, 1000, failures[i].error);
            c.disk.fails_with = 0;
            client_check_in_step(&c);
        }
    client_close(&c);
}

static void test_requests_at_once(void)
{
    enum { MANY = 100 };
    unsigned char byte;
    struct client c;

    TEST("requests that are sent at once are answered in order");
    client_open(&c, true);
    client_greet(&c);
    client_go(&c);
    for (uint64_t i = 0; i < MANY; i++) {
        CHECK(client_send_request(&c, CMD_WRITE, i, 1));
        CHECK(client_send(&c, payload + i, 1));
        CHECK(client_send_request(&c, CMD_READ, i, 1));
    }
    for (uint64_t i = 0; i < MANY; i++) {
        client_check_error(&c, CMD_WRITE, i, 0);
        client_check_error(&c, CMD_READ, i, 0);
        CHECK(client_receive(&c, &byte, 1));
        CHECK_INT(byte, payload[i]);
    }
    client_close(&c);
}

/* ------------------------------------------------------------- the ends */

static void test_connection_ends(void)
{
    static const unsigned char bad_magic[28] = {0x25, 0x60, 0x95, 0x14};
    struct client c;

    TEST("a client may leave");
    client_open(&c, true);
    client_greet(&c);
    client_go(&c);
    CHECK(client_send_request(&c, CMD_DISC, 0, 0));
    CHECK(client_is_cut_off(&c));
    client_close(&c);

    TEST("a request with the wrong magic number is the end");
    client_open(&c, true);
    client_greet(&c);
    client_go(&c);
    CHECK(client_send(&c, bad_magic, sizeof bad_magic));
    CHECK(client_is_cut_off(&c));
    client_close(&c);

    TEST("a client that leaves inside its payload has written nothing");
    client_open(&c, true);
    client_greet(&c);
    client_go(&c);
    CHECK(client_send_request(&c, CMD_WRITE, 0, 1000));
    CHECK(client_send(&c, payload, 999));
    shutdown(c.fd, SHUT_WR);
    CHECK(client_is_cut_off(&c));
    CHECK_UINT(c.disk.writes, 0);
    client_close(&c);
}

/* Where the server, or the client, is when the server is stopped. */
static void reach_nothing(struct client *c)
{
    (void)c;
}

static void reach_options(struct client *c)
{
    client_greet(c);
}

static void reach_requests(struct client *c)
{
    client_greet(c);
    client_go(c);
}

static void reach_payload(struct client *c)
{
    reach_requests(c);
    client_send_request(c, CMD_WRITE, 0, MAX_PAYLOAD);
    client_send(c, payload, 100000);
}

static void reach_skipping(struct client *c)
{
    reach_requests(c);
    client_send_request(c, CMD_WRITE, 0, UINT32_MAX);
    client_send(c, payload, 100000);
}

/* It writes more than the socket takes, and nobody reads. */
static void reach_reply(struct client *c)
{
    unsigned char byte;

    reach_requests(c);
    client_send_request(c, CMD_READ, 0, MAX_PAYLOAD);
    client_receive(c, &byte, 1);
}

static void *wait_for_reply(void *fd)
{
    char byte;

    while (io_read(*(int *)fd, &byte, 1) > 0)
        ;
    return NULL;
}

static void test_stop(void)
{
    static const struct {
        const char *name;
        void (*reach)(struct client *c);
        bool client_waits;
    } stops[] = {
        {"a server can be stopped that nobody spoke to", reach_nothing, false},
        {"a server can be stopped that waits for an option", reach_options,
         false},
        {"a server can be stopped that waits for a request", reach_requests,
         false},
        {"a server can be stopped that waits for a payload", reach_payload,
         false},
        {"a server can be stopped that skips a payload", reach_skipping,
         false},
        {"a server can be stopped that waits for the client to read",
         reach_reply, false},
        {"a server that is stopped ends a client that waits", reach_requests,
         true},
        {"a server that is stopped ends a client inside a reply", reach_reply,
         true},
    };

    for (size_t i = 0; i < N_ELEMENTS(stops); i++) {
        pthread_t thread;
        struct client c;
        int fd;

        TEST(stops[i].name);
        client_open(&c, true);
        stops[i].reach(&c);
        fd = dup(c.fd);
        test_require(fd != -1, "dup");
        if (stops[i].client_waits)
            pthread_create(&thread, NULL, wait_for_reply, &fd);
        client_close(&c);
        if (stops[i].client_waits)
            pthread_join(thread, NULL);
        close(fd);
    }
    nbd_server_stop(NULL);
}

/* ------------------------------------------------------- another client */

/* libnbd takes over the fd it is given. */
static struct nbd_handle *connect_libnbd(struct client *c)
{
    struct nbd_handle *nbd = nbd_create();
    int fd = dup(c->fd);

    test_require(nbd != NULL && fd != -1, "nbd_create");
    if (CHECK_INT(nbd_connect_socket(nbd, fd), 0))
        return nbd;
    fprintf(stderr, "    %s\n", nbd_get_error());
    nbd_close(nbd);
    return NULL;
}

static void check_random_requests(struct client *c, struct nbd_handle *nbd)
{
    enum { PART = 1 << 20, LONGEST = 100000 };
    unsigned char *expected = malloc(PART), *buf = malloc(LONGEST);

    test_require(expected != NULL && buf != NULL, "malloc");
    memcpy(expected, c->disk.bytes, PART);
    for (int i = 0; i < 300; i++) {
        uint64_t offset = test_random(PART - LONGEST);
        size_t length = 1 + test_random(LONGEST);

        switch (test_random(4)) {
        case 0:
            memcpy(buf, payload + offset / 2, length);
            CHECK_INT(nbd_pwrite(nbd, buf, length, offset, 0), 0);
            memcpy(expected + offset, buf, length);
            break;
        case 1:
            CHECK_INT(nbd_zero(nbd, length, offset, 0), 0);
            memset(expected + offset, 0, length);
            break;
        case 2:
            CHECK_INT(nbd_trim(nbd, length, offset, 0), 0);
            memset(expected + offset, 0, length);
            break;
        default:
            CHECK_INT(nbd_pread(nbd, buf, length, offset, 0), 0);
            CHECK_MEM(buf, expected + offset, length);
        }
    }
    CHECK_INT(nbd_flush(nbd, 0), 0);
    CHECK_MEM(c->disk.bytes, expected, PART);
    free(expected);
    free(buf);
}

static void test_libnbd(void)
{
    for (int is_writable = 0; is_writable < 2; is_writable++) {
        struct nbd_handle *nbd;
        struct client c;
        char byte = 1;

        TEST("libnbd is told what is shown, and gets on with it");
        client_open(&c, is_writable);
        nbd = connect_libnbd(&c);
        if (nbd == NULL) {
            client_close(&c);
            continue;
        }
        CHECK_INT(nbd_get_size(nbd), DISK_SIZE);
        CHECK_INT(nbd_is_read_only(nbd), !is_writable);
        CHECK_INT(nbd_can_flush(nbd), 1);
        CHECK_INT(nbd_can_zero(nbd), is_writable);
        CHECK_INT(nbd_can_trim(nbd), is_writable);
        CHECK_INT(nbd_can_fua(nbd), 0);
        CHECK_INT(nbd_can_multi_conn(nbd), 0);
        CHECK_INT(nbd_get_block_size(nbd, LIBNBD_SIZE_MINIMUM), 1);
        CHECK_INT(nbd_get_block_size(nbd, LIBNBD_SIZE_MAXIMUM), MAX_PAYLOAD);
        if (is_writable)
            check_random_requests(&c, nbd);

        /* Requests that libnbd itself would not send. */
        nbd_set_strict_mode(nbd, 0);
        CHECK_INT(nbd_pread(nbd, &byte, 1, DISK_SIZE, 0), -1);
        CHECK_INT(nbd_get_errno(), EINVAL);
        CHECK_INT(nbd_pwrite(nbd, &byte, 1, DISK_SIZE, 0), -1);
        CHECK_INT(nbd_get_errno(), is_writable ? ENOSPC : EPERM);
        CHECK_INT(nbd_pread(nbd, &byte, 1, 0, 0), 0);
        CHECK_INT(nbd_shutdown(nbd, 0), 0);
        nbd_close(nbd);
        client_close(&c);
    }
}

int main(void)
{
    test_begin();
    signal(SIGPIPE, SIG_IGN);
    test_options();
    test_negotiation_ends();
    test_requests();
    test_read_only();
    test_disk_errors();
    test_requests_at_once();
    test_connection_ends();
    test_stop();
    test_libnbd();
    return test_end();
}
