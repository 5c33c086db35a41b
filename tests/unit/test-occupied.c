/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what the kernel uses a disk for, by files that look like its own. */

#include "config.h"

#include "base/io.h"
#include "base/occupied.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>

enum { DISK = 8 }; /* the major number of SCSI disks */

static char made[64][300];
static size_t n_made;

/* Below the test's directory, which stands for the root. */
static void make(const char *path, const char *text)
{
    int fd;

    snprintf(made[n_made], sizeof made[0], "%s%s", test_dir(), path);
    for (char *p = made[n_made] + strlen(test_dir()) + 1; *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        mkdir(made[n_made], 0700);
        *p = '/';
    }
    fd = open(made[n_made], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    test_require(fd != -1, made[n_made]);
    test_require(io_write_full(fd, text, strlen(text)) == 0, "write");
    close(fd);
    n_made++;
}

/* The files, and the directories that are empty then. */
static void remove_all(void)
{
    while (n_made > 0) {
        char *slash = made[--n_made];

        unlink(slash);
        while ((slash = strrchr(made[n_made], '/')) != NULL &&
               (size_t)(slash - made[n_made]) > strlen(test_dir())) {
            *slash = '\0';
            rmdir(made[n_made]);
        }
    }
}

/* A disk of two partitions, 8:1 and 8:2. */
static void make_partitioned(void)
{
    make("/sys/dev/block/8:0/dev", "8:0\n");
    make("/sys/dev/block/8:0/sda1/partition", "1\n");
    make("/sys/dev/block/8:0/sda1/dev", "8:1\n");
    make("/sys/dev/block/8:0/sda2/partition", "2\n");
    make("/sys/dev/block/8:0/sda2/dev", "8:2\n");
    make("/sys/dev/block/8:0/queue/dev", "8:3\n"); /* no partition */
}

/* NULL: nothing uses it. */
static void check_used(unsigned device, const char *expected)
{
    const struct stat st = {
        .st_mode = S_IFBLK | 0600,
        .st_rdev = makedev(DISK, device),
    };
    char words[OCCUPIED_WORDS];

    CHECK_STR(occupied_find(test_dir(), &st, words) == 1 ? words : NULL,
              expected);
}

static void test_mounted(void)
{
    make_partitioned();
    make("/proc/self/mountinfo",
         "22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw\n"
         "23 22 0:5 / /dev rw - devtmpfs devtmpfs rw\n"
         "broken\n"
         "24 22 8:16 /in /mnt/two\\040words rw,nosuid - xfs /dev/sdb rw\n");
    TEST("what is mounted is, by itself or by a partition");
    check_used(16, " is mounted on /mnt/two words");
    check_used(2, " is mounted on /");
    check_used(0, ": its partition sda2 is mounted on /");
    check_used(1, NULL);
    check_used(5, NULL);
    remove_all();
}

static void test_held(void)
{
    make_partitioned();
    make("/sys/dev/block/8:1/holders/md0", "");
    make("/sys/dev/block/8:16/holders/dm-3/dm/name", "vg-lv\n");
    make("/sys/dev/block/8:32/holders/dm-4/size", "1\n");
    TEST("what has something stacked on it is part of that");
    check_used(16, " is part of /dev/mapper/vg-lv");
    check_used(32, " is part of /dev/dm-4");
    check_used(1, " is part of /dev/md0");
    check_used(0, ": its partition sda1 is part of /dev/md0");
    check_used(2, NULL);
    remove_all();
}

static void test_swap(void)
{
    char words[OCCUPIED_WORDS], text[700], swap[300];
    struct stat st, other;

    snprintf(swap, sizeof swap, "%s/swap", test_dir());
    snprintf(text, sizeof text,
             "Filename\t\tType\t\tSize\tUsed\tPriority\n"
             "/none/of\\040these  partition\t1\t0\t-2\n"
             "%s\\040file   file\t16380\t0\t-2\n",
             swap);
    make("/swap file", "");
    make("/other", "");
    make("/proc/swaps", text);
    test_require(stat(made[0], &st) == 0 && stat(made[1], &other) == 0,
                 "stat");
    TEST("a file may be swap");
    CHECK_INT(occupied_find(test_dir(), &st, words), 1);
    CHECK_STR(words, " is used as swap");
    CHECK_INT(occupied_find(test_dir(), &other, words), 0);
    remove_all();
}

static void test_nothing(void)
{
    TEST("where nothing can be looked at, nothing is in use");
    check_used(0, NULL);
}

static void test_shortage(void)
{
    struct rlimit before, few;
    struct stat st = {.st_mode = S_IFREG | 0600};
    char words[OCCUPIED_WORDS];

    TEST("who has no fd to look cannot say that nothing uses it");
    make("/proc/swaps", "");
    test_require(getrlimit(RLIMIT_NOFILE, &before) == 0, "getrlimit");
    few = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
    test_require(setrlimit(RLIMIT_NOFILE, &few) == 0, "setrlimit");
    CHECK_INT(occupied_find(test_dir(), &st, words), -1);
    CHECK_INT(errno, EMFILE);
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK_INT(occupied_find(test_dir(), &st, words), 0);
    remove_all();
}

static void test_same(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), file, again;

    TEST("only files and block devices are a disk, and the same one");
    make("/disk", "");
    file = open(made[0], O_RDWR | O_CLOEXEC);
    again = open(made[0], O_RDONLY | O_CLOEXEC);
    CHECK_INT(occupied_is_same(file, file), 1);
    CHECK_INT(occupied_is_same(file, again), 1);
    CHECK_INT(occupied_is_same(file, null), 0);
    CHECK_INT(occupied_is_same(null, null), 0);
    CHECK_INT(occupied_is_same(-1, -1), 0);
    CHECK_INT(occupied_is_same(file, 1000), -1);
    CHECK_INT(errno, EBADF);
    close(null);
    close(file);
    close(again);
    remove_all();
}

int main(void)
{
    test_begin();
    test_mounted();
    test_held();
    test_swap();
    test_nothing();
    test_shortage();
    test_same();
    return test_end();
}
