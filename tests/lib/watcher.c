/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Runs one command, or two joined by a socketpair, and tells what it left.
 *
 *     watcher [OPTION...] -- COMMAND...
 *         exits as COMMAND does (128 + N when it died of signal N)
 *     watcher --pair DIR [OPTION...] -- COMMAND... -- COMMAND...
 *         "{}" in each command becomes the number of its end of the
 *         socketpair; output goes to DIR/{sender,receiver}.{stdout,stderr},
 *         the two exit codes to DIR/pair.status
 *
 * As the subreaper of what it runs, it is told of every process that outlives
 * its parent, wherever that moved in the process tree: those are written to
 * the file of --left and killed.  Exit code 124 is the time limit's.
 *
 * The tests start it thousands of times: hence C. */

#include "config.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GRACE_MS = 3000 }; /* for an orphan that is about to end */

static struct {
    const char *left;     /* file for what outlived the commands */
    const char *pid_file; /* file for the process of the command */
    const char *pair;     /* directory, NULL for one command */
    double time_limit;    /* seconds */
    int sndbuf;           /* bytes, of the sender's end; 0 as it is */
    bool nonblocking;     /* both ends */
    bool keep_open;       /* the sender's end, until both have ended */
    bool ignore_sigpipe;
} opts = {.left = "/dev/null", .time_limit = 60};

/* What it runs, and how that ended. */
struct command {
    char **argv;
    const char *name; /* of its files, NULL for ours */
    int fd;           /* its end of the socketpair, or -1 */
    pid_t pid;
    int code; /* -1 while it runs */
};

/* SIGCHLD, and what ends us, come here. */
static int signal_fd;
static sigset_t signals_before;

static long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ------------------------------------------------- what is still alive */

/* Whether the process of that number is a live child of ours: then it goes to
 * OUT, if that is not NULL, with its state and command. */
static bool live_child(const char *name, FILE *out)
{
    char path[64], stat[1024], command[1024];
    const char *rest;
    char state;
    int parent;
    size_t n;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%.20s/stat", name);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    n = fread(stat, 1, sizeof(stat) - 1, file);
    fclose(file);
    stat[n] = '\0';
    rest = strrchr(stat, ')');
    if (rest == NULL || sscanf(rest + 1, " %c %d", &state, &parent) != 2 ||
        parent != getpid() || state == 'Z')
        return false;
    if (out == NULL)
        return true;
    snprintf(path, sizeof(path), "/proc/%.20s/cmdline", name);
    file = fopen(path, "re");
    n = file == NULL ? 0 : fread(command, 1, sizeof(command), file);
    if (file != NULL)
        fclose(file);
    for (size_t i = 0; i < n; i++)
        if (command[i] == '\0')
            command[i] = ' ';
    if (n > 0)
        fprintf(out, "%s %c %.*s\n", name, state, (int)n, command);
    else
        fprintf(out, "%s %c %.*s\n", name, state,
                (int)(rest + 1 - strchr(stat, '(')), strchr(stat, '('));
    return true;
}

/* Kills the children that are alive, and returns how many there were. */
static int kill_children(FILE *out)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    int found = 0;

    if (proc == NULL)
        err(1, "/proc");
    while ((entry = readdir(proc)) != NULL) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
            !live_child(entry->d_name, out))
            continue;
        found++;
        kill(atoi(entry->d_name), SIGKILL);
    }
    closedir(proc);
    return found;
}

static void end_all(int signum)
{
    do
        kill_children(NULL);
    while (waitpid(-1, NULL, 0) != -1);
    _exit(128 + signum);
}

/* Until a child ends, but no longer than that. */
static void wait_for_child(long until)
{
    struct pollfd fd = {.fd = signal_fd, .events = POLLIN};
    struct signalfd_siginfo info;
    long left = until - now_ms();

    if (poll(&fd, 1, left < 0 ? 0 : (int)left) == 1 &&
        read(signal_fd, &info, sizeof(info)) == sizeof(info) &&
        info.ssi_signo != SIGCHLD)
        end_all((int)info.ssi_signo);
}

/* ------------------------------------------------------------ a command */

static void redirect(const char *name, const char *stream, int fd)
{
    char *path;
    int file;

    if (asprintf(&path, "%s/%s.%s", opts.pair, name, stream) == -1)
        err(127, "asprintf");
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file == -1 || dup2(file, fd) == -1)
        err(127, "%s", path);
    free(path);
}

/* The word with each "{}" replaced by the number. */
static char *replaced(char *word, int fd)
{
    char *at = strstr(word, "{}"), *result;

    if (at == NULL)
        return word;
    if (asprintf(&result, "%.*s%d%s", (int)(at - word), word, fd, at + 2) ==
        -1)
        err(127, "asprintf");
    return replaced(result, fd);
}

static void start(struct command *command)
{
    command->code = -1;
    command->pid = fork();
    if (command->pid == -1)
        err(1, "fork");
    if (command->pid != 0)
        return;
    if (command->name != NULL) {
        redirect(command->name, "stdout", 1);
        redirect(command->name, "stderr", 2);
    }
    if (command->fd != -1) {
        fcntl(command->fd, F_SETFD, 0);
        for (char **word = command->argv; *word != NULL; word++)
            *word = replaced(*word, command->fd);
    }
    signal(SIGPIPE, opts.ignore_sigpipe ? SIG_IGN : SIG_DFL);
    sigprocmask(SIG_SETMASK, &signals_before, NULL);
    execvp(command->argv[0], command->argv);
    err(127, "%s", command->argv[0]);
}

