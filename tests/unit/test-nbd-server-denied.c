/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests that the bridge ends where a security module denies shutdown(2). */

#include "config.h"

#include "bridge-client.h"

#include <fcntl.h>

static unsigned denied;

/* Instead of the C library's. */
int shutdown(int fd, int how)
{
    (void)fd;
    (void)how;
    denied++;
    errno = EACCES;
    return -1;
}

/* It is the last one that has this end. */
static void leave(struct client *c)
{
    int fd = c->fd;

    client_close(c);
    CHECK(denied > 0);
    CHECK_INT(fcntl(fd, F_GETFD), -1);
}

static void test_waiting_server(void)
{
    struct client c;
    char byte;

    TEST("a server can be stopped that waits for a request");
    denied = 0;
    client_open(&c, true);
    client_greet(&c);
    client_go(&c);
    client_check_in_step(&c);
    leave(&c);

    TEST("a server can be stopped that waits for the client to read");
    denied = 0;
    client_open(&c, true);
    client_greet(&c);
    client_go(&c);
    client_send_request(&c, CMD_READ, 0, MAX_PAYLOAD);
    client_receive(&c, &byte, 1);
    leave(&c);
}

static void test_waiting_client(void)
{
    static const unsigned char bad_magic[28] = {0x25, 0x60, 0x95, 0x14};
    struct client c;

    TEST("a client that breaks the protocol waits for no answer");
    denied = 0;
    client_open(&c, true);
    client_greet(&c);
    client_go(&c);
    CHECK(client_send(&c, bad_magic, sizeof bad_magic));
    CHECK(client_is_cut_off(&c));
    leave(&c);
}

int main(void)
{
    test_begin();
    test_waiting_server();
    test_waiting_client();
    return test_end();
}
