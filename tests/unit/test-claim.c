/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests that nobody else uses a file that is going to be written. */

#include "config.h"

#include "base/claim.h"
#include "base/compat.h"
#include "test.h"

#include <fcntl.h>

static char name[300];

/* QEMU's locks, as QEMU has them: shared ones. */
static bool lock(int fd, off_t at)
{
    struct flock lock = {
        .l_type = F_RDLCK,
        .l_whence = SEEK_SET,
        .l_start = at,
        .l_len = 1,
    };

    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* Could QEMU take it, were it to want what that byte is for? */
static bool is_free(int fd, off_t at)
{
    struct flock lock = {
        .l_type = F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = at,
        .l_len = 1,
    };

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

static int open_file(int flags)
{
    int fd = open(name, flags | O_CREAT | O_CLOEXEC, 0600);

    test_require(fd != -1, name);
    return fd;
}

static const struct {
    const char *name;
    off_t at;
    bool is_in_the_way;
} locks[] = {
    {"read consistently", 100, false},
    {"write", 101, true},
    {"write unchanged", 102, false},
    {"change the size", 103, true},
    {"does not share reading", 200, false},
    {"does not share writing", 201, true},
    {"does not share writing unchanged", 202, false},
    {"does not share a change of the size", 203, true},
    {"libvirt's", 0, false},
};

static void test_others(int flags, bool is_ours)
{
    int held = -1;
    struct error err = {0};
    char message[400];

    snprintf(message, sizeof message,
             "destination: x is in use: another process has QEMU's locks on "
             "it (--force ignores that)");
    for (size_t i = 0; i < N_ELEMENTS(locks); i++) {
        int fd = open_file(flags), other = open_file(O_RDWR);

        TEST(locks[i].name);
        test_require(lock(other, locks[i].at), "F_OFD_SETLK");
        if (locks[i].is_in_the_way)
            CHECK_FAILS(claim_take(fd, "x", is_ours, CLAIM_REFUSE, &held,
                                   &err),
                        &err, message);
        else
            CHECK_OK(claim_take(fd, "x", is_ours, CLAIM_REFUSE, &held, &err),
                     &err);
        CHECK_OK(claim_take(fd, "x", is_ours, CLAIM_FORCE, &held, &err), &err);
        close(fd);
        close(other);
    }
}

static void test_held(int flags, bool is_ours)
{
    int fd = open_file(flags), other = open_file(O_RDWR), held = -1;
    struct error err = {0};

    TEST("what is ours is held, and what was given to us is not");
    CHECK_OK(claim_take(fd, "x", is_ours, CLAIM_REFUSE, &held, &err), &err);
    CHECK_OK(claim_take(fd, "x", is_ours, CLAIM_REFUSE, &held, &err), &err);
    CHECK_INT(is_free(other, 101), !is_ours);
    CHECK_INT(is_free(other, 103), !is_ours);
    CHECK_INT(is_free(other, 201), !is_ours);
    CHECK_INT(is_free(other, 203), !is_ours);
    CHECK(is_free(other, 100) && is_free(other, 200) && is_free(other, 0));
    close(fd);
    CHECK(is_free(other, 101) && is_free(other, 203));
    close(other);
}

static void test_no_disk(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC), held = -1;
    struct error err = {0};

    TEST("what is no disk is nobody's");
    CHECK_OK(claim_take(fd, "x", true, CLAIM_REFUSE, &held, &err), &err);
    close(fd);

    TEST("of what cannot be looked at nobody knows");
    CHECK_FAILS(claim_take(-1, "x", true, CLAIM_REFUSE, &held, &err), &err,
                "destination: x: Bad file descriptor");
    CHECK_OK(claim_take(-1, "x", true, CLAIM_FORCE, &held, &err), &err);
    CHECK_INT(held, -1);
}

int main(void)
{
    test_begin();
    snprintf(name, sizeof name, "%s/disk", test_dir());
    test_others(O_RDWR, true);
    test_others(O_WRONLY, true);
    test_others(O_WRONLY, false);
    test_held(O_RDWR, true);
    test_held(O_WRONLY, true);
    test_held(O_RDWR, false);
    test_no_disk();
    unlink(name);
    return test_end();
}
