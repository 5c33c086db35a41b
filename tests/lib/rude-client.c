/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A program in QEMU's place that is rude to the bridge.
 *
 *     rude-client KIND ARG...
 *
 * Among the ARGs is the fd of its end, as QEMU is told of it.  It does there
 * what kinds[] says of KIND, and looks at what it is answered.  Then it says
 * "as expected" or what else came on standard error, and exits with 1; or, if
 * KIND begins with a "+", it says so to nobody and exits with 0, as if it had
 * done its work.
 */

#include "config.h"

#include "../unit/nbd-wire.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fd;
static uint64_t size; /* of the export */
static bool is_writable;
static unsigned char buf[4 << 20];

static void fail(const char *what)
{
    fprintf(stderr, "rude-client: not so: %s\n", what);
    exit(EXIT_FAILURE);
}

/* A signal would tell nothing. */
static bool put_all(const void *data, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t n =
            send(fd, (const char *)data + done, length - done, MSG_NOSIGNAL);

        if (n == -1)
            return false;
        done += n;
    }
    return true;
}

static void take_all(size_t length)
{
    if (length > 0 && recv(fd, buf, length, MSG_WAITALL) != (ssize_t)length)
        fail("an answer was cut off");
}

/* Is nothing more to be had, and that within a minute? */
static void must_be_cut_off(void)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (poll(&p, 1, 60000) == 1)
        if (recv(fd, buf, sizeof buf, 0) <= 0)
            return;
    fail("the connection is still there");
}

/* ----------------------------------------------------------- negotiation */

static void greet(void)
{
    unsigned char flags[4];

    take_all(18);
    put32(flags, 3);
    put_all(flags, sizeof flags);
}

static void put_option(uint32_t option, uint32_t length)
{
    unsigned char header[16];

    memcpy(header, OPTION_MAGIC, 8);
    put32(put32(header + 8, option), length);
    put_all(header, sizeof header);
}

static void go(void)
{
    static const unsigned char no_name[6];

    greet();
    put_option(OPT_GO, sizeof no_name);
    put_all(no_name, sizeof no_name);
    take_all(20 + 12); /* NBD_INFO_EXPORT */
    size = get(buf + 22, 8);
    is_writable = !(get(buf + 30, 2) & 2);
    take_all(20 + 14 + 20);
}

/* -------------------------------------------------------------- requests */

static bool put_request(uint16_t type, uint64_t offset, uint32_t length)
{
    unsigned char request[28], *p = put32(request, REQUEST_MAGIC);

    p = put64(put16(put16(p, 0), type), 0);
    put32(put64(p, offset), length);
    return put_all(request, sizeof request);
}

/* What is answered to a request that moves no bytes. */
static void must_be_refused(uint16_t type, uint64_t offset, uint32_t length)
{
    put_request(type, offset, length);
    take_all(16);
    if (get(buf, 4) != SIMPLE_REPLY_MAGIC || get(buf + 4, 4) == 0)
        fail("a request was not refused");
}

/* What there is can be had, or is not here yet. */
static void must_be_answered(uint64_t offset, uint32_t length)
{
    put_request(CMD_READ, offset, length);
    take_all(16);
    if (get(buf, 4) != SIMPLE_REPLY_MAGIC)
        fail("that was no answer");
    if (get(buf + 4, 4) == 0)
        take_all(length);
}

/* ----------------------------------------------------------------- kinds */

static void no_greeting(void)
{
    put_request(CMD_READ, 0, 512);
    must_be_cut_off();
}

static void bad_option(void)
{
    greet();
    put_all("IHAVEOPU\0\0\0\7\0\0\0\0", 16);
    must_be_cut_off();
}

static void half_option(void)
{
    greet();
    put_option(OPT_GO, UINT32_MAX);
    put_all(buf, sizeof buf);
}

static void bad_magic(void)
{
    go();
    memset(buf, 'x', 28);
    put_all(buf, 28);
    must_be_cut_off();
}

