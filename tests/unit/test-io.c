/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests reads and writes that are short, slow or non-blocking. */

#include "config.h"

#include "base/io.h"
#include "base/signals.h"
#include "base/tidy-fds.h"
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { STREAM = 3 << 20 };

static unsigned char sent[STREAM], received[STREAM];

/* Two fds, the first to read from and the second to write to. */
static void make_pair(bool is_socket, bool is_nonblocking, int fds[2])
{
    if (is_socket)
        test_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) ==
                         0,
                     "socketpair");
    else
        test_require(pipe2(fds, O_CLOEXEC) == 0, "pipe2");
    for (int i = 0; is_nonblocking && i < 2; i++)
        fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
}

/* The other end of what is tested: writes or reads all of it, in pieces of
 * random length.
 */
struct other_end {
    int fd;
    size_t length;
    uint64_t random;
    ssize_t r;
};

static size_t next_piece(struct other_end *other, size_t left)
{
    size_t piece;

    other->random = other->random * UINT64_C(6364136223846793005) + 1;
    piece = 1 + (other->random >> 33) % 20000;
    return piece < left ? piece : left;
}

static void *write_pieces(void *opaque)
{
    struct other_end *other = opaque;

    for (size_t done = 0; done < other->length;) {
        size_t piece = next_piece(other, other->length - done);

        other->r = io_write_full(other->fd, sent + done, piece);
        done += piece;
    }
    close(other->fd);
    return NULL;
}

static void *read_pieces(void *opaque)
{
    struct other_end *other = opaque;

    for (size_t done = 0; done < other->length;) {
        ssize_t n = io_read(other->fd, received + done,
                            next_piece(other, other->length - done));

        other->r = n;
        if (n <= 0)
            break;
        done += n;
    }
    close(other->fd);
    return NULL;
}

static const struct {
    const char *name;
    bool is_socket, is_nonblocking;
} streams[] = {
    {"a pipe carries all", false, false},
    {"a non-blocking pipe carries all", false, true},
    {"a socket carries all", true, false},
    {"a non-blocking socket carries all", true, true},
};

static void test_streams(void)
{
    test_fill_random(sent, sizeof sent);
    for (size_t i = 0; i < N_ELEMENTS(streams); i++) {
        struct other_end other = {.length = STREAM, .random = i};
        pthread_t thread;
        int fds[2];

        TEST(streams[i].name);
        make_pair(streams[i].is_socket, streams[i].is_nonblocking, fds);
        memset(received, 0, sizeof received);
        other.fd = fds[1];
        pthread_create(&thread, NULL, write_pieces, &other);
        CHECK_INT(io_read_full(fds[0], received, sizeof received), STREAM);
        CHECK_INT(io_read_full(fds[0], received, 1), 0); /* the end */
        pthread_join(thread, NULL);
        CHECK_INT(other.r, 0);
        CHECK_MEM(received, sent, STREAM);
        close(fds[0]);

        make_pair(streams[i].is_socket, streams[i].is_nonblocking, fds);
        memset(received, 0, sizeof received);
        other.fd = fds[0];
        pthread_create(&thread, NULL, read_pieces, &other);
        CHECK_INT(io_write_full(fds[1], sent, sizeof sent), 0);
        pthread_join(thread, NULL);
        CHECK(other.r > 0);
        CHECK_MEM(received, sent, STREAM);
        close(fds[1]);
    }
}

static void test_ends(void)
{
    char buf[16] = "";
    int fds[2];

    TEST("a stream that ends early is read as far as it goes");
    make_pair(false, true, fds);
    CHECK_INT(io_write_full(fds[1], "0123456", 7), 0);
    close(fds[1]);
    CHECK_INT(io_read_full(fds[0], buf, sizeof buf), 7);
    CHECK_STR(buf, "0123456");
    CHECK_INT(io_read(fds[0], buf, sizeof buf), 0);

    TEST("reading and writing nothing is done at once");
    CHECK_INT(io_read_full(fds[0], buf, 0), 0);
    CHECK_INT(io_write_full(-1, buf, 0), 0);
    close(fds[0]);

    TEST("io_read takes what there is and does not wait for more");
    make_pair(true, false, fds);
    CHECK_INT(io_write_full(fds[1], "abc", 3), 0);
    CHECK_INT(io_read(fds[0], buf, sizeof buf), 3);

    TEST("a reader that left is an errno, not a signal");
    close(fds[0]);
    CHECK_INT(io_write_full(fds[1], buf, sizeof buf), -1);
    CHECK_INT(errno, EPIPE);
    close(fds[1]);

    TEST("what is no fd is an errno");
    CHECK_INT(io_read(-1, buf, sizeof buf), -1);
    CHECK_INT(errno, EBADF);
    CHECK_INT(io_read_full(-1, buf, sizeof buf), -1);
    CHECK_INT(errno, EBADF);
    CHECK_INT(io_write_full(-1, buf, sizeof buf), -1);
    CHECK_INT(errno, EBADF);
}