static int exit_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Sets the code of all; whatever else dies is only reaped. */
static void wait_for(struct command *commands, int count)
{
    long deadline = now_ms() + (long)(opts.time_limit * 1000);
    int running = count, status;
    char *ps;

    while (running > 0) {
        pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid == 0 && now_ms() < deadline) {
            wait_for_child(deadline);
            continue;
        }
        for (int i = 0; i < count && pid > 0; i++)
            if (commands[i].pid == pid && commands[i].code == -1) {
                commands[i].code = exit_code(status);
                running--;
            }
        if (pid > 0)
            continue;
        fputs("watcher: time limit, still running:\n", stderr);
        for (int i = 0; i < count; i++) {
            if (commands[i].code != -1)
                continue;
            if (asprintf(&ps,
                         "ps -o pid,ppid,stat,wchan:20,args --ppid %d "
                         "-p %d >&2",
                         commands[i].pid, commands[i].pid) == -1 ||
                system(ps) == -1)
                warn("ps");
            kill(commands[i].pid, SIGTERM);
            commands[i].code = 124;
        }
        return;
    }
}

/* What is still alive after the commands have ended goes to the file. */
static void reap_the_rest(void)
{
    long deadline = now_ms() + GRACE_MS;
    FILE *left = fopen(opts.left, "ae");
    pid_t pid;

    if (left == NULL)
        err(1, "%s", opts.left);
    for (;;) {
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
        if (pid == -1)
            break;
        if (now_ms() >= deadline && kill_children(left) > 0)
            break;
        wait_for_child(deadline);
    }
    if (fclose(left) != 0)
        err(1, "%s", opts.left);
}

/* ------------------------------------------------------------ all of it */

static int run_pair(char **sender, char **receiver)
{
    int ends[2];
    struct command commands[2];
    char *path;
    FILE *file;

    if (socketpair(AF_UNIX,
                   SOCK_STREAM | SOCK_CLOEXEC |
                       (opts.nonblocking ? SOCK_NONBLOCK : 0),
                   0, ends) == -1)
        err(1, "socketpair");
    if (opts.sndbuf > 0 && setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF,
                                      &opts.sndbuf, sizeof(opts.sndbuf)) == -1)
        err(1, "SO_SNDBUF");
    commands[0] = (struct command){sender, "sender", ends[0], 0, 0};
    commands[1] = (struct command){receiver, "receiver", ends[1], 0, 0};
    start(&commands[0]);
    start(&commands[1]);
    close(ends[1]);
    if (!opts.keep_open)
        close(ends[0]);
    wait_for(commands, 2);
    if (asprintf(&path, "%s/pair.status", opts.pair) == -1)
        err(1, "asprintf");
    file = fopen(path, "we");
    if (file == NULL ||
        fprintf(file, "%d %d\n", commands[0].code, commands[1].code) < 0 ||
        fclose(file) != 0)
        err(1, "%s", path);
    free(path);
    return commands[0].code == 124 || commands[1].code == 124 ? 124 : 0;
}

static int run_one(char **argv)
{
    struct command command = {argv, NULL, -1, 0, 0};
    char *path;
    FILE *file;

    start(&command);
    if (opts.pid_file != NULL) {
        if (asprintf(&path, "%s.new", opts.pid_file) == -1)
            err(1, "asprintf");
        file = fopen(path, "we");
        if (file == NULL || fprintf(file, "%d\n", command.pid) < 0 ||
            fclose(file) != 0 || rename(path, opts.pid_file) != 0)
            err(1, "%s", opts.pid_file);
        free(path);
    }
    wait_for(&command, 1);
    return command.code;
}

static void take_options(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"left", required_argument, NULL, 'l'},
        {"time-limit", required_argument, NULL, 't'},
        {"pid-file", required_argument, NULL, 'f'},
        {"pair", required_argument, NULL, 'p'},
        {"sndbuf", required_argument, NULL, 's'},
        {"nonblocking", no_argument, NULL, 'n'},
        {"keep-open", no_argument, NULL, 'k'},
        {"ignore-sigpipe", no_argument, NULL, 'i'},
        {0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "+", long_options, NULL)) != -1)
        switch (option) {
        case 'l':
            opts.left = optarg;
            break;
        case 't':
            opts.time_limit = atof(optarg);
            break;
        case 'f':
            opts.pid_file = optarg;
            break;
        case 'p':
            opts.pair = optarg;
            break;
        case 's':
            opts.sndbuf = atoi(optarg);
            break;
        case 'n':
            opts.nonblocking = true;
            break;
        case 'k':
            opts.keep_open = true;
            break;
        case 'i':
            opts.ignore_sigpipe = true;
            break;
        default:
            exit(2);
        }
    if (argv[optind] == NULL)
        errx(2, "no command");
}

int main(int argc, char **argv)
{
    static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    sigset_t ours;
    int code;

    take_options(argc, argv);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        err(1, "prctl");
    /* A shell has what it runs in the background ignore some. */
    sigemptyset(&ours);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        signal(numbers[i], SIG_DFL);
        sigaddset(&ours, numbers[i]);
    }
    sigprocmask(SIG_BLOCK, &ours, &signals_before);
    signal_fd = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd == -1)
        err(1, "signalfd");

    argv += optind;
    if (opts.pair != NULL) {
        char **second = argv;

        while (*second != NULL && strcmp(*second, "--") != 0)
            second++;
        if (*second == NULL || second[1] == NULL)
            errx(2, "--pair needs two commands");
        *second = NULL;
        code = run_pair(argv, second + 1);
    } else {
        code = run_one(argv);
    }
    reap_the_rest();
    return code;
}
