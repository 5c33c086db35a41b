/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Starts a program for the tests as xapi's fork helper starts its tools. */

/* launch [OPTION]... PROGRAM ARG...
 *
 *     --stdin FD, --stdout FD, --stderr FD
 *                      what these are in PROGRAM; else they are /dev/null,
 *                      opened write-only, standard input too
 *     --fd UUID=FD     PROGRAM gets FD, under another number.  In each ARG
 *                      that ends in UUID the UUID becomes that number.
 *     --env NAME=VALUE     besides PATH, of which there is a short one; else
 *                      the environment is empty
 *     --nonblocking    those of the FDs that are sockets are made so
 *
 * PROGRAM, which is no name to be looked for in PATH, takes the place of
 * launch, as the leader of a new session, in /, with all other fds closed,
 * SIGPIPE ignored and no other signal, none blocked, and RLIMIT_NOFILE
 * lowered to 1024.
 *
 * Exit status: 125 if launch failed, 127 if there is no PROGRAM, 126 if it
 * cannot be run.
 *
 * Notes on the design: the fds that PROGRAM is to have can stand in the way
 * of each other.  So all are copied to above any place that is wanted, then
 * from there to their places; the rest is closed.
 */

#include "config.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uuid.h>

enum {
    UUID_LENGTH = 36,
    N_STANDARD = 3,
    MAX_PASSED = 32, /* with the standard streams */
    MAX_VARIABLES = 16,
    MAX_FILES = 1024,
    EXIT_LAUNCH = 125,
    EXIT_CANNOT_RUN = 126,
    EXIT_NOT_FOUND = 127,
};

static const char minimal_path[] = "PATH=/sbin:/usr/sbin:/bin:/usr/bin";

/* An fd that the program gets: its place in the list is its number there. */
struct passed {
    const char *uuid; /* NULL: a standard stream */
    int fd;           /* -1: there is none */
};

struct launch {
    struct passed passed[MAX_PASSED];
    int n_passed;
    char *environment[MAX_VARIABLES + 1];
    int n_variables;
    bool is_nonblocking;
    char **argv;
};

static int parse_fd(const char *text)
{
    char *end;
    long fd;

    errno = 0;
    fd = strtol(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
        fd > INT_MAX)
        errx(EXIT_LAUNCH, "'%s' is not an fd", text);
    if (fcntl(fd, F_GETFD) == -1)
        err(EXIT_LAUNCH, "fd %ld", fd);
    return fd;
}

/* UUID=FD, which is cut in two. */
static void pass_fd(struct launch *l, char *text)
{
    char *equals = strchr(text, '=');
    uuid_t uuid;

    if (equals == NULL)
        errx(EXIT_LAUNCH, "'%s' is not UUID=FD", text);
    if (l->n_passed == MAX_PASSED)
        errx(EXIT_LAUNCH, "too many fds");
    *equals = '\0';
    if (uuid_parse(text, uuid) != 0)
        errx(EXIT_LAUNCH, "'%s' is not a UUID", text);
    l->passed[l->n_passed++] = (struct passed){text, parse_fd(equals + 1)};
}

static void set_variable(struct launch *l, char *text)
{
    if (strchr(text, '=') == NULL)
        errx(EXIT_LAUNCH, "'%s' is not NAME=VALUE", text);
    if (l->n_variables == MAX_VARIABLES)
        errx(EXIT_LAUNCH, "too many variables");
    l->environment[l->n_variables++] = text;
}