static void test_wait(void)
{
    int fds[2], wake[2];

    make_pair(false, true, fds);
    make_pair(false, true, wake);

    TEST("waiting ends with the time");
    CHECK_INT(io_wait(fds[0], POLLIN, -1, 0), 0);
    CHECK_INT(io_wait(fds[0], POLLIN, wake[0], 1), 0);

    TEST("a pipe with room can be written");
    CHECK_INT(io_wait(fds[1], POLLOUT, wake[0], -1), 1);

    TEST("the other fd ends the wait");
    CHECK_INT(io_write_full(wake[1], "", 1), 0);
    CHECK_INT(io_wait(fds[0], POLLIN, wake[0], -1), 0);

    TEST("the fd itself comes before the other");
    CHECK_INT(io_write_full(fds[1], "x", 1), 0);
    CHECK_INT(io_wait(fds[0], POLLIN, wake[0], -1), 1);

    TEST("a writer that left ends the wait");
    CHECK_INT(io_read(fds[0], sent, 1), 1);
    close(fds[1]);
    CHECK_INT(io_wait(fds[0], POLLIN, -1, -1), 1);

    close(fds[0]);
    close(wake[0]);
    close(wake[1]);
}

static int interrupted_fd;

static void write_a_byte(int sig)
{
    (void)sig;
    if (write(interrupted_fd, "", 1) == -1)
        _exit(EXIT_FAILURE);
}

static void *interrupt(void *opaque)
{
    const pthread_t *thread = opaque;

    poll(NULL, 0, 20); /* most probably it waits by then */
    pthread_kill(*thread, SIGUSR1);
    return NULL;
}

static void test_poll(void)
{
    struct sigaction act = {.sa_handler = write_a_byte};
    struct pollfd fds[IO_POLLED];
    int pipes[IO_POLLED][2];
    pthread_t self = pthread_self(), thread;
    char byte;

    for (int i = 0; i < IO_POLLED; i++) {
        make_pair(i % 2 == 0, false, pipes[i]);
        fds[i] = (struct pollfd){pipes[i][0], POLLIN, 0x7f};
    }

    TEST("nothing is ready before anything is written");
    CHECK_INT(io_poll(fds, IO_POLLED, 0), 0);
    for (int i = 0; i < IO_POLLED; i++)
        CHECK_INT(fds[i].revents, 0);
    CHECK_INT(io_poll(fds, IO_POLLED, 1), 0);
    CHECK_INT(io_poll(fds, 0, 0), 0);

    TEST("all that are ready are told, and no other");
    CHECK_INT(io_write_full(pipes[0][1], "a", 1), 0);
    CHECK_INT(io_write_full(pipes[IO_POLLED - 1][1], "b", 1), 0);
    CHECK_INT(io_poll(fds, IO_POLLED, -1), 2);
    for (int i = 0; i < IO_POLLED; i++) {
        CHECK_INT(fds[i].fd, pipes[i][0]);
        CHECK_INT(fds[i].revents, i == 0 || i == IO_POLLED - 1 ? POLLIN : 0);
    }

    TEST("what is not asked about is not told");
    CHECK_INT(io_poll(fds + 1, IO_POLLED - 2, 0), 0);
    fds[0].fd = -1;
    CHECK_INT(io_poll(fds, IO_POLLED - 1, 0), 0);
    CHECK_INT(fds[0].revents, 0);

    TEST("one that can be written is ready, too");
    fds[0] = (struct pollfd){pipes[0][1], POLLOUT, 0};
    CHECK_INT(io_poll(fds, 1, -1), 1);
    CHECK_INT(fds[0].revents, POLLOUT);

    TEST("one whose other end is gone is ready");
    close(pipes[1][1]);
    CHECK_INT(io_poll(fds + 1, 1, -1), 1);
    CHECK_INT(fds[1].revents, POLLHUP);

    TEST("a signal that nobody noted does not end the wait");
    sigaction(SIGUSR1, &act, NULL);
    interrupted_fd = pipes[2][1];
    pthread_create(&thread, NULL, interrupt, &self);
    CHECK_INT(io_poll(fds + 2, 1, -1), 1);
    CHECK_INT(fds[2].revents, POLLIN);
    pthread_join(thread, NULL);
    CHECK_INT(io_read(pipes[2][0], &byte, 1), 1);
    signal(SIGUSR1, SIG_DFL);

    for (int i = 0; i < IO_POLLED; i++)
        for (int j = 0; j < 2; j++)
            if (i != 1 || j != 1)
                close(pipes[i][j]);
}

