/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A program in QEMU's place that has been taken over.
 *
 * Its own name says what it tries: the tests copy it to a file of that name.
 * It says on standard error "did NAME" or "denied NAME: CAUSE", and exits with
 * 1.  Asked for its version it says that it is qemu-img, or in a directory of
 * that name qemu-nbd.  "intruder has landlock" and "has seccomp" tell by their
 * exit status what there is to be denied by.
 *
 * "state" is for what it is rather than what it does: it prints that, in one
 * line.
 */

#include "config.h"

#include "base/compat.h"
#include <asm/sockios.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each returns 0 if it did it, or the errno. */

static int result_of(long r)
{
    return r == -1 ? errno : 0;
}

static int passwd(void)
{
    return result_of(open("/etc/passwd", O_RDONLY));
}

/* The first that works will do. */
static int create(void)
{
    static const char *const places[] = {"intruded", "/tmp/intruded",
                                         "/var/tmp/intruded",
                                         "/dev/shm/intruded"};
    int cause = 0;

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (open(places[i], O_WRONLY | O_CREAT, 0600) != -1)
            return 0;
        cause = errno;
    }
    return cause;
}

/* The disk that is imported, which lies beside us. */
static int disk(void)
{
    return result_of(open("new.raw", O_WRONLY));
}

static int connect_out(void)
{
    return result_of(socket(AF_INET, SOCK_STREAM, 0));
}

static int connect_local(void)
{
    return result_of(socket(AF_UNIX, SOCK_STREAM, 0));
}

/* On what it was given, if anything there listens yet. */
static int listen_on(void)
{
    for (int fd = 0; fd < 1024; fd++)
        if (listen(fd, 1) == 0)
            return 0;
        else if (errno != EBADF && errno != ENOTSOCK)
            return errno;
    return ENOTSOCK;
}

static int fork_one(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    if (pid != -1)
        waitpid(pid, NULL, 0);
    return result_of(pid);
}

static int shell(void)
{
    execl("/bin/sh", "sh", "-c", "echo did shell >&2; exit 1", (char *)NULL);
    return errno;
}

static int copy(void)
{
    int fd = compat_memfd_create("copy", 0);

    return result_of(fd);
}

