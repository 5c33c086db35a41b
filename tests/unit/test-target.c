/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the disk that an imported stream lands on. */

#include "config.h"

#include "base/io.h"
#include "base/signals.h"
#include "import/target-file.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { LENGTH = 1 << 20, ODD_LENGTH = LENGTH - 512 };

static unsigned char content[LENGTH], before[LENGTH];

static const char *path(const char *name)
{
    static char text[300];

    snprintf(text, sizeof text, "%s/%s", test_dir(), name);
    return text;
}

/* A file with content in each byte; its name is path("disk"). */
static void make_disk(uint64_t length)
{
    int fd = open(path("disk"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    test_require(fd != -1, "open");
    test_require(io_pwrite_full(fd, before, length, 0) == 0, "pwrite");
    test_require(fsync(fd) == 0, "fsync"); /* O_DIRECT would have to */
    close(fd);
}

static struct target_file *file_of(struct target *t)
{
    return (struct target_file *)t;
}

static struct target *open_disk(bool is_direct)
{
    const struct target_file_how how = {.is_direct = is_direct};
    static char name[300];
    struct target *t = NULL;
    struct error err;

    snprintf(name, sizeof name, "%s", path("disk"));
    if (!CHECK_OK(target_file_open(name, &how, &t, &err), &err))
        exit(test_end());
    return t;
}

static void check_disk(const void *expected, uint64_t length)
{
    static unsigned char buf[LENGTH + 1];
    int fd = open(path("disk"), O_RDONLY | O_CLOEXEC);

    test_require(fd != -1, "open");
    CHECK_INT(io_pread_full(fd, buf, sizeof buf, 0), (ssize_t)length);
    CHECK_MEM(buf, expected, length);
    close(fd);
}

static void test_open(void)
{
    const struct target_file_how how = {.is_direct = false};
    struct target *t = NULL;
    struct error err = {0};
    char message[512];
    char name[300];

    TEST("an existing file is opened, and left as it is");
    make_disk(ODD_LENGTH);
    t = open_disk(false);
    CHECK_UINT(t->size, ODD_LENGTH);
    CHECK(!file_of(t)->is_device);
    CHECK(!t->is_created);
    CHECK_OK(target_create(t, 5000, &err), &err); /* nothing to be done */
    CHECK_UINT(t->size, ODD_LENGTH);
    target_close(t);
    check_disk(before, ODD_LENGTH);
    unlink(path("disk"));

    TEST("what is neither a file nor a block device is refused");
    snprintf(name, sizeof name, "%s", path("pipe"));
    test_require(mkfifo(name, 0600) == 0, "mkfifo");
    snprintf(message, sizeof message,
             "destination: %s is neither a file nor a block device", name);
    CHECK_FAILS(target_file_open(name, &how, &t, &err), &err, message);
    unlink(name);
    snprintf(message, sizeof message,
             "destination: cannot open %s: Is a directory", test_dir());
    CHECK_FAILS(target_file_open(test_dir(), &how, &t, &err), &err, message);

    TEST("where no file can be made is refused at once");
    snprintf(name, sizeof name, "%s", path("none/disk"));
    snprintf(message, sizeof message,
             "destination: cannot create %s: No such file or directory", name);
    CHECK_FAILS(target_file_open(name, &how, &t, &err), &err, message);
}

static void test_created(bool is_direct)
{
    static const unsigned char zeroes[LENGTH];
    struct target *t = NULL;
    struct error err = {0};
    char message[512];

    TEST("what does not exist is not made before its size is known");
    t = open_disk(is_direct);
    CHECK_UINT(t->size, UINT64_MAX);
    CHECK_INT(access(path("disk"), F_OK), -1);

    TEST("then it is, and reads as zeroes");
    CHECK_OK(target_create(t, ODD_LENGTH, &err), &err);
    CHECK(t->is_created);
    CHECK_UINT(t->size, ODD_LENGTH);
    check_disk(zeroes, ODD_LENGTH);

    TEST("it is removed if it is not finished");
    target_close(t);
    CHECK_INT(access(path("disk"), F_OK), -1);

    TEST("it stays if it is");
    t = open_disk(is_direct);
    CHECK_OK(target_create(t, ODD_LENGTH, &err), &err);
    CHECK_OK(target_write(t, content, ODD_LENGTH, 0, &err), &err);
    CHECK_OK(target_finish(t, &err), &err);
    target_close(t);
    check_disk(content, ODD_LENGTH);
    unlink(path("disk"));

    TEST("a file that somebody else made meanwhile is left alone");
    t = open_disk(is_direct);
    make_disk(1000);
    snprintf(message, sizeof message,
             "destination: cannot create %s: File exists", path("disk"));
    CHECK_FAILS(target_create(t, ODD_LENGTH, &err), &err, message);
    target_close(t);
    check_disk(before, 1000);
    unlink(path("disk"));
}

/* Pieces of the disk, and where in memory they come from, modulo a page. */
static const struct {
    const char *name;
    uint64_t disk_offset, length, in_memory;
} writes[] = {
    {"nothing is written", 5000, 0, 0},
    {"a block is written", 4096, 4096, 0},
    {"blocks are written", 8192, 65536, 0},
    {"a byte is written", 5000, 1, 5000 % 4096},
    {"a byte is written from anywhere", 5000, 1, 17},
    {"a piece inside a block is written", 4100, 3000, 4},
    {"a piece that begins inside a block is written", 5000, 7288, 904},
    {"a piece that ends inside a block is written", 4096, 10000, 0},
    {"a piece across two blocks is written", 8000, 400, 3904},
    {"a piece with edges on both ends is written", 5000, 100000, 904},
    {"a piece is written from anywhere", 5000, 100000, 0},
    {"blocks are written from anywhere", 8192, 65536, 512},
    {"a sector is written", 512, 512, 512},
    {"the end of the disk is written", ODD_LENGTH - 10000, 10000,
     (ODD_LENGTH - 10000) % 4096},
    {"all of the disk is written", 0, ODD_LENGTH, 0},
};

static void test_writes(bool is_direct)
{
    static unsigned char expected[LENGTH];
    unsigned char *buf = io_alloc_aligned(LENGTH + IO_ALIGN);

    test_require(buf != NULL, "posix_memalign");
    for (size_t i = 0; i < N_ELEMENTS(writes); i++) {
        uint64_t offset = writes[i].disk_offset, length = writes[i].length;
        unsigned char *from = buf + writes[i].in_memory;
        struct target *t = NULL;
        struct error err;

        TEST(writes[i].name);
        make_disk(ODD_LENGTH);
        memcpy(expected, before, LENGTH);
        memcpy(expected + offset, content, length);
        memcpy(from, content, length);
        t = open_disk(is_direct);
        CHECK_OK(target_write(t, from, length, offset, &err), &err);
        check_disk(expected, ODD_LENGTH);
        CHECK_OK(target_finish(t, &err), &err);
        target_close(t);
        check_disk(expected, ODD_LENGTH);
    }
    free(buf);
    unlink(path("disk"));
}

static const struct {
    const char *name;
    uint64_t disk_offset, length;
} zeroings[] = {
    {"nothing is zeroed", 5000, 0},
    {"a block is zeroed", 4096, 4096},
    {"blocks are zeroed", 8192, 131072},
    {"a byte is zeroed", 4097, 1},
    {"a piece inside a block is zeroed", 4097, 4000},
    {"a piece across two blocks is zeroed", 8191, 2},
    {"a piece with edges on both ends is zeroed", 5000, 100000},
    {"a sector is zeroed", 512, 512},
    {"the end of the disk is zeroed", ODD_LENGTH - 10000, 10000},
    {"all of the disk is zeroed", 0, ODD_LENGTH},
};

enum { ALL_WAYS = (1 << ZEROING_WAYS) - 1 };

/* As where the kernel refuses some ways of zeroing: bits 1 << ZEROING_...
 */
static void refuse(struct target *t, unsigned refused)
{
    for (unsigned i = 0; i < ZEROING_WAYS; i++)
        file_of(t)->zeroing.is_refused[i] = (refused & 1U << i) != 0;
}

static void test_zeroings(bool is_direct, unsigned refused)
{
    static unsigned char expected[LENGTH];

    for (size_t i = 0; i < N_ELEMENTS(zeroings); i++) {
        uint64_t offset = zeroings[i].disk_offset, length = zeroings[i].length;
        struct target *t = NULL;
        struct error err;

        TEST(zeroings[i].name);
        make_disk(ODD_LENGTH);
        memcpy(expected, before, LENGTH);
        memset(expected + offset, 0, length);
        t = open_disk(is_direct);
        refuse(t, refused);
        CHECK_OK(target_zero(t, offset, length, &err), &err);
        CHECK_OK(target_finish(t, &err), &err);
        target_close(t);
        check_disk(expected, ODD_LENGTH);
    }
    unlink(path("disk"));
}

/* The parts of the disk that a thread writes: each third piece of an odd
 * length.
 */
enum { THREADS = 3, PIECE = 5000 };

struct writer {
    struct target *target;
    unsigned number;
};

static void *write_third(void *opaque)
{
    const struct writer *w = opaque;
    unsigned char *buf = io_alloc_aligned(PIECE + IO_ALIGN);
    struct error err;

    test_require(buf != NULL, "posix_memalign");
    for (uint64_t at = (uint64_t)w->number * PIECE; at < ODD_LENGTH;
         at += (uint64_t)THREADS * PIECE) {
        uint64_t n = io_min(PIECE, ODD_LENGTH - at);
        unsigned char *from = buf + at % IO_ALIGN;

        memcpy(from, content + at, n);
        CHECK_OK(target_write(w->target, from, n, at, &err), &err);
    }
    free(buf);
    return NULL;
}

static void test_threads(bool is_direct)
{
    struct writer writers[THREADS];
    pthread_t threads[THREADS];
    struct target *t = NULL;
    struct error err;

    TEST("threads that write side by side spoil nothing");
    make_disk(ODD_LENGTH);
    t = open_disk(is_direct);
    for (unsigned i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){t, i};
        pthread_create(&threads[i], NULL, write_third, &writers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_OK(target_finish(t, &err), &err);
    target_close(t);
    check_disk(content, ODD_LENGTH);
    unlink(path("disk"));
}

/* No file may be longer than 100,000 bytes. */
static void write_too_much(void)
{
    const struct rlimit limit = {100000, 100000};
    struct target *t = NULL;
    struct error err = {0};
    char message[512];

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    t = open_disk(false);
    snprintf(message, sizeof message,
             "destination: cannot make %s 1048576 bytes long: File too large",
             path("disk"));
    CHECK_FAILS(target_create(t, LENGTH, &err), &err, message);
    target_close(t);
    CHECK_INT(access(path("disk"), F_OK), -1);

    t = open_disk(false);
    CHECK_OK(target_create(t, 100000, &err), &err);
    CHECK_OK(target_write(t, content, 99000, 0, &err), &err);
    CHECK_FAILS(target_write(t, content, 1, 100000, &err), &err,
                "destination: cannot write at disk offset 100000: File too "
                "large");
    refuse(t, ALL_WAYS);
    CHECK_FAILS(target_zero(t, 102400, 4096, &err), &err,
                "destination: cannot write at disk offset 102400: File too "
                "large");
    target_close(t);
    CHECK_INT(access(path("disk"), F_OK), -1);
}

static struct target *to_cancel;

/* Ways of zeroing that come to nothing, and in which somebody gives up. */
static int be_cancelled(int fd, uint64_t disk_offset, uint64_t length)
{
    (void)fd;
    (void)disk_offset;
    (void)length;
    target_cancel(to_cancel);
    errno = EOPNOTSUPP;
    return -1;
}

static int be_given_up(int fd, uint64_t disk_offset, uint64_t length)
{
    (void)fd;
    (void)disk_offset;
    (void)length;
    signals_give_up();
    errno = EOPNOTSUPP;
    return -1;
}

/* What is left of a piece is not written. */
static void check_ended(int (*way)(int, uint64_t, uint64_t), int errnum)
{
    struct error err = {0};

    make_disk(LENGTH);
    to_cancel = open_disk(false);
    file_of(to_cancel)->zeroing = (struct zeroing){
        .ways = {[ZEROING_BLKZEROOUT] = way},
        .is_refused =
            {[ZEROING_PUNCH_HOLE] = true, [ZEROING_ZERO_RANGE] = true},
    };
    CHECK_INT(target_zero(to_cancel, 0, LENGTH, &err), -1);
    CHECK_INT(err.errnum, errnum);
    target_close(to_cancel);
    check_disk(before, LENGTH);
    unlink(path("disk"));
}

static void end_early(void)
{
    struct error err;

    TEST("who zeroes by writing ends when nobody wants it any more");
    check_ended(be_cancelled, ECANCELED);
    TEST("and after a signal");
    CHECK_OK(signals_open(&err), &err);
    check_ended(be_given_up, EINTR);
}

int main(void)
{
    test_begin();
    test_fill_random(content, sizeof content);
    test_fill_random(before, sizeof before);
    test_open();
    for (int is_direct = 0; is_direct <= 1; is_direct++) {
        test_created(is_direct);
        test_writes(is_direct);
        for (unsigned refused = 0; refused <= ALL_WAYS; refused++)
            test_zeroings(is_direct, refused);
        test_threads(is_direct);
    }
    TEST("an error of the disk is told, with where it was");
    test_in_child(write_too_much);
    end_early();
    return test_end();
}
