/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what the values of options mean. */

#include "config.h"

#include "base/cleanup.h"
#include "cli/value.h"
#include "command-line.h"

#define NOT_A_SIZE(text) "--x: '" text "' is not a size"

static const struct {
    const char *name, *value;
    uint64_t size;
    const char *message;
} sizes[] = {
    {"a size may be 0", "0", 0, NULL},
    {"a size is in bytes", "512", 512, NULL},
    {"a size may have zeroes before it", "0010", 10, NULL},
    {"K is 1024 bytes", "3K", 3 << 10, NULL},
    {"M is 1024 K", "3M", 3 << 20, NULL},
    {"G is 1024 M", "3G", UINT64_C(3) << 30, NULL},
    {"T is 1024 G", "3T", UINT64_C(3) << 40, NULL},
    {"k is K", "3k", 3 << 10, NULL},
    {"m is M", "3m", 3 << 20, NULL},
    {"g is G", "3g", UINT64_C(3) << 30, NULL},
    {"t is T", "3t", UINT64_C(3) << 40, NULL},
    {"nothing has a unit, too", "0T", 0, NULL},
    {"the largest size fits", "9223372036854775807", INT64_MAX, NULL},
    {"the largest size with a unit fits", "8388607T", UINT64_C(8388607) << 40,
     NULL},
    {"the largest size in K fits", "9007199254740991k",
     UINT64_C(9007199254740991) << 10, NULL},
    {"2^63 is too large", "9223372036854775808", 0,
     NOT_A_SIZE("9223372036854775808")},
    {"2^63 in K is too large", "9007199254740992K", 0,
     NOT_A_SIZE("9007199254740992K")},
    {"what wraps around by its unit is too large", "16777217T", 0,
     NOT_A_SIZE("16777217T")},
    {"what wraps around is too large", "18446744073709551617", 0,
     NOT_A_SIZE("18446744073709551617")},
    {"nothing is no size", "", 0, NOT_A_SIZE("")},
    {"a unit alone is no size", "K", 0, NOT_A_SIZE("K")},
    {"two units are none", "1KK", 0, NOT_A_SIZE("1KK")},
    {"KiB is K", "3KiB", 3 << 10, NULL},
    {"MiB is M", "3MiB", 3 << 20, NULL},
    {"GiB is G", "3GiB", UINT64_C(3) << 30, NULL},
    {"TiB is T, in small letters, too", "3tib", UINT64_C(3) << 40, NULL},
    {"KB is 1000 bytes", "3KB", 3000, NULL},
    {"kB is KB", "3kB", 3000, NULL},
    {"MB is 1000 KB", "3MB", 3000000, NULL},
    {"GB is 1000 MB", "3GB", UINT64_C(3000000000), NULL},
    {"TB is 1000 GB", "3TB", UINT64_C(3000000000000), NULL},
    {"the largest size in TB fits", "9223372TB", UINT64_C(9223372000000000000),
     NULL},
    {"2^63 in TB is too large", "9223373TB", 0, NOT_A_SIZE("9223373TB")},
    {"half a unit is none", "1Ki", 0, NOT_A_SIZE("1Ki")},
    {"iB is no unit", "1iB", 0, NOT_A_SIZE("1iB")},
    {"a word that begins with a unit is none", "1KiBs", 0,
     NOT_A_SIZE("1KiBs")},
    {"bytes are no unit", "1B", 0, NOT_A_SIZE("1B")},
    {"P is no unit", "1P", 0, NOT_A_SIZE("1P")},
    {"a fraction is no size", "1.5K", 0, NOT_A_SIZE("1.5K")},
    {"16 is no base", "0x10", 0, NOT_A_SIZE("0x10")},
    {"a blank is no size", " 1", 0, NOT_A_SIZE(" 1")},
    {"a blank behind it is no size", "1 ", 0, NOT_A_SIZE("1 ")},
    {"a sign is no size", "+1", 0, NOT_A_SIZE("+1")},
    {"a negative size is none", "-1", 0, NOT_A_SIZE("-1")},
};

