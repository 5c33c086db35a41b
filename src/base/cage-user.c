/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The part of the cage that takes root's power away. */

/* Notes on the design
 *
 * System calls are made by their numbers: the C library's setresuid(3) and its
 * like speak to all threads, and take locks for that.
 */

#include "config.h"

#include "base/cage-user.h"
#include "base/compat.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <pwd.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where the plain ones are for users of 16 bits. */
#ifdef SYS_setresuid32
#define SYS_SET_USER SYS_setresuid32
#define SYS_SET_GROUP SYS_setresgid32
#define SYS_SET_GROUPS SYS_setgroups32
#else
#define SYS_SET_USER SYS_setresuid
#define SYS_SET_GROUP SYS_setresgid
#define SYS_SET_GROUPS SYS_setgroups
#endif

static struct cage_user found;

static void find(void)
{
    struct passwd passwd, *entry = NULL;
    char text[4096];
    int r = getpwnam_r(QEMU_USER, &passwd, text, sizeof text, &entry);

    if (entry == NULL || passwd.pw_uid == 0) {
        found.errnum = r != 0 ? r : ENOENT;
        return;
    }
    found.uid = passwd.pw_uid;
    found.gid = passwd.pw_gid;
}

void cage_user_find(struct cage_user *user)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, find);
    *user = found;
}

static int set_user(uid_t real, uid_t effective, uid_t saved)
{
    return syscall(SYS_SET_USER, real, effective, saved) == 0 ? 0 : errno;
}

static int set_group(gid_t real, gid_t effective, gid_t saved)
{
    return syscall(SYS_SET_GROUP, real, effective, saved) == 0 ? 0 : errno;
}

/* May that user run it?  access(2) asks it of the real user and group.  As we
 * were afterwards.
 */
static int try_to_run(const struct cage_user *user, const char *program)
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    int r = set_group(user->gid, -1, -1), back;

    if (r != 0)
        return r;
    r = set_user(user->uid, -1, -1);
    if (r == 0) {
        r = access(program, R_OK | X_OK) == 0 ? 0 : errno;
        back = set_user(uid, -1, -1);
        if (back != 0)
            return back;
    }
    back = set_group(gid, -1, -1);
    return back != 0 ? back : r;
}

int cage_user_enter(const struct cage_user *user, const char *program)
{
    int r = user->errnum;

    if (geteuid() != 0)
        return 0;
    if (r == 0)
        r = try_to_run(user, program);
    if (r == 0)
        r = set_group(user->gid, user->gid, user->gid);
    if (r == 0)
        r = set_user(user->uid, user->uid, user->uid);
    return r;
}

int cage_user_leave_groups(void)
{
    if (geteuid() != 0 || syscall(SYS_SET_GROUPS, 0, NULL) == 0)
        return 0;
    return errno;
}

#define POWER(capability) (UINT64_C(1) << (capability))
#define START                                                                 \
    (POWER(CAP_SETUID) | POWER(CAP_SETGID) | POWER(CAP_SETPCAP) |             \
     POWER(CAP_KILL) | POWER(CAP_DAC_READ_SEARCH))

static const uint64_t capabilities_of[] = {
    [CAGE_POWER_NONE] = 0,
    [CAGE_POWER_READ] = POWER(CAP_DAC_READ_SEARCH),
    [CAGE_POWER_WRITE] = POWER(CAP_DAC_OVERRIDE),
    [CAGE_POWER_START] = START,
    [CAGE_POWER_START_AND_WRITE] = START | POWER(CAP_DAC_OVERRIDE),
};

int cage_user_drop_capabilities(enum cage_power power)
{
    struct __user_cap_header_struct header = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[2];
    uint64_t kept = capabilities_of[power];
    int r = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);

    /* Linux before 4.3 has none: EINVAL.  Root's go with the inheritable
     * ones.
     */
    if (geteuid() != 0)
        return r == 0 || errno == EINVAL ? 0 : errno;
    /* Of the bounding set, too, or exec would bring root's back; that is, if
     * no_new_privs did not see to it: so it need not succeed.
     */
    for (int i = 0; prctl(PR_CAPBSET_READ, i) >= 0; i++)
        if (!(kept >> i & 1) && prctl(PR_CAPBSET_DROP, i) == -1)
            break;
    if (syscall(SYS_capget, &header, data) == -1)
        return errno;
    for (int i = 0; i < 2; i++) {
        data[i].permitted &= (uint32_t)(kept >> 32 * i);
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    return syscall(SYS_capset, &header, data) == 0 ? 0 : errno;
}
