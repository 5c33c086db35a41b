/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The part of the cage that denies system calls: seccomp(2). */

/* Notes on the design
 *
 * A QEMU tool gets a list of calls that it may make.  All others fail with
 * ENOSYS: then the C library and QEMU take another way, as on an older kernel,
 * where there is one.  Calls that no tool has any business with end it.
 *
 * The list is what all tools used in all tests, and what the C library may
 * use in their place: each comes with its brothers, older and younger.
 * Which files are opened is for Landlock to judge, what is executed, too (a
 * filter cannot count, and the first exec is ours).  Where one cannot be
 * written to, none is opened for that.
 *
 * Some calls have many uses.  Of fcntl(2) and ioctl(2) those are there that a
 * tool has: others make the kernel send signals to anybody, or type into a
 * terminal.
 *
 * io_uring is not on it: what is submitted there passes no filter.
 */

#include "config.h"

#include "base/cage-calls.h"

#include <errno.h>

#ifdef HAVE_LIBSECCOMP

#include "base/cleanup.h"
#include "base/compat.h"
#include "base/lock.h"

#include <asm/sockios.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char allowed[] =
    /* Itself. */
    "arch_prctl brk execve exit exit_group getcpu getegid getegid32 "
    "geteuid geteuid32 getgid getgid32 getgroups getgroups32 getpgid "
    "getpgrp getpid getppid getrandom getresgid getresgid32 getresuid "
    "getresuid32 getrlimit getrusage getsid gettid getuid getuid32 "
    "membarrier prctl restart_syscall riscv_flush_icache riscv_hwprobe "
    "set_thread_area set_tid_address set_tls sysinfo ugetrlimit umask "
    "uname "
    /* Memory. */
    "get_mempolicy madvise mbind mincore mlock mlock2 mmap mmap2 "
    "mprotect mremap msync munlock munmap set_mempolicy "
    /* Threads and time. */
    "clock_getres clock_getres_time64 clock_gettime clock_gettime64 "
    "clock_nanosleep clock_nanosleep_time64 futex futex_time64 "
    "futex_waitv get_robust_list getpriority gettimeofday nanosleep "
    "rseq sched_get_priority_max sched_get_priority_min "
    "sched_getaffinity sched_getattr sched_getparam sched_getscheduler "
    "sched_setaffinity sched_yield set_robust_list setpriority time "
    "timer_create timer_delete timer_gettime timer_settime "
    "timerfd_create timerfd_gettime timerfd_settime times "
    /* Signals; but none to others. */
    "pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn "
    "rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 sigaction "
    "sigaltstack signal signalfd signalfd4 sigprocmask sigreturn "
    /* What is open. */
    "_llseek close close_range copy_file_range dup dup2 dup3 "
    "epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 "
    "epoll_wait eventfd eventfd2 fadvise64 fadvise64_64 fallocate "
    "fdatasync fgetxattr flock fstat fstat64 fstatfs fstatfs64 "
    "fsync ftruncate ftruncate64 getdents getdents64 io_cancel "
    "io_destroy io_getevents io_pgetevents io_setup io_submit "
    "lseek pipe pipe2 poll ppoll ppoll_time64 pread64 preadv preadv2 "
    "pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead "
    "readv select _newselect sync_file_range write writev "
    /* Names. */
    "access chdir faccessat faccessat2 fstatat64 getcwd getxattr lstat "
    "lstat64 newfstatat readlink readlinkat stat "
    "stat64 statfs statfs64 statx "
    /* Sockets that it inherits. */
    "accept accept4 getpeername getsockname getsockopt recv recvfrom "
    "recvmmsg recvmsg send sendmmsg sendmsg sendto setsockopt shutdown";

/* Who calls one of these is not at work any more. */
static const char deadly[] =
    "acct add_key bpf chroot delete_module execveat finit_module "
    "fsconfig fsmount fsopen fspick init_module ioperm iopl "
    "kexec_file_load kexec_load keyctl mount mount_setattr move_mount "
    "open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root "
    "process_vm_readv process_vm_writev ptrace quotactl reboot "
    "request_key setns settimeofday swapoff swapon umount umount2 "
    "unshare userfaultfd";

