/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The part of failing-call.c that is about what a cage is made of. */

#include <sys/mount.h>
#include <sys/prctl.h>

CALL(CAGE, pid_t, setsid, -1, (void), ())
CALL(CAGE, int, getrlimit, -1,
     (__rlimit_resource_t what, struct rlimit *limit), (what, limit))
CALL(CAGE, int, setrlimit, -1,
     (__rlimit_resource_t what, const struct rlimit *limit), (what, limit))
CALL(CAGE, int, unshare, -1, (int flags), (flags))
CALL(CAGE, int, mount, -1,
     (const char *source, const char *target, const char *type,
      unsigned long flags, const void *data),
     (source, target, type, flags, data))
CALL(CAGE, int, umount2, -1, (const char *target, int flags), (target, flags))
CALL(CAGE, int, chdir, -1, (const char *path), (path))
CALL(CAGE, int, mkdir, -1, (const char *path, mode_t mode), (path, mode))
CALL(CAGE, int, statvfs, -1, (const char *path, struct statvfs *st),
     (path, st))
CALL_OR(NULL, CAGE, char *, getcwd, -1, (char *buf, size_t size), (buf, size))

/* Calls with a number, by the names that the tests know. */
struct named {
    long number;
    const char *name;
};

static const struct named prctls[] = {
    {PR_SET_PDEATHSIG, "prctl(PDEATHSIG)"},
    {PR_SET_DUMPABLE, "prctl(DUMPABLE)"},
    {PR_SET_NO_NEW_PRIVS, "prctl(NO_NEW_PRIVS)"},
    {PR_SET_SECCOMP, "prctl(SECCOMP)"},
    {PR_CAPBSET_READ, "prctl(CAPBSET_READ)"},
    {PR_CAPBSET_DROP, "prctl(CAPBSET_DROP)"},
    {PR_CAP_AMBIENT, "prctl(CAP_AMBIENT)"},
};

enum { LANDLOCK = 444 }; /* landlock_create_ruleset(2), on all machines */

static const struct named syscalls[] = {
    {SYS_setresuid, "syscall(setresuid)"},
    {SYS_setresgid, "syscall(setresgid)"},
    {SYS_setgroups, "syscall(setgroups)"},
#ifdef SYS_setresuid32
    {SYS_setresuid32, "syscall(setresuid)"},
    {SYS_setresgid32, "syscall(setresgid)"},
    {SYS_setgroups32, "syscall(setgroups)"},
#endif
    {SYS_capget, "syscall(capget)"},
    {SYS_capset, "syscall(capset)"},
    {SYS_pivot_root, "syscall(pivot_root)"},
#ifdef SYS_seccomp
    {SYS_seccomp, "syscall(seccomp)"},
#endif
    {LANDLOCK, "syscall(landlock_create_ruleset)"},
    {LANDLOCK + 1, "syscall(landlock_add_rule)"},
    {LANDLOCK + 2, "syscall(landlock_restrict_self)"},
};

#define NAME_IN(list, number)                                                 \
    name_in(list, sizeof(list) / sizeof((list)[0]), number)

static const char *name_in(const struct named *list, size_t count, long number)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].number == number)
            return list[i].name;
    return NULL;
}

int prctl(int option, ...)
{
    const char *name = NAME_IN(prctls, option);
    bool is_alike;
    unsigned long a[4];
    va_list ap;

    va_start(ap, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(ap, unsigned long);
    va_end(ap);
    is_alike = (option == PR_CAPBSET_READ || option == PR_CAPBSET_DROP) &&
               a[0] > 0; /* one capability stands for the others */
    if (!is_alike && fails(CAGE, name == NULL ? "prctl" : name, -1, NULL))
        return -1;
    return NEXT(prctl)(option, a[0], a[1], a[2], a[3]);
}

long syscall(long what, ...)
{
    const char *name = NAME_IN(syscalls, what);
    long a[6];
    va_list ap;

    va_start(ap, what);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    if (what == LANDLOCK && a[2] == 1)
        name = "syscall(landlock_version)";
    if (name == NULL ? fails(CONTROL, "syscall", -1, NULL)
                     : fails(CAGE, name, -1, NULL))
        return -1;
    return NEXT(syscall)(what, a[0], a[1], a[2], a[3], a[4], a[5]);
}
