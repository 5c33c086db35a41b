/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests connecting to NBD servers: by URI, by name, with certificates. */

#include "config.h"

#include "nbd-reading.h"
#include "nbd/tls.h"

#include <libnbd.h>

#define M(n) ((uint64_t)(n) << 20)

static void test_connecting(void)
{
    struct peer p = {.size = M(1)};
    struct nbd_address address = {.role = "x", .socket_fd = -1};
    struct nbd_client *client = NULL;
    struct error err = {0};
    char uri[400], message[500];

    TEST("a URI says where a server is");
    peer_open(&p);
    snprintf(uri, sizeof uri, "nbd+unix:///name?socket=%s", p.path);
    address.uri = uri;
    if (CHECK_OK(nbd_client_open(&address, -1, &client, &err), &err)) {
        check_range(client, 0, M(1));
        nbd_client_free(client);
    }
    peer_close(&p);

    TEST("where nobody listens there is no server");
    snprintf(message, sizeof message, "x: cannot connect to %s: ", p.path);
    check_begins(open_peer(&p, -1, &err), &err, message);
    snprintf(message, sizeof message, "x: cannot connect to %s: ", uri);
    check_begins(nbd_client_open(&address, -1, &client, &err), &err, message);

    TEST("what is no URI of NBD names no server");
    address.uri = "https://host/";
    check_begins(nbd_client_open(&address, -1, &client, &err), &err,
                 "x: cannot connect to https://host/: ");

    TEST("one that hangs up at once is no server");
    p = (struct peer){.greeting = "SSH-2.0-OpenSSH_9.2 "};
    peer_open(&p);
    snprintf(message, sizeof message, "x: cannot connect to %s: ", p.path);
    check_begins(open_peer(&p, -1, &err), &err, message);
    peer_close(&p);
}

/* @ stands for a directory with an authority's certificate.  message says what
 * is missing; NULL: nothing is, and it is tried.
 */
static const struct {
    const char *name, *uri, *message;
} verified[] = {
    {"a directory with an authority is good",
     "nbds://localhost:1/?tls-certificates=@", NULL},
    {"so is one behind other parameters",
     "nbds://localhost:1/name?tls-username=a&tls-certificates=@", NULL},
    {"so is one before other parameters",
     "nbds://localhost:1/name?tls-certificates=@;tls-username=a", NULL},
    {"so is one whose name is in code",
     "nbds://localhost:1/?tls-certificates=%2F@", NULL},
    {"shared keys need no authority",
     "nbds://localhost:1/?tls-psk-file=/nonexistent", NULL},
    {"a directory without an authority is not good",
     "nbds://localhost:1/?tls-certificates=/", "there is no //ca-cert.pem"},
    {"neither is one that is not there",
     "nbds://localhost:1/?tls-certificates=/non%65xistent",
     "there is no /nonexistent/ca-cert.pem"},
    {"a name in code is no directory twice",
     "nbds://localhost:1/?tls-certificates=/%2565",
     "there is no /%65/ca-cert.pem"},
    {"half a code is no URI", "nbds://localhost:1/?tls-certificates=/a%4",
     "that is not a URI (RFC 3986)"},
    {"no code is no URI", "nbds://localhost:1/?tls-certificates=/a%",
     "that is not a URI (RFC 3986)"},
    {"a code that is no number is no URI",
     "nbds://localhost:1/?tls-certificates=/a%4gb",
     "that is not a URI (RFC 3986)"},
    {"a parameter that ends alike is another",
     "nbds://localhost:1/?no-tls-psk-file=/a&tls-certificates=/b",
     "there is no /b/ca-cert.pem"},
    {"a parameter that begins alike is another",
     "nbds://localhost:1/?tls-psk-files=/a&tls-certificates=/b",
     "there is no /b/ca-cert.pem"},
    {"a socket without a host's name has no proof",
     "nbds+unix:///?socket=/nonexistent&tls-certificates=/b",
     "a socket without a host's name needs tls-psk-file=FILE"},
};

/* Copies text, with value instead of @. */
static void fill_in(char *copy, size_t space, const char *text,
                    const char *value)
{
    int at = (int)strcspn(text, "@");

    snprintf(copy, space, "%.*s%s%s", at, text, text[at] == '@' ? value : "",
             text + at + (text[at] == '@' ? 1 : 0));
}

/* What begins the message of a URI that is good, with this libnbd. */
static void good_message(char *message, size_t space, const char *uri)
{
    struct nbd_handle *nbd = nbd_create();
    char version[LIBNBD_VERSION_SPACE];
    struct error err;

    test_require(nbd != NULL, "libnbd");
    nbd_client_version(version);
    if (nbd_tls_check_library("x", uri, version, nbd_supports_tls(nbd) == 1,
                              &err) == -1)
        snprintf(message, space, "%s", err.msg);
    else
        snprintf(message, space, "x: cannot connect to %s: ", uri);
    nbd_close(nbd);
}

static const struct {
    const char *name, *version;
    bool has_tls;
    const char *message; /* NULL: it is fine */
} libraries[] = {
    {"libnbd 1.10 knows what a URI says of TLS", "1.10.0", true, NULL},
    {"so does a later one", "2.0.1", true, NULL},
    {"an earlier one does not", "1.8.4", true,
     "x: cannot verify who nbds://h is: that needs libnbd 1.10, and this is "
     "1.8.4"},
    {"one may have no TLS", "1.22.2", false,
     "x: cannot connect to nbds://h: this libnbd was built without TLS"},
    {"and then it matters little how old it is", "1.8.4", false,
     "x: cannot connect to nbds://h: this libnbd was built without TLS"},
};

static void test_libraries(void)
{
    for (size_t i = 0; i < N_ELEMENTS(libraries); i++) {
        struct error err = {0};
        int r;

        TEST(libraries[i].name);
        r = nbd_tls_check_library("x", "nbds://h", libraries[i].version,
                                  libraries[i].has_tls, &err);
        CHECK_INT(r, libraries[i].message == NULL ? 0 : -1);
        CHECK_STR(err.msg,
                  libraries[i].message == NULL ? "" : libraries[i].message);
    }
}

static void test_certificates(void)
{
    char authority[300];
    int fd;

    snprintf(authority, sizeof authority, "%s/ca-cert.pem", test_dir());
    fd = open(authority, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    test_require(fd != -1, "open");
    close(fd);
    for (size_t i = 0; i < N_ELEMENTS(verified); i++) {
        struct nbd_address address = {.role = "x", .socket_fd = -1};
        struct nbd_client *client = NULL;
        struct error err = {0};
        char uri[400], message[600];

        TEST(verified[i].name);
        fill_in(uri, sizeof uri, verified[i].uri, test_dir());
        address.uri = uri;
        if (verified[i].message == NULL) {
            good_message(message, sizeof message, uri);
            check_begins(nbd_client_open(&address, -1, &client, &err), &err,
                         message);
        } else {
            snprintf(message, sizeof message, "x: cannot verify who %s is: %s",
                     uri, verified[i].message);
            CHECK_FAILS(nbd_client_open(&address, -1, &client, &err), &err,
                        message);
        }
    }
    unlink(authority);
}

int main(void)
{
    test_begin();
    signal(SIGPIPE, SIG_IGN);
    test_connecting();
    test_certificates();
    test_libraries();
    return test_end();
}