static const char sockets[] = "bind connect listen socket socketpair";

static const char processes[] = "fork vfork";

static const char rings[] = "io_uring_setup io_uring_enter io_uring_register";

/* Who has sockets may use libraries that we do not know.  They have threads
 * (tgkill), but nobody to send signals to.
 */
static const char signals[] =
    "kill tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal";

/* Numbers from 424 on are the same on all machines but Alpha.  An older
 * libseccomp has no names for these.
 */
static const struct {
    const char *name;
    int number;
} young[] = {
    {"pidfd_send_signal", 424},
    {"io_uring_setup", 425},
    {"io_uring_enter", 426},
    {"io_uring_register", 427},
    {"open_tree", 428},
    {"move_mount", 429},
    {"fsopen", 430},
    {"fsconfig", 431},
    {"fsmount", 432},
    {"fspick", 433},
    {"pidfd_getfd", 438},
    {"mount_setattr", 442},
};

static int find_number(const char *name)
{
    int number = seccomp_syscall_resolve_name(name);

#ifndef __alpha__
    for (size_t i = 0; i < sizeof young / sizeof young[0]; i++)
        if (number == __NR_SCMP_ERROR && strcmp(young[i].name, name) == 0)
            number = young[i].number;
#endif
    return number;
}

/* names have a space between them.  What this machine or this libseccomp has
 * no name for cannot be called.
 */
static int add(scmp_filter_ctx filter, uint32_t action, const char *names)
{
    size_t length;

    for (; *names != '\0'; names += length + strspn(names + length, " ")) {
        char name[32];
        int number, r;

        length = strcspn(names, " ");
        snprintf(name, sizeof name, "%.*s", (int)length, names);
        number = find_number(name);
        if (number == __NR_SCMP_ERROR)
            continue;
        r = seccomp_rule_add(filter, action, number, 0);
        if (r == -ENOMEM || r == -EFAULT)
            return r;
    }
    return 0;
}

/* A call, if one of its arguments has that value behind the mask.  Where the
 * kernel looks at 32 bits, so does the mask.
 */
struct use {
    int call;
    unsigned argument;
    uint64_t mask, value;
};

static int add_use(scmp_filter_ctx filter, uint32_t action,
                   const struct use *use)
{
    const struct scmp_arg_cmp condition = {
        .arg = use->argument,
        .op = SCMP_CMP_MASKED_EQ,
        .datum_a = use->mask,
        .datum_b = use->value,
    };

    return seccomp_rule_add_array(filter, action, use->call, 1, &condition);
}

static int add_uses(scmp_filter_ctx filter, uint32_t action,
                    const struct use *uses, size_t count)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_use(filter, action, &uses[i]);
    return r;
}

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define INT UINT64_C(0xffffffff)
#define IOCTL(number)                                                         \
    {                                                                         \
        SCMP_SYS(ioctl), 1, INT, (uint32_t)(number)                           \
    }
#define IOCTLS_OF_TYPE(type)                                                  \
    {                                                                         \
        SCMP_SYS(ioctl), 1, 0xff00, (type) << 8                               \
    }

/* Disks, files, CD-ROMs, SCSI disks, and whether it is a terminal. */
static const struct use ioctls[] = {
    IOCTLS_OF_TYPE(0x03), /* linux/hdreg.h */
    IOCTLS_OF_TYPE(0x12), /* linux/fs.h: BLK... */
    IOCTLS_OF_TYPE(0x22), /* scsi/sg.h */
    IOCTLS_OF_TYPE(0x53), /* linux/cdrom.h */
    IOCTLS_OF_TYPE(0x94), /* linux/fs.h: FICLONE */
    IOCTLS_OF_TYPE('D'),  /* asm/dasd.h */
    IOCTLS_OF_TYPE('X'),  /* linux/fs.h: FS_IOC_FSGETXATTR */
    IOCTLS_OF_TYPE('f'),  /* linux/fs.h: FS_IOC_GETFLAGS, FS_IOC_FIEMAP */
    IOCTL(TCGETS),        IOCTL(TIOCGWINSZ), IOCTL(FIONREAD),
    IOCTL(FIONBIO),       IOCTL(FIOCLEX),    IOCTL(FIONCLEX),
};

