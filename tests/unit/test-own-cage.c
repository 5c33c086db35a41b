/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests what we can still do once our ends are open, and what we cannot. */

#include "config.h"

#include "base/newfile.h"
#include "base/own-cage.h"
#include "test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { LANDLOCK = 444 }; /* landlock_create_ruleset(2) */

static const char *const no_programs[] = {NULL};
static const char *const a_program[] = {"true", NULL};

/* 0, or the errno. */
static int try_to_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    if (fd == -1)
        return errno;
    close(fd);
    return 0;
}

static uint64_t capabilities(void)
{
    struct __user_cap_header_struct header = {
        .version = _LINUX_CAPABILITY_VERSION_3,
    };
    struct __user_cap_data_struct data[2] = {0};

    CHECK(syscall(SYS_capget, &header, data) == 0);
    return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

/* Ourselves, by UDP. */
static int try_to_reach_network(void)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(9),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

    CHECK(fd != -1);
    r = connect(fd, (const struct sockaddr *)&address, sizeof address);
    r = r == 0 ? 0 : errno;
    close(fd);
    return r;
}

static void *do_nothing(void *opaque)
{
    return opaque;
}

/* A part runs in a process of its own: there is no way back. */
static void in_child(void (*part)(const char *spool), const char *spool)
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        part(spool);
        _exit(test_failures == 0 ? 0 : 1);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void as_serve(const char *made_dir)
{
    char made[300], other[300];
    const struct own_cage own = {
        .policy = CAGE_REQUIRE,
        .programs = no_programs,
        .made_path = made,
    };
    struct error err;
    int fd;

    snprintf(made, sizeof made, "%s/made", made_dir);
    snprintf(other, sizeof other, "%s/../other", made_dir);
    fd = open(made, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd != -1);
    CHECK(own_cage_begin(own.policy, &err) == 0);
    if (!CHECK(own_cage_enter(&own, &err) == 0)) {
        fprintf(stderr, "    %s\n", err.msg);
        return;
    }
    /* What is open stays as it is. */
    CHECK(write(fd, "x", 1) == 1);
    CHECK_INT(try_to_open("/etc/passwd", O_RDONLY), EACCES);
    CHECK_INT(try_to_open(made, O_RDONLY), EACCES);
    CHECK_INT(try_to_open(other, O_WRONLY | O_CREAT), EACCES);
    CHECK_INT(mkdir(other, 0700) == 0 ? 0 : errno, EACCES);
    CHECK_INT(try_to_open("/proc/self/status", O_RDONLY), 0);
    CHECK(unlink(made) == 0);
    if (geteuid() == 0)
        CHECK_INT(try_to_reach_network(), ENETUNREACH);
    if (geteuid() == 0)
        CHECK(!(capabilities() >> CAP_SYS_ADMIN & 1) &&
              !(capabilities() >> CAP_DAC_OVERRIDE & 1) &&
              capabilities() >> CAP_KILL & 1);
}

/* Like a kernel that is older. */
static void forget_call(uint32_t number)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {
        .len = sizeof code / sizeof code[0],
        .filter = code,
    };

    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
}

/* Not in each container, nor where the root directory is no mount, as in a
 * chroot where packages are built: pivot_root(2).
 */