static int trace(void)
{
    return result_of(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int memory(void)
{
    char name[40];

    snprintf(name, sizeof name, "/proc/%d/mem", (int)getppid());
    return result_of(open(name, O_RDONLY));
}

static int fds(void)
{
    char name[40];

    snprintf(name, sizeof name, "/proc/%d/fd", (int)getppid());
    return opendir(name) == NULL ? errno : 0;
}

static int end_parent(void)
{
    return result_of(kill(getppid(), SIGTERM));
}

/* The kernel sends a signal in our name. */
static int owner(void)
{
    pid_t pid = getpid();

    if (ioctl(STDIN_FILENO, FIOSETOWN, &pid) == 0)
        return 0;
    return result_of(fcntl(STDIN_FILENO, F_SETOWN, pid));
}

/* ESRCH: there is no such process, but the call was made. */
static int abort_others(void)
{
    long r = syscall(SYS_tgkill, INT_MAX, INT_MAX, SIGABRT);

    return r == -1 && errno == ESRCH ? 0 : result_of(r);
}

/* ENOTTY: standard input is no terminal, but the call was made. */
static int type(void)
{
    int r;

    if (open("/dev/tty", O_RDONLY) != -1)
        return 0;
    r = ioctl(STDIN_FILENO, TIOCSTI, "x");
    return r == -1 && errno == ENOTTY ? 0 : result_of(r);
}

static int mount_over(void)
{
    return result_of(mount("none", "/mnt", "tmpfs", 0, NULL));
}

static int leave(void)
{
    return result_of(unshare(CLONE_NEWUSER));
}

static int space(void)
{
    void *p = mmap(NULL, (size_t)2 << 30, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? errno : 0;
}

static int spin(void)
{
    volatile unsigned i = 0;

    while (i < 2)
        i = !i;
    return 0;
}

/* A file that it inherited, and that is to be read only. */
static int overwrite(void)
{
    char name[40];
    int cause = EBADF;

    for (int fd = 3; fd < 64; fd++) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        if (open(name, O_RDWR) != -1)
            return 0;
        if (errno != ENOENT && errno != ENXIO)
            cause = errno;
    }
    return cause;
}

static int named(void)
{
    const char *name = getenv("QEMU_INTRUDER_FILE");

    return result_of(open(name == NULL ? "" : name, O_RDONLY));
}

/* What /proc/self/status says behind that name, in hexadecimal digits. */
static unsigned long status_of(const char *name)
{
    unsigned long value = ~0UL;
    char line[200];
    FILE *status = fopen("/proc/self/status", "r");

    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtoul(line + strlen(name), NULL, 16);
    return value;
}

static int state(void)
{
    struct rlimit core, size, cpu;
    int n_fds = 0;

    for (int fd = 3; fd < 1024; fd++)
        n_fds += fcntl(fd, F_GETFD) != -1;
    getrlimit(RLIMIT_CORE, &core);
    getrlimit(RLIMIT_FSIZE, &size);
    getrlimit(RLIMIT_CPU, &cpu);
    fprintf(stderr,
            "root %s, groups %d, capabilities %lx, fds %d, core %lu, size "
            "%lu, HOME %s, no_new_privs %lx, filters %lx, cpu %ld to %ld\n",
            geteuid() == 0 || getuid() == 0 ? "yes" : "no", getgroups(0, NULL),
            status_of("CapEff:"), n_fds, (unsigned long)core.rlim_max,
            (unsigned long)size.rlim_max,
            getenv("HOME") == NULL ? "none" : "there",
            status_of("NoNewPrivs:"), status_of("Seccomp:"),
            (long)cpu.rlim_cur, (long)cpu.rlim_max);
    exit(EXIT_FAILURE);
}

static const struct {
    const char *name;
    int (*attempt)(void);
} attempts[] = {
    {"passwd", passwd},
    {"create", create},
    {"disk", disk},
    {"connect-out", connect_out},
    {"connect-local", connect_local},
    {"listen", listen_on},
    {"fork", fork_one},
    {"shell", shell},
    {"copy", copy},
    {"trace", trace},
    {"memory", memory},
    {"fds", fds},
    {"end-parent", end_parent},
    {"owner", owner},
    {"abort", abort_others},
    {"type", type},
    {"mount", mount_over},
    {"leave", leave},
    {"space", space},
    {"spin", spin},
    {"overwrite", overwrite},
    {"named", named},
    {"state", state},
};

/* What this host, and this build, deny by. */
static bool has(const char *part)
{
    if (strcmp(part, "landlock") == 0) /* landlock_create_ruleset(2) */
        return syscall(444, NULL, 0, 1) >= 1;
#ifdef HAVE_LIBSECCOMP
    return strcmp(part, "seccomp") == 0;
#else
    return false;
#endif
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/');

    name = name == NULL ? argv[0] : name + 1;
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("%s version 7.2.0 (intruder)\n",
               strstr(argv[0], "qemu-nbd/") ? "qemu-nbd" : "qemu-img");
        return EXIT_SUCCESS;
    }
    if (argc > 2 && strcmp(argv[1], "has") == 0)
        return has(argv[2]) ? EXIT_SUCCESS : EXIT_FAILURE;
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        int cause;

        if (strcmp(attempts[i].name, name) != 0)
            continue;
        cause = attempts[i].attempt();
        if (cause == 0)
            fprintf(stderr, "did %s\n", name);
        else
            fprintf(stderr, "denied %s: %s\n", name, strerror(cause));
        return EXIT_FAILURE;
    }
    fprintf(stderr, "nothing is called %s\n", name);
    return EXIT_FAILURE;
}