/* A terminal is typed to, or anybody gets a signal. */
static const struct use bad_ioctls[] = {
    IOCTL(TIOCSTI),
    IOCTL(TIOCLINUX),
    IOCTL(FIOSETOWN),
    IOCTL(SIOCSPGRP),
};

/* Where an offset has 32 bits there are two of each lock; a filter is for
 * both: fcntl(2).
 */
enum { OTHER_GETLK = F_GETLK == 5 ? 12 : 5 };

static const int fcntls[] = {
    F_DUPFD,      F_DUPFD_CLOEXEC, F_GETFD,         F_SETFD,
    F_GETFL,      F_SETFL,         F_GETLK,         F_SETLK,
    F_SETLKW,     OTHER_GETLK,     OTHER_GETLK + 1, OTHER_GETLK + 2,
    F_OFD_GETLK,  F_OFD_SETLK,     F_OFD_SETLK + 1, /* F_OFD_SETLKW */
    F_GETPIPE_SZ, F_SETPIPE_SZ,
};

static const int bad_fcntls[] = {F_SETOWN, F_SETOWN_EX, F_SETSIG, F_NOTIFY};

static int add_fcntls(scmp_filter_ctx filter, uint32_t action,
                      const int *commands, size_t count)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        struct use use = {SCMP_SYS(fcntl), 1, INT, (uint32_t)commands[i]};

        r = add_use(filter, action, &use);
        use.call = SCMP_SYS(fcntl64);
        if (r == 0)
            r = add_use(filter, action, &use);
    }
    return r;
}

/* For reading alone, if the tool is not one that writes. */
static int add_opens(scmp_filter_ctx filter, enum cage_calls which)
{
    const uint64_t writing = O_ACCMODE | O_CREAT | O_TRUNC;
    const struct use read_only[] = {
        {SCMP_SYS(open), 1, writing, O_RDONLY},
        {SCMP_SYS(openat), 2, writing, O_RDONLY},
    };
    const struct use other[] = {
        {SCMP_SYS(open), 1, O_CREAT, O_CREAT},
        {SCMP_SYS(open), 1, O_ACCMODE | O_CREAT, O_WRONLY},
        {SCMP_SYS(open), 1, O_ACCMODE | O_CREAT, O_RDWR},
        {SCMP_SYS(openat), 2, O_CREAT, O_CREAT},
        {SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT, O_WRONLY},
        {SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT, O_RDWR},
    };
    int r;

    if (which == CAGE_CALLS_OF_WRITER)
        return add(filter, SCMP_ACT_ALLOW, "open openat openat2");
    r = add_uses(filter, SCMP_ACT_ALLOW, read_only, COUNT(read_only));
    if (r == 0)
        r = add_uses(filter, SCMP_ACT_ERRNO(EACCES), other, COUNT(other));
    return r;
}

/* Calls that are fine for one of their arguments only. */
static int add_particular(scmp_filter_ctx filter)
{
#ifdef __s390__
    const unsigned flags = 1;
#else
    const unsigned flags = 0;
#endif
    const struct use thread = {SCMP_SYS(clone), flags, CLONE_THREAD,
                               CLONE_THREAD};
    const struct use process = {SCMP_SYS(clone), flags, CLONE_THREAD, 0};
    const struct scmp_arg_cmp own_limits[] = {
        {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = 0},
        {.arg = 2, .op = SCMP_CMP_EQ, .datum_a = 0},
    };
    int r;

    r = add_use(filter, SCMP_ACT_ALLOW, &thread);
    if (r == 0)
        r = add_use(filter, SCMP_ACT_ERRNO(EPERM), &process);
    if (r == 0) /* to look at them */
        r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64),
                                   2, own_limits);
    if (r == 0)
        r = add_uses(filter, SCMP_ACT_ALLOW, ioctls, COUNT(ioctls));
    if (r == 0)
        r = add_fcntls(filter, SCMP_ACT_ALLOW, fcntls, COUNT(fcntls));
    return r;
}