static void parse(int argc, char **argv, struct launch *l)
{
    static const struct option table[] = {
        {"stdin", required_argument, NULL, STDIN_FILENO},
        {"stdout", required_argument, NULL, STDOUT_FILENO},
        {"stderr", required_argument, NULL, STDERR_FILENO},
        {"fd", required_argument, NULL, 'f'},
        {"env", required_argument, NULL, 'e'},
        {"nonblocking", no_argument, NULL, 'n'},
        {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "+", table, NULL)) != -1) {
        switch (c) {
        case STDIN_FILENO:
        case STDOUT_FILENO:
        case STDERR_FILENO:
            l->passed[c].fd = parse_fd(optarg);
            break;
        case 'f':
            pass_fd(l, optarg);
            break;
        case 'e':
            set_variable(l, optarg);
            break;
        case 'n':
            l->is_nonblocking = true;
            break;
        default:
            exit(EXIT_LAUNCH); /* getopt_long has said why */
        }
    }
    l->argv = argv + optind;
    if (l->argv[0] == NULL)
        errx(EXIT_LAUNCH, "a program is missing");
}

/* As the fork helper does: by the last 36 characters, whatever is before
 * them, and compared as text.
 */
static void replace_uuids(const struct launch *l)
{
    for (char **arg = l->argv; *arg != NULL; arg++) {
        size_t length = strlen(*arg);
        char *tail;

        if (length < UUID_LENGTH)
            continue;
        tail = *arg + length - UUID_LENGTH;
        for (int i = N_STANDARD; i < l->n_passed; i++)
            if (strcmp(tail, l->passed[i].uuid) == 0) {
                sprintf(tail, "%d", i); /* shorter than what it replaces */
                break;
            }
    }
}

static void make_nonblocking(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == -1)
        err(EXIT_LAUNCH, "fd %d", fd);
    if (S_ISSOCK(st.st_mode) &&
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == -1)
        err(EXIT_LAUNCH, "fd %d", fd);
}

/* close_range(2) is young. */
static void close_from(int first)
{
    DIR *fds = opendir("/proc/self/fd");
    const struct dirent *entry;

    if (fds == NULL)
        err(EXIT_LAUNCH, "/proc/self/fd");
    while ((entry = readdir(fds)) != NULL) {
        int fd = atoi(entry->d_name);

        if (fd >= first && fd != dirfd(fds))
            close(fd);
    }
    closedir(fds);
}

static void arrange_fds(struct launch *l)
{
    for (int i = 0; i < l->n_passed; i++) {
        struct passed *p = &l->passed[i];

        if (p->fd == -1)
            p->fd = open("/dev/null", O_WRONLY);
        if (p->fd == -1)
            err(EXIT_LAUNCH, "/dev/null");
        if (l->is_nonblocking)
            make_nonblocking(p->fd);
        p->fd = fcntl(p->fd, F_DUPFD_CLOEXEC, l->n_passed);
        if (p->fd == -1)
            err(EXIT_LAUNCH, "cannot copy an fd");
    }
    for (int i = 0; i < l->n_passed; i++)
        if (dup2(l->passed[i].fd, i) == -1)
            err(EXIT_LAUNCH, "cannot place fd %d", i);
    close_from(l->n_passed);
}

static void reset_signals(void)
{
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++)
        if (sig != SIGKILL && sig != SIGSTOP)
            signal(sig, sig == SIGPIPE ? SIG_IGN : SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void limit_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        err(EXIT_LAUNCH, "RLIMIT_NOFILE");
    if (limit.rlim_cur > MAX_FILES)
        limit.rlim_cur = MAX_FILES;
    if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
        err(EXIT_LAUNCH, "RLIMIT_NOFILE");
}

int main(int argc, char **argv)
{
    struct launch l = {
        .passed = {{NULL, -1}, {NULL, -1}, {NULL, -1}},
        .n_passed = N_STANDARD,
        .environment = {(char *)minimal_path},
        .n_variables = 1,
    };
    int failure;

    parse(argc, argv, &l);
    replace_uuids(&l);
    if (setsid() == -1)
        err(EXIT_LAUNCH, "cannot make a session");
    if (chdir("/") == -1)
        err(EXIT_LAUNCH, "/");
    limit_files();
    reset_signals();
    arrange_fds(&l);
    execve(l.argv[0], l.argv, l.environment);
    failure = errno;
    warn("%s", l.argv[0]); /* if standard error was given */
    return failure == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}