static void half_request(void)
{
    go();
    put_all("\x25\x60\x95\x13\0\0", 6);
}

static void half_payload(void)
{
    go();
    put_request(CMD_WRITE, 0, 1 << 20);
    put_all(buf, 1000);
}

static void refused(void)
{
    go();
    must_be_refused(CMD_READ, 0, MAX_PAYLOAD + 1);
    must_be_refused(CMD_READ, 0, UINT32_MAX);
    must_be_refused(CMD_READ, size, 1);
    must_be_refused(CMD_READ, size - 1, 2);
    must_be_refused(CMD_READ, UINT64_MAX, 1);
    must_be_refused(CMD_READ, UINT64_MAX - 99, 200);
    must_be_refused(CMD_WRITE_ZEROES, size, 512);
    must_be_refused(CMD_TRIM, UINT64_MAX, UINT32_MAX);
    must_be_refused(CMD_CACHE, 0, 512);
    must_be_refused(CMD_BLOCK_STATUS, 0, 512);
    must_be_refused(0xffff, 0, 512);
    if (!is_writable)
        must_be_refused(CMD_WRITE_ZEROES, 0, 512);
}

static void unaligned(void)
{
    go();
    must_be_answered(0, 1);
    must_be_answered(1, 3);
    must_be_answered(511, 514);
    must_be_answered(4095, 0);
    must_be_answered(17, 99);
}

static void skipped(void)
{
    go();
    put_request(CMD_WRITE, 0, MAX_PAYLOAD + 1);
    for (int i = 0; i < 8; i++)
        put_all(buf, 4 << 20);
    put_all(buf, 1);
    take_all(16);
    if (get(buf + 4, 4) == 0)
        fail("a payload that is too long was not refused");
    must_be_answered(0, 4);
}

/* As many requests as there is room for, and no answer is read. */
static void flood(void)
{
    int flags = SOCK_NONBLOCK;

    go();
    for (int i = 0; i < 20000; i++) {
        unsigned char request[28], *p = put32(request, REQUEST_MAGIC);

        p = put64(put16(put16(p, 0), CMD_READ), i);
        put32(put64(p, 0), 65536);
        if (send(fd, request, sizeof request, MSG_DONTWAIT | MSG_NOSIGNAL) ==
            -1)
            flags = 0;
    }
    if (flags != 0)
        fail("there was room for all of them");
}

static void flood_and_sleep(void)
{
    flood();
    sleep(600);
}

static void after_the_end(void)
{
    go();
    put_request(CMD_DISC, 0, 0);
    put_request(CMD_READ, 0, 512);
    must_be_cut_off();
}

static void silence(void)
{
    go();
}

static const struct {
    const char *name;
    void (*run)(void);
} kinds[] = {
    {"no-greeting", no_greeting},
    {"bad-option", bad_option},
    {"half-option", half_option},
    {"bad-magic", bad_magic},
    {"half-request", half_request},
    {"half-payload", half_payload},
    {"refused", refused},
    {"unaligned", unaligned},
    {"skipped", skipped},
    {"flood", flood},
    {"flood-and-sleep", flood_and_sleep},
    {"after-the-end", after_the_end},
    {"silence", silence},
};

/* "...,"str":"7"}", or "...server.str=7,...": the first of them. */
static bool find_fd(int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        const char *at = strstr(argv[i], "str\":\"");

        if (at == NULL)
            at = strstr(argv[i], ".str=");
        if (at == NULL)
            continue;
        fd = atoi(at + strcspn(at, "0123456789"));
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    const char *kind = argc < 2 ? "" : argv[1];
    bool is_quiet = kind[0] == '+';

    if (!find_fd(argc, argv))
        fail("there is no fd");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kind + is_quiet, kinds[i].name) == 0) {
            kinds[i].run();
            if (!is_quiet)
                fputs("rude-client: as expected\n", stderr);
            return is_quiet ? EXIT_SUCCESS : EXIT_FAILURE;
        }
    fail("there is no such kind");
}