/* length bytes wanted at offset in a file of size; got is how many come. */
static const struct {
    const char *name;
    uint64_t size, offset;
    size_t length;
    ssize_t got;
} preads[] = {
    {"an empty file has nothing", 0, 0, 10, 0},
    {"behind the end is nothing", 100, 100, 10, 0},
    {"far behind the end is nothing", 100, UINT64_C(1) << 40, 10, 0},
    {"nothing can be read anywhere", 100, 50, 0, 0},
    {"one byte is read", 1, 0, 1, 1},
    {"a file shorter than a sector is read", 100, 0, 512, 100},
    {"a file one short of a sector is read", 511, 0, 4096, 511},
    {"a file of a sector is read", 512, 0, 4096, 512},
    {"a file of a sector and a byte is read", 513, 0, 4096, 513},
    {"the middle of a file is read", 5000, 513, 1000, 1000},
    {"the end of a file is read", 5000, 4999, 1000, 1},
    {"a megabyte and a bit is read", (1 << 20) + 3, 0, 2 << 20, (1 << 20) + 3},
    {"a megabyte and a bit is read from an odd offset", (1 << 20) + 3, 77,
     2 << 20, (1 << 20) + 3 - 77},
    {"part of a megabyte is read", 2 << 20, 4096, 1 << 20, 1 << 20},
};

static void test_pread(void)
{
    for (size_t i = 0; i < N_ELEMENTS(preads); i++) {
        int fd = test_file();

        TEST(preads[i].name);
        CHECK_INT(io_pwrite_full(fd, sent, preads[i].size, 0), 0);
        memset(received, 0xaa, sizeof received);
        CHECK_INT(io_pread_full(fd, received, preads[i].length,
                                preads[i].offset),
                  preads[i].got);
        if (preads[i].got > 0)
            CHECK_MEM(received, sent + preads[i].offset, preads[i].got);
        CHECK_INT(received[preads[i].got], 0xaa); /* no byte more */
        close(fd);
    }

    TEST("an fd without offsets is an errno");
    CHECK_INT(io_pread_full(-1, received, 1, 0), -1);
    CHECK_INT(errno, EBADF);
}

static void test_pwrite(void)
{
    int fd = test_file();
    struct stat st;

    TEST("what is written behind the end leaves zeroes before it");
    CHECK_INT(io_pwrite_full(fd, "abc", 3, 1000), 0);
    fstat(fd, &st);
    CHECK_INT(st.st_size, 1003);
    CHECK_INT(io_pread_full(fd, received, 2000, 0), 1003);
    CHECK(io_is_zero(received, 1000));
    CHECK_MEM(received + 1000, "abc", 3);

    TEST("writing nothing changes nothing");
    CHECK_INT(io_pwrite_full(fd, "abc", 0, 5000), 0);
    fstat(fd, &st);
    CHECK_INT(st.st_size, 1003);
    close(fd);

    TEST("an fd that cannot be written is an errno");
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK_INT(io_pwrite_full(fd, "abc", 3, 0), -1);
    CHECK_INT(errno, EBADF);
    close(fd);
}