static void test_sizes(void)
{
    for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
        struct error err = {0};
        uint64_t size = 1;

        TEST(sizes[i].name);
        if (sizes[i].message != NULL)
            CHECK_FAILS(value_parse_size("x", sizes[i].value, &size, &err),
                        &err, sizes[i].message);
        else if (CHECK_OK(value_parse_size("x", sizes[i].value, &size, &err),
                          &err))
            CHECK_UINT(size, sizes[i].size);
    }
}

static void test_durations(void)
{
    static const char *const wrong[] = {"",      "-1",
                                        " 1",    "1s",
                                        "1K",    "0x1",
                                        "86401", "99999999999999999999"};
    struct error err = {0};
    unsigned seconds;

    TEST("seconds are a number, up to a day");
    CHECK_OK(value_parse_seconds("x", "0", &seconds, &err), &err);
    CHECK_UINT(seconds, 0);
    CHECK_OK(value_parse_seconds("x", "86400", &seconds, &err), &err);
    CHECK_UINT(seconds, 86400);
    for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
        char message[100];

        snprintf(message, sizeof message,
                 "--x: '%s' is not a number of seconds, up to 86400",
                 wrong[i]);
        CHECK_FAILS(value_parse_seconds("x", wrong[i], &seconds, &err), &err,
                    message);
    }
}

static void test_powers(void)
{
    struct qcow2_options q = {0};
    struct error err = {0};
    char text[32];

    TEST("clusters have a power of two of bytes, from 512 to 2 MiB");
    for (uint64_t size = 0; size <= 4 << 20; size = size == 0 ? 1 : size * 2) {
        snprintf(text, sizeof text, "%" PRIu64, size);
        q.cluster_size = 0;
        CHECK_INT(value_parse_cluster_size("x", text, &q, &err),
                  size >= 512 && size <= 2 << 20 ? 0 : -1);
        CHECK(size < 512 || size > 2 << 20 || q.cluster_size == size);
    }
    CHECK_FAILS(value_parse_cluster_size("x", "96K", &q, &err), &err,
                "--x: '96K' is not a power of two from 512 to 2M");
    CHECK_FAILS(value_parse_cluster_size("x", "big", &q, &err), &err,
                NOT_A_SIZE("big"));

    TEST("refcounts have a power of two of bits, from 1 to 64");
    for (unsigned bits = 0; bits <= 130; bits++) {
        bool is_good = bits > 0 && bits <= 64 && (bits & (bits - 1)) == 0;

        snprintf(text, sizeof text, "%u", bits);
        q.refcount_bits = 99;
        CHECK_INT(value_parse_refcount_bits("x", text, &q, &err),
                  is_good ? 0 : -1);
        CHECK_UINT(q.refcount_bits, is_good ? bits : 99);
    }
    CHECK_FAILS(value_parse_refcount_bits("x", "3", &q, &err), &err,
                "--x: '3' is not a power of two from 1 to 64");
}

static const struct {
    const char *name, *value, *supported;
    int index; /* -1: none */
} words[] = {
    {"the only word is found", "none", "none", 0},
    {"the first word is found", "raw", "raw, hybrid, nbd", 0},
    {"a word in the middle is found", "hybrid", "raw, hybrid, nbd", 1},
    {"the last word is found", "nbd", "raw, hybrid, nbd", 2},
    {"a word that begins like another is itself", "nbdhybrid",
     "nbd, nbdhybrid", 1},
    {"a word that another begins with is itself", "nbd", "nbdhybrid, nbd", 1},
    {"part of a word is none", "hyb", "raw, hybrid, nbd", -1},
    {"more than a word is none", "rawer", "raw, hybrid, nbd", -1},
    {"two words are none", "raw, hybrid", "raw, hybrid, nbd", -1},
    {"a comma is no word", ",", "raw, hybrid, nbd", -1},
    {"nothing is no word", "", "raw, hybrid, nbd", -1},
    {"capitals are not the same", "RAW", "raw, hybrid, nbd", -1},
};

