/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The part of the cage that denies files: Landlock (landlock(7)). */

#include "config.h"

#include "base/cage-files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/landlock.h is young, and what we need of it fits here.  The numbers of
 * the calls are the same on all machines.
 */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

enum { GET_VERSION = 1 << 0, RULE_PATH_BENEATH = 1 };

struct ruleset {
    uint64_t files, network, scoped;
};

struct path_beneath {
    uint64_t rights;
    int32_t fd;
} __attribute__((packed));

#define MAY_EXECUTE (UINT64_C(1) << 0)
#define MAY_WRITE_FILE (UINT64_C(1) << 1)
#define MAY_READ_FILE (UINT64_C(1) << 2)
#define MAY_READ_DIR (UINT64_C(1) << 3)
#define MAY_REMOVE_FILE (UINT64_C(1) << 5)
#define MAY_MAKE_FILE (UINT64_C(1) << 8)
#define MAY_REFER (UINT64_C(1) << 13)
#define MAY_TRUNCATE (UINT64_C(1) << 14)
#define MAY_OF_A_FILE                                                         \
    (MAY_EXECUTE | MAY_WRITE_FILE | MAY_READ_FILE | MAY_TRUNCATE)
#define MAY_ALL_AT_FIRST ((UINT64_C(1) << 13) - 1)
#define MAY_USE_TCP UINT64_C(3)    /* bind, connect */
#define SCOPED_SOCKETS UINT64_C(1) /* abstract ones of UNIX */
#define SCOPED_SIGNALS UINT64_C(2)

static const uint64_t scoped_of[] = {
    [CAGE_ALONE] = SCOPED_SOCKETS | SCOPED_SIGNALS,
    [CAGE_OURSELVES] = 0,
    [CAGE_CONNECTED] = SCOPED_SIGNALS,
    [CAGE_OURSELVES_CONNECTED] = 0,
};

static long version_of_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, GET_VERSION);
}

bool cage_files_can_enter(void)
{
    return version_of_landlock() >= 1;
}

/* All that this kernel can deny, but ioctl on devices. */
static int make_ruleset(enum cage_reach reach, uint64_t *handled)
{
    struct ruleset ruleset = {.files = MAY_ALL_AT_FIRST};
    size_t size = sizeof ruleset.files;
    long version = version_of_landlock();

    if (version < 1)
        return -1;
    if (version >= 2)
        ruleset.files |= MAY_REFER;
    if (version >= 3)
        ruleset.files |= MAY_TRUNCATE;
    if (version >= 4) {
        if (reach == CAGE_ALONE || reach == CAGE_OURSELVES)
            ruleset.network = MAY_USE_TCP;
        size = sizeof ruleset.files + sizeof ruleset.network;
    }
    if (version >= 6) {
        ruleset.scoped = scoped_of[reach];
        size = sizeof ruleset;
    }
    *handled = ruleset.files;
    return syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
}

static int add_rule(int ruleset_fd, uint64_t handled, int fd, unsigned rights)
{
    struct path_beneath rule = {.fd = fd};
    struct stat st;

    if (fstat(fd, &st) == -1)
        return errno;
    if (rights & CAGE_READ)
        rule.rights |= MAY_READ_FILE | MAY_READ_DIR;
    if (rights & CAGE_WRITE)
        rule.rights |= MAY_WRITE_FILE | MAY_TRUNCATE;
    if (rights & CAGE_EXECUTE)
        rule.rights |= MAY_EXECUTE;
    if (rights & CAGE_MAKE)
        rule.rights |= MAY_MAKE_FILE;
    if (rights & CAGE_REMOVE)
        rule.rights |= MAY_REMOVE_FILE;
    if (!S_ISDIR(st.st_mode))
        rule.rights &= MAY_OF_A_FILE;
    rule.rights &= handled;
    return syscall(SYS_landlock_add_rule, ruleset_fd, RULE_PATH_BENEATH, &rule,
                   0) == 0
               ? 0
               : errno;
}

static int add_file(int ruleset_fd, uint64_t handled,
                    const struct cage_file *file)
{
    int fd = file->fd, r;

    if (file->name != NULL)
        fd = open(file->name, O_PATH | O_CLOEXEC);
    if (fd == -1) /* it will not be opened by others, either */
        return error_is_shortage(errno) ? errno : 0;
    r = add_rule(ruleset_fd, handled, fd, file->rights);
    if (r == EBADFD) /* of the kernel's own, as a memfd: never denied */
        r = 0;
    if (file->name != NULL)
        close(fd);
    return r;
}

int cage_files_enter(const struct cage_rules *rules, enum cage_reach reach)
{
    uint64_t handled;
    int ruleset_fd = make_ruleset(reach, &handled);
    int r = 0;

    if (ruleset_fd == -1)
        return errno;
    for (size_t i = 0; r == 0 && i < rules->count; i++)
        r = add_file(ruleset_fd, handled, &rules->list[i]);
    if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset_fd, 0) == -1)
        r = errno;
    close(ruleset_fd);
    return r;
}