static bool has_mount_namespaces(void)
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0)
        _exit(unshare(CLONE_NEWNS) == 0 &&
                      mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0
                  ? 0
                  : 1);
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static void as_serve_without_landlock(const char *made_dir)
{
    char made[300], other[300];
    const struct own_cage own = {
        .policy = CAGE_AUTO,
        .programs = a_program,
        .made_path = "made",
    };
    struct error err;
    int fd, dir;

    snprintf(made, sizeof made, "%s/made", made_dir);
    snprintf(other, sizeof other, "%s/../other", made_dir);
    CHECK(chdir(made_dir) == 0);
    fd = open(made, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    dir = open(made_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd != -1 && dir != -1);
    umask(077);
    CHECK(own_cage_begin(own.policy, &err) == 0);
    forget_call(LANDLOCK);
    if (!CHECK(own_cage_enter(&own, &err) == 0)) {
        fprintf(stderr, "    %s\n", err.msg);
        return;
    }
    CHECK_INT(umask(077), 077);
    CHECK(write(fd, "x", 1) == 1);
    CHECK_INT(try_to_open("/etc/passwd", O_RDONLY), ENOENT);
    CHECK_INT(try_to_open("/root", O_RDONLY), ENOENT);
    CHECK_INT(try_to_open(other, O_WRONLY | O_CREAT), EROFS);
    CHECK_INT(try_to_open("/usr/other", O_WRONLY | O_CREAT), EROFS);
    CHECK_INT(try_to_open("/dev/null", O_RDWR), 0);
    CHECK_INT(try_to_open("/proc/self/status", O_RDONLY), 0);
    CHECK_INT(try_to_reach_network(), ENETUNREACH);
    CHECK(unlink("made") == 0);
    CHECK(faccessat(dir, "made", F_OK, 0) == -1);
    CHECK(!(capabilities() >> CAP_SYS_ADMIN & 1));
}

/* It is left out then, and names mean what they meant. */
static void as_serve_without_pivot(const char *made_dir)
{
    const struct own_cage own = {
        .policy = CAGE_AUTO,
        .programs = a_program,
        .made_path = "made",
    };
    struct error err;

    CHECK(chdir(made_dir) == 0);
    CHECK_INT(try_to_open("made", O_RDWR | O_CREAT), 0);
    CHECK(own_cage_begin(own.policy, &err) == 0);
    forget_call(LANDLOCK);
    forget_call(SYS_pivot_root);
    CHECK(own_cage_enter(&own, &err) == 0);
    CHECK_INT(try_to_open("/etc/passwd", O_RDONLY), 0);
    CHECK(unlink("made") == 0);
}

static void as_stream(const char *spool)
{
    char other[300];
    const struct own_cage own = {
        .policy = CAGE_REQUIRE,
        .programs = no_programs,
        .may_read_all = true,
        .may_connect = true,
        .spool_dir = spool,
    };
    struct error err;
    int fd;

    snprintf(other, sizeof other, "%s/../other", spool);
    CHECK(own_cage_begin(own.policy, &err) == 0);
    if (!CHECK(own_cage_enter(&own, &err) == 0)) {
        fprintf(stderr, "    %s\n", err.msg);
        return;
    }
    CHECK_INT(try_to_open("/etc/passwd", O_RDONLY), 0);
    CHECK_INT(try_to_open("/etc/passwd", O_WRONLY), EACCES);
    CHECK_INT(try_to_open(other, O_WRONLY | O_CREAT), EACCES);
    fd = newfile_unnamed(spool);
    CHECK(fd != -1 && write(fd, "x", 1) == 1 && ftruncate(fd, 0) == 0);
    /* QEMU opens it by this name. */
    snprintf(other, sizeof other, "/proc/self/fd/%d", fd);
    CHECK_INT(try_to_open(other, O_RDWR), 0);
    close(fd);
}

/* In somebody else's directory root needs its power to remove what it made. */
static void as_guest(const char *made_dir)
{
    char made[300];
    const struct own_cage own = {
        .policy = CAGE_REQUIRE,
        .programs = no_programs,
        .made_path = made,
    };
    struct error err;

    snprintf(made, sizeof made, "%s/made", made_dir);
    CHECK_INT(try_to_open(made, O_RDWR | O_CREAT), 0);
    CHECK(chmod(made_dir, 0700) == 0 && chown(made_dir, 65534, 65534) == 0);
    CHECK(own_cage_begin(own.policy, &err) == 0);
    CHECK(own_cage_enter(&own, &err) == 0);
    CHECK(!(capabilities() >> CAP_SYS_ADMIN & 1));
    CHECK(unlink(made) == 0);
}

static void *watch(void *opaque)
{
    const char *spool = opaque;
    pthread_t thread;

    CHECK_INT(try_to_open("/etc/passwd", O_RDONLY), EACCES);
    CHECK_INT(try_to_open(spool, O_RDONLY), EACCES);
    if (geteuid() == 0)
        CHECK_INT(capabilities(), 0);
    CHECK(pthread_create(&thread, NULL, do_nothing, NULL) == 0 &&
          pthread_join(thread, NULL) == 0);
    return NULL;
}

static void as_thread(const char *spool)
{
    pthread_t thread;
    struct error err;

    CHECK(own_cage_begin(CAGE_REQUIRE, &err) == 0);
    CHECK(own_cage_create_thread(&thread, watch, (void *)spool, &err) == 0 &&
          pthread_join(thread, NULL) == 0);
    /* Who has made it is as before. */
    CHECK_INT(try_to_open("/etc/passwd", O_RDONLY), 0);
}

/* Nobody relies on a thread without what is required. */
static void as_thread_of_old_kernel(const char *spool)
{
    pthread_t thread;
    struct error err;

    (void)spool;
    CHECK(own_cage_begin(CAGE_REQUIRE, &err) == 0);
    forget_call(LANDLOCK);
    CHECK(own_cage_create_thread(&thread, do_nothing, NULL, &err) == -1);
    CHECK_STR(err.msg, "no Landlock for our own sandbox: "
                       "Function not implemented");
    CHECK(own_cage_begin(CAGE_AUTO, &err) == 0);
    CHECK(own_cage_create_thread(&thread, do_nothing, NULL, &err) == 0 &&
          pthread_join(thread, NULL) == 0);
}

static void as_off(const char *spool)
{
    const struct own_cage own = {.policy = CAGE_OFF};
    uint64_t before = capabilities();
    struct error err;

    (void)spool;
    CHECK(own_cage_enter(&own, &err) == 0);
    CHECK_INT(try_to_open("/etc/passwd", O_RDONLY), 0);
    CHECK(capabilities() == before);
}

int main(void)
{
    char dir[300];

    test_begin();
    if (syscall(LANDLOCK, NULL, 0, 1) < 1) {
        fprintf(stderr, "skipped: this kernel has no Landlock\n");
        return 77;
    }
    snprintf(dir, sizeof dir, "%s/dir", test_dir());
    CHECK(mkdir(dir, 0700) == 0);

    TEST("serve opens nothing, and can remove what it has made");
    in_child(as_serve, dir);
    TEST("stream reads, and writes to its spool alone");
    in_child(as_stream, dir);
    TEST("a thread that opens nothing cannot");
    in_child(as_thread, dir);
    TEST("a thread without what is required is none");
    in_child(as_thread_of_old_kernel, dir);
    TEST("without a sandbox all is as it was");
    in_child(as_off, dir);
    if (geteuid() == 0 && has_mount_namespaces()) {
        TEST("serve as root on a kernel without Landlock");
        in_child(as_serve_without_landlock, dir);
        TEST("serve as root where another root directory is refused");
        in_child(as_serve_without_pivot, dir);
    }
    if (geteuid() == 0) {
        TEST("root can remove what it has made at somebody else's");
        in_child(as_guest, dir);
    }
    CHECK(rmdir(dir) == 0);
    return test_end();
}
