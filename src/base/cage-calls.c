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
 * Opening files is for Landlock to judge, executing programs, too (a filter
 * cannot count, and the first exec is ours).
 *
 * io_uring is not on it: what is submitted there passes no filter.
 */

#include "config.h"

#include "base/cage-calls.h"

#include <errno.h>

#ifdef HAVE_LIBSECCOMP

#include "base/cleanup.h"
#include "base/compat.h"
#include "base/io.h"
#include "base/lock.h"

#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
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
    "epoll_wait eventfd eventfd2 fadvise64 fadvise64_64 fallocate fcntl "
    "fcntl64 fdatasync fgetxattr flock fstat fstat64 fstatfs fstatfs64 "
    "fsync ftruncate ftruncate64 getdents getdents64 io_cancel "
    "io_destroy io_getevents io_pgetevents io_setup io_submit ioctl "
    "lseek pipe pipe2 poll ppoll ppoll_time64 pread64 preadv preadv2 "
    "pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead "
    "readv select _newselect sync_file_range write writev "
    /* Names. */
    "access chdir faccessat faccessat2 fstatat64 getcwd getxattr lstat "
    "lstat64 newfstatat open openat openat2 readlink readlinkat stat "
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
        number = seccomp_syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR)
            continue;
        r = seccomp_rule_add(filter, action, number, 0);
        if (r == -ENOMEM || r == -EFAULT)
            return r;
    }
    return 0;
}

/* Calls that are fine for one of their arguments only. */
static int add_particular(scmp_filter_ctx filter)
{
#ifdef __s390__
    const struct scmp_arg_cmp thread =
        SCMP_A1_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD);
    const struct scmp_arg_cmp process =
        SCMP_A1_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
#else
    const struct scmp_arg_cmp thread =
        SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD);
    const struct scmp_arg_cmp process =
        SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
#endif
    const struct scmp_arg_cmp abortion = {.arg = 2,
                                          .op = SCMP_CMP_EQ,
                                          .datum_a = SIGABRT};
    const struct scmp_arg_cmp own_limits[] = {
        {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = 0},
        {.arg = 2, .op = SCMP_CMP_EQ, .datum_a = 0},
    };
    int r;

    r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                               &thread);
    if (r == 0)
        r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM),
                                   SCMP_SYS(clone), 1, &process);
    if (r == 0) /* abort(3) */
        r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                   &abortion);
    if (r == 0) /* its own limits, to look at them */
        r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64),
                                   2, own_limits);
    return r;
}

static int describe(scmp_filter_ctx filter, enum cage_calls which)
{
    bool is_tool = which == CAGE_CALLS_OF_TOOL;
    int r;

    r = add(filter, SCMP_ACT_KILL_PROCESS, deadly);
    if (r == 0 && which != CAGE_CALLS_OF_CLIENT)
        r = add(filter, SCMP_ACT_ERRNO(EPERM), sockets);
    if (r == 0 && !is_tool)
        r = add(filter, SCMP_ACT_ERRNO(ENOSYS), rings);
    if (r == 0 && is_tool)
        r = add(filter, SCMP_ACT_ERRNO(EPERM), processes);
    if (r == 0 && is_tool)
        r = add(filter, SCMP_ACT_ALLOW, allowed);
    if (r == 0 && is_tool)
        r = add_particular(filter);
    return r;
}

/* libseccomp writes it to an fd. */
static int export(scmp_filter_ctx filter, struct sock_fprog *program)
{
    int CLEANUP(close_fd) fd = compat_memfd_create("filter", MFD_CLOEXEC);
    struct stat st;
    int r;

    if (fd == -1)
        return -errno;
    r = seccomp_export_bpf(filter, fd);
    if (r < 0)
        return r;
    if (fstat(fd, &st) == -1)
        return -errno;
    program->filter = malloc(st.st_size);
    if (program->filter == NULL)
        return -ENOMEM;
    program->len = st.st_size / sizeof *program->filter;
    if (io_pread_full(fd, program->filter, st.st_size, 0) != st.st_size)
        return -EIO;
    return 0;
}

static int make(enum cage_calls which, struct sock_fprog *program)
{
    uint32_t rest =
        which == CAGE_CALLS_OF_TOOL ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_ALLOW;
    scmp_filter_ctx filter = seccomp_init(rest);
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