static void test_words(void)
{
    for (size_t i = 0; i < N_ELEMENTS(words); i++) {
        struct error err = {0};
        char message[200];
        int index = -2;

        TEST(words[i].name);
        snprintf(message, sizeof message,
                 "--x: '%s' is not supported; supported: %s", words[i].value,
                 words[i].supported);
        if (words[i].index == -1)
            CHECK_FAILS(value_parse_word("x", words[i].value,
                                         words[i].supported, &index, &err),
                        &err, message);
        else if (CHECK_OK(value_parse_word("x", words[i].value,
                                           words[i].supported, &index, &err),
                          &err))
            CHECK_INT(index, words[i].index);
    }
}

#define NO_PATH(text)                                                         \
    "--x: '" text "' is not supported; supported: PATH, file://PATH"

static const struct {
    const char *name, *value, *path, *message;
} paths[] = {
    {"a path is a path", "/dev/a", "/dev/a", NULL},
    {"a path may begin here", "a", "a", NULL},
    {"a URL of a file is its path", "file:///dev/a", "/dev/a", NULL},
    {"a URL of a file may be one from here", "file://a", "a", NULL},
    {"a path may have colons", "a:b:c", "a:b:c", NULL},
    {"a URL is none with one slash", "file:/a", "file:/a", NULL},
    {"a path may have what looks like a URL in it", "/a/nbd://b", "/a/nbd://b",
     NULL},
    {"a directory may end with a colon", "./nbd://b", "./nbd://b", NULL},
    {"only the first part is taken off", "file://file://a", "file://a", NULL},
    {"a path is not empty", "", NULL, "--x: the path is empty"},
    {"a URL's path is not empty", "file://", NULL, "--x: the path is empty"},
    {"another URL is none", "https://a", NULL, NO_PATH("https://a")},
    {"a URL of NBD is none", "nbd://a", NULL, NO_PATH("nbd://a")},
    {"a URL in capitals is another", "FILE:///a", NULL, NO_PATH("FILE:///a")},
    {"a URL without a scheme is none", "://a", NULL, NO_PATH("://a")},
};

static void test_paths(void)
{
    for (size_t i = 0; i < N_ELEMENTS(paths); i++) {
        const char *path = NULL;
        struct error err = {0};

        TEST(paths[i].name);
        if (paths[i].message != NULL)
            CHECK_FAILS(value_parse_path("x", paths[i].value, &path, &err),
                        &err, paths[i].message);
        else if (CHECK_OK(value_parse_path("x", paths[i].value, &path, &err),
                          &err))
            CHECK_STR(path, paths[i].path);
    }
}

static const struct {
    const char *name, *value;
    int fd;
    const char *message;
} fds[] = {
    {"an fd has a number", "5", OPEN_FD, NULL},
    {"an fd may be marked as such", "fd:5", OPEN_FD, NULL},
    {"an fd may have a UUID", UUID, OPEN_FD, NULL},
    {"a UUID may be marked as an fd", "fd:" UUID, OPEN_FD, NULL},
    {"an fd is marked once", "fd:fd:5", -1,
     "--x: 'fd:5' is neither an fd nor a UUID"},
    {"an fd is open", "6", -1, "--x: fd 6: Bad file descriptor"},
    {"a mark is no fd", "fd:", -1, "--x: '' is neither an fd nor a UUID"},
    {"nothing is no fd", "", -1, "--x: '' is neither an fd nor a UUID"},
    {"a negative fd is none", "-1", -1,
     "--x: '-1' is neither an fd nor a UUID"},
};