/* The kernel writes as far as the limit, and refuses what is left. */
static void write_past_limit(void)
{
    const struct rlimit limit = {1000, 1000};
    int fd = test_file();
    struct stat st;

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    CHECK_INT(io_pwrite_full(fd, sent, 3000, 0), -1);
    CHECK_INT(errno, EFBIG);
    CHECK_INT(io_write_full(fd, sent, 3000), -1);
    CHECK_INT(errno, EFBIG);
    fstat(fd, &st);
    CHECK_INT(st.st_size, 1000);
    CHECK_INT(io_pread_full(fd, received, 3000, 0), 1000);
    CHECK_MEM(received, sent, 1000);
}

static void test_is_zero(void)
{
    enum { LONGEST = 80 };
    unsigned char buf[LONGEST + 32];

    TEST("zeroes are zero, whatever is around them, and nothing else is");
    for (size_t begin = 0; begin < 16; begin++)
        for (size_t length = 0; length <= LONGEST; length++) {
            memset(buf, 0xff, sizeof buf);
            memset(buf + begin, 0, length);
            CHECK(io_is_zero(buf + begin, length));
            for (size_t i = 0; i < length; i++) {
                buf[begin + i] = 1;
                CHECK(!io_is_zero(buf + begin, length));
                buf[begin + i] = 0;
            }
        }

    TEST("a byte anywhere in a megabyte is found");
    memset(received, 0, sizeof received);
    CHECK(io_is_zero(received, 1 << 20));
    for (size_t at = 1; at <= 1 << 20; at *= 2) {
        received[at - 1] = 0x80;
        CHECK(!io_is_zero(received, 1 << 20));
        received[at - 1] = 0;
    }
    received[1 << 20] = 1;
    CHECK(io_is_zero(received, 1 << 20));

    TEST("bytes that are alike are not zero");
    memset(received, 0x55, 4096);
    CHECK(!io_is_zero(received, 4096));
}

static void test_difference(void)
{
    char a[] = "abcdefgh", b[] = "abcdefgh";

    TEST("what is alike has no difference");
    CHECK_INT(io_find_difference(a, b, 8), 8);
    CHECK_INT(io_find_difference(a, b, 0), 0);

    TEST("the first of two differences is found, wherever it is");
    for (size_t i = 0; i < 8; i++) {
        b[7] = '-';
        b[i] = '-';
        CHECK_INT(io_find_difference(a, b, 8), i);
        CHECK_INT(io_find_difference(a, b, i), i);
        b[i] = a[i];
    }
}

static void test_alloc_aligned(void)
{
    TEST("an aligned buffer is aligned, and there in full");
    for (size_t length = 1; length <= 1 << 20; length = length * 5 + 1) {
        char *buf = io_alloc_aligned(length);

        CHECK(buf != NULL);
        CHECK_UINT((uintptr_t)buf % IO_ALIGN, 0);
        if (buf != NULL)
            memset(buf, 1, length);
        free(buf);
    }
}

static void test_is_same(void)
{
    int fds[2], other[2], copy;

    make_pair(true, false, fds);
    make_pair(true, false, other);
    copy = dup(fds[0]);
    TEST("a copy of an fd is the same, others are not");
    CHECK(io_is_same(fds[0], copy));
    CHECK(io_is_same(fds[0], fds[0]));
    CHECK(!io_is_same(fds[0], other[0]));
    CHECK(!io_is_same(fds[0], -1));
    CHECK(!io_is_same(-1, -1));
    close(copy);
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
        close(other[i]);
    }
}

static void make_file(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    test_require(fd != -1, "open");
    close(fd);
}

