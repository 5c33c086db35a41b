/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests the disk that an imported stream lands on, as a block device. */

#include "config.h"

#include "base/io.h"
#include "import/target-file.h"
#include "test.h"

#include <fcntl.h>

enum { SKIPPED = 77, LENGTH = 1 << 20, SECTOR = 512 };

static unsigned char content[LENGTH], before[LENGTH];
static char file[300], device[64];

/* The words of a command, up to a NULL; what it prints.  False: it failed. */
static bool run(const char *const argv[], char *text, size_t space)
{
    int fds[2], status = -1;
    ssize_t n;
    pid_t pid;

    test_require(pipe2(fds, O_CLOEXEC) == 0, "pipe2");
    pid = fork();
    test_require(pid != -1, "fork");
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    close(fds[1]);
    n = io_read_full(fds[0], text, space - 1);
    text[n > 0 ? n : 0] = '\0';
    close(fds[0]);
    test_require(waitpid(pid, &status, 0) == pid, "waitpid");
    return status == 0;
}

/* A loop device over a file that is full of something. */
static bool attach(const char *option)
{
    const char *const argv[] = {"losetup", "--find", "--show",
                                option,    file,     NULL};
    int fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool is_attached;

    test_require(fd != -1, "open");
    test_require(io_pwrite_full(fd, before, LENGTH, 0) == 0, "pwrite");
    close(fd);
    is_attached = run(argv, device, sizeof device);
    device[strcspn(device, "\n")] = '\0';
    return is_attached;
}

static void detach(void)
{
    const char *const argv[] = {"losetup", "--detach", device, NULL};
    char text[64];

    CHECK(run(argv, text, sizeof text));
    unlink(file);
}

static void check_device(const void *expected)
{
    static unsigned char buf[LENGTH + 1];
    int fd = open(device, O_RDONLY | O_CLOEXEC);

    test_require(fd != -1, "open");
    CHECK_INT(io_pread_full(fd, buf, sizeof buf, 0), LENGTH);
    CHECK_MEM(buf, expected, LENGTH);
    close(fd);
}

/* Pieces that may begin and end inside a block, and even a sector. */
static const struct {
    const char *name;
    uint64_t disk_offset, length;
} pieces[] = {
    {"a block", 4096, 4096},
    {"a sector", SECTOR, SECTOR},
    {"a sector next to it", 2 * SECTOR, SECTOR},
    {"sectors across blocks", 8192 - SECTOR, 3 * SECTOR},
    {"a byte", 20000, 1},
    {"a piece with edges on both ends", 30001, 50000},
    {"the end of the device", LENGTH - 10000, 10000},
};

static struct target_file *file_of(struct target *t)
{
    return (struct target_file *)t;
}

/* Zeroes pieces of the target, and all of it, as where the kernel refuses some
 * of the ways: bits 1 << ZEROING_...
 */
static void test_zeroings(struct target *t, unsigned refused)
{
    static unsigned char expected[LENGTH];
    struct error err;

    CHECK_OK(target_write(t, content, LENGTH, 0, &err), &err);
    memcpy(expected, content, LENGTH);
    for (size_t i = 0; i < ZEROING_WAYS; i++)
        file_of(t)->zeroing.is_refused[i] = (refused & 1U << i) != 0;
    for (size_t i = 0; i < N_ELEMENTS(pieces); i++) {
        uint64_t offset = pieces[i].disk_offset, length = pieces[i].length;

        TEST(pieces[i].name);
        CHECK_OK(target_zero(t, offset, length, &err), &err);
        memset(expected + offset, 0, length);
        check_device(expected);
    }
    TEST("all of a device is zeroed");
    CHECK_OK(target_zero(t, 0, LENGTH, &err), &err);
    memset(expected, 0, LENGTH);
    check_device(expected);
}

static void test_pieces(bool is_direct)
{
    static unsigned char expected[LENGTH];
    const struct target_file_how how = {.is_direct = is_direct};
    unsigned char *buf = io_alloc_aligned(LENGTH + IO_ALIGN);
    struct target *t = NULL;
    struct error err;

    test_require(buf != NULL, "posix_memalign");
    TEST("a device is as long as it is");
    CHECK_OK(target_file_open(device, &how, &t, &err), &err);
    CHECK(file_of(t)->is_device);
    CHECK_UINT(t->size, LENGTH);
    CHECK_UINT(file_of(t)->block, SECTOR);
    CHECK_OK(target_create(t, 5000, &err), &err); /* nothing to be done */
    CHECK_UINT(t->size, LENGTH);

    memcpy(expected, before, LENGTH);
    for (size_t i = 0; i < N_ELEMENTS(pieces); i++) {
        uint64_t offset = pieces[i].disk_offset, length = pieces[i].length;
        unsigned char *from = buf + offset % IO_ALIGN;

        TEST(pieces[i].name);
        memcpy(from, content + offset, length);
        CHECK_OK(target_write(t, from, length, offset, &err), &err);
        memcpy(expected + offset, content + offset, length);
        check_device(expected);
    }
    for (unsigned refused = 0; refused < 1U << ZEROING_WAYS; refused++)
        test_zeroings(t, refused);

    TEST("a device is never removed");
    CHECK_OK(target_finish(t, &err), &err);
    target_close(t);
    CHECK_INT(access(device, F_OK), 0);
    free(buf);
}

static void test_read_only(void)
{
    const struct target_file_how how = {.is_direct = false};
    struct error err = {0};
    struct target *t = NULL;
    char message[256];

    TEST("a device that is read-only is refused, and stays as it is");
    snprintf(message, sizeof message, "destination: %s: Read-only file system",
             device);
    if (target_file_open(device, &how, &t, &err) == -1 &&
        strstr(err.msg, "cannot open") != NULL) /* it depends on the kernel */
        snprintf(message, sizeof message, "destination: cannot open %s: %s",
                 device, strerror(err.errnum));
    CHECK_STR(err.msg, message);
    target_close(t);
    check_device(before);
}

int main(void)
{
    test_begin();
    test_fill_random(content, sizeof content);
    test_fill_random(before, sizeof before);
    snprintf(file, sizeof file, "%s/disk", test_dir());
    if (geteuid() != 0 || !attach("--sector-size=512")) {
        unlink(file);
        return test_end() == EXIT_SUCCESS ? SKIPPED : EXIT_FAILURE;
    }
    test_pieces(false);
    detach();
    if (attach("--sector-size=512")) {
        test_pieces(true);
        detach();
    }
    if (attach("--read-only")) {
        test_read_only();
        detach();
    }
    return test_end();
}