static void test_fds(void)
{
    for (size_t i = 0; i < N_ELEMENTS(fds); i++) {
        struct error err = {0};
        int fd = -1;

        TEST(fds[i].name);
        if (fds[i].message != NULL)
            CHECK_FAILS(value_parse_fd("x", fds[i].value, &fd, &err), &err,
                        fds[i].message);
        else if (CHECK_OK(value_parse_fd("x", fds[i].value, &fd, &err), &err))
            CHECK_INT(fd, fds[i].fd);
    }
}

static const struct {
    const char *name, *value;
    bool is_uri;
} uris[] = {
    {"a host is one", "nbd://host", true},
    {"a host by TLS is one", "nbds://host/export?tls-certificates=/a", true},
    {"a socket is one", "nbd+unix:///?socket=/a", true},
    {"a socket by TLS is one", "nbds+unix:///export?socket=/a", true},
    {"a virtual machine's socket is one", "nbd+vsock://2", true},
    {"a virtual machine's socket by TLS is one", "nbds+vsock://2", true},
    {"a scheme alone is left to the library", "nbd://", true},
    {"a path is none", "/dev/a", false},
    {"a path that begins alike is none", "nbd", false},
    {"one slash is none", "nbd:/host", false},
    {"what QEMU takes is none", "nbd:unix:/a", false},
    {"another scheme is none", "nbd+ssh://host", false},
    {"a blank before it is none", " nbd://host", false},
    {"nothing is none", "", false},
};

static void test_uris(void)
{
    for (size_t i = 0; i < N_ELEMENTS(uris); i++) {
        struct error err = {0};
        char message[200];

        TEST(uris[i].name);
        snprintf(message, sizeof message,
                 "--x: '%s' is not supported; supported: nbd://, nbds://, "
                 "nbd+unix:// and their like",
                 uris[i].value);
        if (uris[i].is_uri)
            CHECK_OK(value_parse_uri("x", uris[i].value, &err), &err);
        else
            CHECK_FAILS(value_parse_uri("x", uris[i].value, &err), &err,
                        message);
    }
}

#define NO_TCP(text) "--x: '" text "' is not tcp://HOST:PORT"
#define EMPTY "--x: the path is empty"