/* In a directory of its own. */
static void test_is_same_file(void)
{
    const char *const made[] = {"a", "b", "link", "symlink", "device", "node"};
    char by_fd[40];
    int fd;

    test_require(chdir(test_dir()) == 0, "chdir");
    make_file("a");
    make_file("b");
    test_require(link("a", "link") == 0 && symlink("a", "symlink") == 0,
                 "link");

    TEST("a file is the same by each of its names, and no other");
    CHECK(io_is_same_file("a", "a"));
    CHECK(io_is_same_file("a", "./a"));
    CHECK(io_is_same_file("a", "link"));
    CHECK(io_is_same_file("symlink", "link"));
    CHECK(!io_is_same_file("a", "b"));
    CHECK(!io_is_same_file("b", "symlink"));

    TEST("an open file is the same as by its name");
    fd = open("a", O_RDONLY | O_CLOEXEC);
    snprintf(by_fd, sizeof by_fd, "/proc/self/fd/%d", fd);
    CHECK(io_is_same_file(by_fd, "link"));
    CHECK(!io_is_same_file(by_fd, "b"));
    unlink("a");
    CHECK(io_is_same_file(by_fd, "link"));
    close(fd);

    TEST("what is not there is the same as nothing");
    CHECK(!io_is_same_file("a", "a"));
    CHECK(!io_is_same_file("a", "b"));
    CHECK(!io_is_same_file("b", "a"));
    CHECK(!io_is_same_file("symlink", "symlink"));
    CHECK(!io_is_same_file("/proc/self/fd/-1", "b"));
    CHECK(!io_is_same_file("", ""));

    /* Who is not root may be unable to make them.  No device needs to be
     * there.
     */
    TEST("a device is the same by each of its nodes");
    if (mknod("device", S_IFBLK | 0600, makedev(7, 250)) == 0 &&
        mknod("node", S_IFBLK | 0600, makedev(7, 250)) == 0) {
        CHECK(io_is_same_file("device", "node"));
        unlink("node");
        test_require(mknod("node", S_IFBLK | 0600, makedev(7, 251)) == 0,
                     "mknod");
        CHECK(!io_is_same_file("device", "node"));
        unlink("node");
        test_require(mknod("node", S_IFCHR | 0600, makedev(7, 250)) == 0,
                     "mknod");
        CHECK(!io_is_same_file("device", "node"));
    }
    for (size_t i = 0; i < N_ELEMENTS(made); i++)
        unlink(made[i]);
}

static void start_without_streams(void)
{
    int fd = open("/dev/zero", O_RDONLY), high = dup2(fd, 200);

    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    CHECK_INT(tidy_fds(), 0);
    for (int i = 0; i <= STDERR_FILENO; i++)
        CHECK_INT(fcntl(i, F_GETFD), 0);
    CHECK(io_is_same(STDIN_FILENO, STDOUT_FILENO));
    CHECK_INT(read(STDIN_FILENO, received, 1), -1);
    CHECK_INT(write(STDOUT_FILENO, "x", 1), -1);
    CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_INT(fcntl(high, F_GETFD), FD_CLOEXEC);
}

/* Once a signal is noted nothing waits any more. */
static void be_signalled(void)
{
    struct pollfd polled = {.events = POLLIN};
    struct error err;
    char buf[1];
    int fds[2];

    CHECK_OK(signals_open(&err), &err);
    make_pair(false, true, fds);
    raise(SIGTERM);
    CHECK_INT(io_wait(fds[0], POLLIN, -1, -1), -1);
    CHECK_INT(errno, EINTR);
    CHECK_INT(io_read(fds[0], buf, 1), -1);
    CHECK_INT(errno, EINTR);
    CHECK_INT(io_write_full(fds[1], sent, sizeof sent), -1);
    CHECK_INT(errno, EINTR);
    polled.fd = fds[0];
    CHECK_INT(io_poll(&polled, 1, -1), -1);
    CHECK_INT(errno, EINTR);
    CHECK_INT(io_poll(&polled, 0, -1), -1);
    CHECK_INT(errno, EINTR);
}

static void test_invalid(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    char byte;

    TEST("a first read that is refused is no end of the file");
    CHECK_INT(io_pread_full(fd, &byte, 1, UINT64_MAX), -1);
    CHECK_INT(errno, EINVAL);
    close(fd);
}

int main(void)
{
    test_begin();
    signal(SIGPIPE, SIG_IGN);
    test_streams();
    test_ends();
    test_wait();
    test_poll();
    test_pread();
    test_pwrite();
    TEST("a file that cannot grow any more is written as far as it can");
    test_in_child(write_past_limit);
    test_is_zero();
    test_difference();
    test_alloc_aligned();
    test_is_same();
    test_is_same_file();
    TEST("closed standard streams are taken, and other fds close on exec");
    test_in_child(start_without_streams);
    TEST("a noted signal ends a wait");
    test_in_child(be_signalled);
    test_invalid();
    return test_end();
}