static int describe_tool(scmp_filter_ctx filter, enum cage_calls which)
{
    int r = add(filter, SCMP_ACT_ERRNO(EPERM), sockets);

    if (r == 0)
        r = add(filter, SCMP_ACT_ERRNO(EPERM), processes);
    if (r == 0)
        r = add(filter, SCMP_ACT_ALLOW, allowed);
    if (r == 0)
        r = add_opens(filter, which);
    return r == 0 ? add_particular(filter) : r;
}

/* All but what is dangerous. */
static int describe_other(scmp_filter_ctx filter, enum cage_calls which)
{
    bool is_client = which == CAGE_CALLS_OF_CLIENT;
    int r;

    r = add(filter, SCMP_ACT_ERRNO(EPERM), is_client ? signals : sockets);
    if (r == 0)
        r = add(filter, SCMP_ACT_ERRNO(ENOSYS), rings);
    if (r == 0)
        r = add_uses(filter, SCMP_ACT_ERRNO(EPERM), bad_ioctls,
                     COUNT(bad_ioctls));
    if (r == 0)
        r = add_fcntls(filter, SCMP_ACT_ERRNO(EPERM), bad_fcntls,
                       COUNT(bad_fcntls));
    return r;
}

static bool is_tool(enum cage_calls which)
{
    return which == CAGE_CALLS_OF_TOOL || which == CAGE_CALLS_OF_WRITER;
}

static int describe(scmp_filter_ctx filter, enum cage_calls which)
{
    int r = add(filter, SCMP_ACT_KILL_PROCESS, deadly);

    if (r != 0)
        return r;
    return is_tool(which) ? describe_tool(filter, which)
                          : describe_other(filter, which);
}

/* libseccomp writes it to an fd.  A pipe holds all of it, or says that it does
 * not.
 */
static int export(scmp_filter_ctx filter, struct sock_fprog *program)
{
    int CLEANUP(close_fd) from = -1;
    int CLEANUP(close_fd) to = -1;
    int fds[2], length = 0;
    int r;

    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1)
        return -errno;
    from = fds[0];
    to = fds[1];
    r = seccomp_export_bpf(filter, to);
    if (r < 0)
        return r;
    if (ioctl(from, FIONREAD, &length) == -1)
        return -errno;
    program->filter = malloc(length);
    if (program->filter == NULL)
        return -ENOMEM;
    program->len = length / sizeof *program->filter;
    if (read(from, program->filter, length) != length)
        return -EIO;
    return 0;
}

static int make(enum cage_calls which, struct sock_fprog *program)
{
    scmp_filter_ctx filter =
        seccomp_init(is_tool(which) ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_ALLOW);
    int r;

    if (filter == NULL)
        return -ENOMEM;
#if SCMP_VER_MAJOR > 2 || SCMP_VER_MINOR >= 5
    /* A tree: kernels before 5.11 run all of it for each call. */
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
#endif
    r = describe(filter, which);
    if (r == 0)
        r = export(filter, program);
    seccomp_release(filter);
    return r;
}

int cage_calls_find(enum cage_calls which, const struct sock_fprog **filter,
                    struct error *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct sock_fprog made[CAGE_CALLS_COUNT];
    int r = 0;

    LOCK_FOR_SCOPE(&lock);
    if (made[which].filter == NULL) {
        r = make(which, &made[which]);
        if (r < 0) {
            free(made[which].filter);
            made[which].filter = NULL;
            return error_set(err, -r, "sandbox: cannot make a filter");
        }
    }
    *filter = &made[which];
    return 0;
}

int cage_calls_enter(const struct sock_fprog *filter)
{
    if (filter == NULL)
        return ENOSYS;
#if defined SYS_seccomp && defined SECCOMP_FILTER_FLAG_SPEC_ALLOW
    /* Kernels before 5.16 slow down who has a filter, for the sake of programs
     * that run a stranger's code.  QEMU's tools do not.
     */
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                SECCOMP_FILTER_FLAG_SPEC_ALLOW, filter) == 0)
        return 0;
#endif
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter) == 0 ? 0 : errno;
}

#else

#include <stddef.h>

int cage_calls_find(enum cage_calls which, const struct sock_fprog **filter,
                    struct error *err)
{
    (void)which;
    (void)err;
    *filter = NULL;
    return 0;
}

int cage_calls_enter(const struct sock_fprog *filter)
{
    (void)filter;
    return ENOSYS;
}

#endif