static const struct {
    const char *name, *value;
    struct {
        const char *path, *socket_path, *host, *port;
        int fd;
    } address;
    const char *message;
} destinations[] = {
    {"there is standard output", "stdout:", {.fd = 1}, NULL},
    {"there are fds", "fd:5", {.fd = 5}, NULL},
    {"there are fds with UUIDs", "fd:" UUID, {.fd = 5}, NULL},
    {"there are paths", "/a", {.path = "/a", .fd = 1}, NULL},
    {"there are paths from here", "stdout", {.path = "stdout", .fd = 1}, NULL},
    {"a number is the name of a file", "5", {.path = "5", .fd = 1}, NULL},
    {"there are URLs of files", "file:///a", {.path = "/a", .fd = 1}, NULL},
    {"there are Unix sockets",
     "unix:///a/b",
     {.socket_path = "/a/b", .fd = 1},
     NULL},
    {"there are Unix sockets from here",
     "unix://b",
     {.socket_path = "b", .fd = 1},
     NULL},
    {"a Unix socket may be at what looks like a URL",
     "unix:///a://b",
     {.socket_path = "/a://b", .fd = 1},
     NULL},
    {"there are hosts",
     "tcp://host:1",
     {.host = "host", .port = "1", .fd = 1},
     NULL},
    {"an IPv4 address is a host",
     "tcp://127.0.0.1:65535",
     {.host = "127.0.0.1", .port = "65535", .fd = 1},
     NULL},
    {"an IPv6 address is in brackets",
     "tcp://[::1]:1",
     {.host = "::1", .port = "1", .fd = 1},
     NULL},
    {"an IPv6 address may have a zone",
     "tcp://[fe80::1%eth0]:1",
     {.host = "fe80::1%eth0", .port = "1", .fd = 1},
     NULL},
    {"a port may have five digits",
     "tcp://[a]:65535",
     {.host = "a", .port = "65535", .fd = 1},
     NULL},
    {"a name may be in brackets",
     "tcp://[host]:1",
     {.host = "host", .port = "1", .fd = 1},
     NULL},

    {"standard output is all",
     "stdout:a",
     {.path = "stdout:a", .fd = 1},
     NULL},
    {"an fd has a number", "fd:", {0}, "--x: '' is neither an fd nor a UUID"},
    {"an fd is open", "fd:6", {0}, "--x: fd 6: Bad file descriptor"},
    {"a path is not empty", "", {0}, EMPTY},
    {"a URL's path is not empty", "file://", {0}, EMPTY},
    {"a Unix socket's path is not empty",
     "unix://",
     {0},
     "--x: 'unix://' has no path"},
    {"a host is not empty", "tcp://:1", {0}, NO_TCP("tcp://:1")},
    {"brackets are not empty", "tcp://[]:1", {0}, NO_TCP("tcp://[]:1")},
    {"a port is not empty", "tcp://host:", {0}, NO_TCP("tcp://host:")},
    {"a port is a number", "tcp://host:http", {0}, NO_TCP("tcp://host:http")},
    {"a port is not 0", "tcp://host:0", {0}, NO_TCP("tcp://host:0")},
    {"a port has 16 bits",
     "tcp://host:65536",
     {0},
     NO_TCP("tcp://host:65536")},
    {"a port does not wrap around",
     "tcp://host:4294967376",
     {0},
     NO_TCP("tcp://host:4294967376")},
    {"a port has no sign", "tcp://host:+80", {0}, NO_TCP("tcp://host:+80")},
    {"a port has no blank", "tcp://host: 80", {0}, NO_TCP("tcp://host: 80")},
    {"nothing is behind a port",
     "tcp://host:80/",
     {0},
     NO_TCP("tcp://host:80/")},
    {"a port is behind a colon", "tcp://host", {0}, NO_TCP("tcp://host")},
    {"nothing is no host", "tcp://", {0}, NO_TCP("tcp://")},
    {"a colon is no host", "tcp://:", {0}, NO_TCP("tcp://:")},
    {"an IPv6 address without brackets is not clear",
     "tcp://::1:1",
     {0},
     NO_TCP("tcp://::1:1")},
    {"an IPv6 address without a port has none",
     "tcp://[::1]",
     {0},
     NO_TCP("tcp://[::1]")},
    {"brackets are closed", "tcp://[::1:1", {0}, NO_TCP("tcp://[::1:1")},
    {"brackets are opened", "tcp://::1]:1", {0}, NO_TCP("tcp://::1]:1")},
    {"other URLs are none",
     "https://host",
     {0},
     "--x: 'https://host' is not supported; supported: stdout:, -, fd:FD, "
     "PATH, file://PATH, unix://PATH, tcp://HOST:PORT"},
};

static void test_destinations(void)
{
    for (size_t i = 0; i < N_ELEMENTS(destinations); i++) {
        const char *value = destinations[i].value;
        struct sink_address CLEANUP(sink_address)
            address = {strdup("a"), strdup("b"), strdup("c"), strdup("d"), 99};
        struct error err = {0};

        TEST(destinations[i].name);
        if (destinations[i].message != NULL) {
            CHECK_FAILS(value_parse_destination("x", value, &address, &err),
                        &err, destinations[i].message);
            continue;
        }
        CHECK_OK(value_parse_destination("x", value, &address, &err), &err);
        CHECK_STR(address.path, destinations[i].address.path);
        CHECK_STR(address.socket_path, destinations[i].address.socket_path);
        CHECK_STR(address.host, destinations[i].address.host);
        CHECK_STR(address.port, destinations[i].address.port);
        CHECK_INT(address.fd, destinations[i].address.fd);
    }
}

int main(void)
{
    test_begin();
    prepare_surroundings();
    test_sizes();
    test_durations();
    test_powers();
    test_words();
    test_paths();
    test_fds();
    test_uris();
    test_destinations();
    return test_end();
}
