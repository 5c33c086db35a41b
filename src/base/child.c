/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The one place that forks: runs a program and never leaves it behind. */

#include "config.h"

#include "base/become.h"
#include "base/cage.h"
#include "base/child.h"
#include "base/cleanup.h"
#include "base/environment.h"
#include "base/io.h"
#include "base/last-words.h"
#include "base/listener.h"
#include "base/log.h"
#include "base/open-files.h"
#include "base/signals.h"
#include "base/stall.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNK = 65536,
    MOST_LEFT = 16,       /* chunks that a pipe may hold */
    LAST_WORDS_MS = 2000, /* for one that is about to end */
    GLANCE_MS = 200,      /* how often we look whether it is still alive */
};

struct child {
    const char *name;
    pid_t pid; /* -1 once reaped */
    int status;
    bool is_lost;            /* the status is: somebody else reaped it */
    int in, out, err;        /* our ends of its standard streams; -1: closed */
    struct last_words words; /* on err, as far as it was drained */
    struct listener *listener; /* drains err of one that goes on, or NULL */
};

/* Reaps it, if it has ended; options are those of waitpid(2). */
static bool reap(struct child *c, int options)
{
    siginfo_t info = {.si_pid = 0};
    pid_t pid;

    /* What it has started does not outlive it.  While it is not reaped its
     * group can be no other's.
     */
    if (waitid(P_PID, c->pid, &info, WEXITED | WNOWAIT | options) == 0 &&
        info.si_pid != 0)
        kill(-c->pid, SIGKILL);
    do
        pid = waitpid(c->pid, &c->status, options);
    while (pid == -1 && errno == EINTR);
    if (pid == 0)
        return false;
    c->is_lost = pid == -1;
    c->pid = -1;
    return true;
}

static struct child new_child(const struct child_spec *spec)
{
    return (struct child){
        .name = spec->argv[0],
        .pid = -1,
        .in = -1,
        .out = -1,
        .err = -1,
    };
}

static void child_kill(struct child *c)
{
    if (c->pid == -1)
        return;
    kill(-c->pid, SIGKILL); /* its whole group: it may be a script */
    kill(c->pid, SIGKILL);
    reap(c, 0);
}

static void cleanup_child(struct child *c)
{
    child_kill(c);
    listener_stop(c->listener);
    cleanup_close_fd(&c->in);
    cleanup_close_fd(&c->out);
    cleanup_close_fd(&c->err);
}

/* Waits until fd can be read, or it is not worth it any more. */
static int wait_to_hear(const struct child *c, int fd, int cancel_fd,
                        struct error *err)
{
    for (;;) {
        struct pollfd fds[] = {
            {.fd = fd, .events = POLLIN},
            {.fd = cancel_fd, .events = POLLIN},
            {.fd = signals_fd(), .events = POLLIN},
        };
        int n = poll(fds, sizeof fds / sizeof fds[0], -1);

        if (n == -1 && errno != EINTR)
            return error_set(err, errno, "cannot wait for %s", c->name);
        if (signals_caught() != 0)
            return error_set(err, EINTR, "%s", c->name);
        if (n > 0 && fds[0].revents != 0)
            return 0;
        if (n > 0 && fds[1].revents != 0)
            return error_set(err, ECANCELED, "%s", c->name);
    }
}

/* Its next complaint.  Returns 1, 0 when it has become the program, or -1. */
static int hear_complaint(const struct child *c, int status_fd, int cancel_fd,
                          struct cage_complaint *complaint, struct error *err)
{
    ssize_t n;

    if (wait_to_hear(c, status_fd, cancel_fd, err) == -1)
        return -1;
    n = io_read_full(status_fd, complaint, sizeof *complaint);
    if (n == -1)
        return error_set(err, errno, "cannot hear from %s", c->name);
    return n == sizeof *complaint ? 1 : 0;
}

/* Listens to it until it has become the program: that may take long, if the
 * program is on a file system that does not answer.
 */
static int hear_complaints(struct child *c, const struct cage *cage,
                           int status_fd, int cancel_fd, struct error *err)
{
    struct cage_complaint complaint;
    int r;
    STALL_WAIT_FOR(STALL_PEER, c->name);

    while ((r = hear_complaint(c, status_fd, cancel_fd, &complaint, err)) ==
           1) {
        if (complaint.part == CAGE_NO_PART)
            return error_set(err, complaint.errnum, "cannot run %s", c->name);
        if (cage_lacks(cage, &complaint, err) == -1)
            return -1;
    }
    return r;
}

/* Our ends of its standard streams never keep us waiting. */
static int unblock(struct child *c, struct error *err)
{
    const int fds[] = {c->in, c->out, c->err};

    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] != -1 && fcntl(fds[i], F_SETFL, O_NONBLOCK) == -1)
            return error_set(err, errno, "a pipe of %s", c->name);
    return 0;
}

/* Without has_output what it prints goes nowhere. */
static int start_in(const struct cage *cage, struct child *c,
                    const struct child_spec *spec, bool has_output,
                    struct error *err)
{
    int CLEANUP(close_fd) in_r = -1;
    int CLEANUP(close_fd) out_w = -1;
    int CLEANUP(close_fd) err_w = -1;
    int CLEANUP(close_fd) status_r = -1;
    int CLEANUP(close_fd) status_w = -1;
    const struct {
        bool is_wanted;
        int *read, *write;
    } pipes[] = {
        {true, &c->err, &err_w},
        {true, &status_r, &status_w},
        {has_output, &c->out, &out_w},
        {spec->feed != NULL, &in_r, &c->in},
    };
    struct environment environment;
    char **CLEANUP(free_ptr) variables = NULL;
    pid_t parent = getpid();
    sigset_t mask;
    int failure;

    if (environment_make(cage, spec->listen_fd != 0, &environment, err) == -1)
        return -1;
    variables = environment.variables;
    for (size_t i = 0; i < sizeof pipes / sizeof pipes[0]; i++) {
        int fds[2];

        if (!pipes[i].is_wanted)
            continue;
        if (pipe2(fds, O_CLOEXEC) == -1)
            return error_set(err, errno, "cannot make a pipe for %s", c->name);
        *pipes[i].read = fds[0];
        *pipes[i].write = fds[1];
    }
    log_argv(spec->argv);
    signals_hold(&mask);
    c->pid = fork();
    failure = errno;
    if (c->pid == 0)
        become(spec, cage, &environment, parent, in_r, out_w, err_w, status_w);
    signals_release(&mask);
    if (c->pid == -1)
        return error_set(err, failure, "cannot fork for %s", c->name);

    close(steal_fd(&status_w));
    if (hear_complaints(c, cage, status_r, spec->cancel_fd, err) == -1 ||
        unblock(c, err) == -1) {
        child_kill(c);
        return -1;
    }
    return 0;
}

static int start(struct child *c, const struct child_spec *spec,
                 bool has_output, struct error *err)
{
    struct cage *cage = NULL;
    int r = 0;

    if (spec->cage != NULL)
        r = cage_make(spec->cage, spec->argv[0], spec->inherit,
                      spec->n_inherit, &cage, err);
    if (r == 0)
        r = start_in(cage, c, spec, has_output, err);
    cage_free(cage);
    return r;
}

/* Standard input on its way into the child. */
struct feeding {
    char buf[CHUNK];
    size_t length, sent;
};

/* The child can take some input. */
static int feed(struct child *c, const struct child_spec *spec,
                struct feeding *f, struct error *err)
{
    ssize_t n;

    if (f->sent == f->length) {
        f->sent = 0;
        f->length = spec->feed(spec->opaque, f->buf, sizeof f->buf);
        if (f->length == 0) {
            close(steal_fd(&c->in));
            return 0;
        }
    }
    n = write(c->in, f->buf + f->sent, f->length - f->sent);
    if (n >= 0)
        f->sent += n;
    else if (errno == EPIPE)
        close(steal_fd(&c->in)); /* it stopped listening; its status tells */
    else if (errno != EAGAIN && errno != EINTR)
        return error_set(err, errno, "QEMU: cannot write to %s", c->name);
    return 0;
}

/* Reads what fd has; returns 1 if there may be more, 0 when there is none
 * now, -1 when that or consume failed.
 */
static int drain(struct child *c, const struct child_spec *spec, int *fd,
                 struct error *err)
{
    char buf[CHUNK];
    ssize_t n;

    do /* it does not block */
        n = read(*fd, buf, sizeof buf);
    while (n == -1 && errno == EINTR);
    if (n == -1 && errno == EAGAIN)
        return 0;
    if (n == -1)
        return error_set(err, errno, "QEMU: cannot read from %s", c->name);
    if (n == 0) {
        close(steal_fd(fd));
        return 0;
    }
    io_moved();
    if (fd == &c->err)
        last_words_add(&c->words, buf, n);
    else if (spec->consume != NULL &&
             spec->consume(spec->opaque, buf, n, err) == -1)
        return -1;
    return 1;
}

/* The child is dead, but something it started may hold its pipes open, and
 * even go on writing: what is in them now is all that counts.
 */
static int drain_rest(struct child *c, const struct child_spec *spec,
                      struct error *err)
{
    for (int i = 0; c->out != -1 && i < MOST_LEFT; i++) {
        int more = drain(c, spec, &c->out, err);

        if (more == -1)
            return -1;
        if (more == 0)
            break;
    }
    return c->err != -1 && drain(c, spec, &c->err, err) == -1 ? -1 : 0;
}

/* Has it ended?  If so it is reaped. */
static bool has_ended(struct child *c)
{
    return c->pid == -1 || reap(c, WNOHANG);
}

/* Has GLANCE_MS passed since *looked?  Then that is now. */
static bool is_time_to_look(struct timespec *looked)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if ((now.tv_sec - looked->tv_sec) * 1000 +
            (now.tv_nsec - looked->tv_nsec) / 1000000 <
        GLANCE_MS)
        return false;
    *looked = now;
    return true;
}

/* Feeds it and listens to it until it is reaped. */
static int pump(struct child *c, const struct child_spec *spec,
                struct error *err)
{
    struct feeding feeding = {.length = 0};
    struct timespec looked = {0};
    int pause_ms = 1;
    STALL_WAIT_FOR(STALL_PEER, c->name);

    for (;;) {
        struct pollfd fds[] = {
            {.fd = c->in, .events = POLLOUT},
            {.fd = c->out, .events = POLLIN},
            {.fd = c->err, .events = POLLIN},
            {.fd = spec->cancel_fd, .events = POLLIN},
            {.fd = signals_fd(), .events = POLLIN},
        };
        bool is_silent = c->out == -1 && c->err == -1;
        int n;

        /* One that closed its output is about to end, most likely. */
        if (is_silent && has_ended(c))
            return 0;
        n = poll(fds, sizeof fds / sizeof fds[0],
                 is_silent ? pause_ms : GLANCE_MS);
        if (n == -1 && errno != EINTR)
            return error_set(err, errno, "cannot wait for %s", c->name);
        if (signals_caught() != 0)
            return error_set(err, EINTR, "%s", c->name);
        if (n == -1)
            continue;
        if (is_silent)
            pause_ms = io_min(pause_ms * 2, GLANCE_MS);
        if (!is_silent && is_time_to_look(&looked) && has_ended(c))
            return drain_rest(c, spec, err);
        if (fds[3].revents != 0)
            return error_set(err, ECANCELED, "%s", c->name);
        if (fds[0].revents != 0 && feed(c, spec, &feeding, err) == -1)
            return -1;
        if (fds[1].revents != 0 && drain(c, spec, &c->out, err) == -1)
            return -1;
        if (fds[2].revents != 0 && drain(c, spec, &c->err, err) == -1)
            return -1;
    }
}

/* It is reaped: how did it end? */
static int judge(struct child *c, struct error *err)
{
    const char *words = last_words_take(&c->words);

    if (c->is_lost)
        return error_set(err, 0, "%s has ended, but how is not known",
                         c->name);
    if (WIFSIGNALED(c->status))
        return error_set(err, 0, "%s was killed by signal %d (%s)%s%s",
                         c->name, WTERMSIG(c->status),
                         strsignal(WTERMSIG(c->status)),
                         words[0] != '\0' ? "; " : "", words);
    if (WEXITSTATUS(c->status) == 0)
        return 0;
    if (words[0] != '\0')
        return error_set(err, 0, "%s", words);
    return error_set(err, 0, "%s ended with exit status %d", c->name,
                     WEXITSTATUS(c->status));
}

int child_run(const struct child_spec *spec, struct error *err)
{
    struct child CLEANUP(child) c = new_child(spec);

    if (start(&c, spec, true, err) == -1)
        return error_wrap(err, "QEMU");
    if (pump(&c, spec, err) == -1)
        return -1;
    if (judge(&c, err) == -1)
        return error_wrap(err, "QEMU");
    return 0;
}

int child_start(const struct child_spec *spec, struct child **child,
                struct error *err)
{
    struct child *c = malloc(sizeof *c);

    if (c == NULL)
        return error_set(err, errno, "no memory for a child");
    *c = new_child(spec);
    if (start(c, spec, false, err) == -1 ||
        listener_start(c->err, &c->listener, err) == -1) {
        child_stop(c);
        return error_wrap(err, "QEMU");
    }
    *child = c;
    return 0;
}

int child_finish(struct child *c, struct error *err)
{
    int pause_ms = 1;
    STALL_WAIT_FOR(STALL_DISK, c->name); /* it flushes what it has */

    while (!has_ended(c)) {
        if (io_wait(-1, 0, -1, pause_ms) == -1)
            return error_set(err, errno, "cannot wait for %s", c->name);
        pause_ms = io_min(pause_ms * 2, GLANCE_MS);
    }
    listener_wait(c->listener, LAST_WORDS_MS);
    listener_take(c->listener, &c->words);
    return judge(c, err) == -1 ? error_wrap(err, "QEMU") : 0;
}

void child_stop(struct child *c)
{
    if (c == NULL)
        return;
    cleanup_child(c);
    free(c);
}

bool child_has_open(const struct child *c, int fd)
{
    return open_files_has(c->pid, fd);
}

int child_list_files(const struct child *c, struct io_file_id **list,
                     size_t *count, struct error *err)
{
    return open_files_list(c->pid, c->name, list, count, err);
}

/* It has closed its standard error: did a signal end it?  What is known is
 * known at once, but not whether it is about to end.
 */
static bool is_killed(struct child *c)
{
    for (int left = LAST_WORDS_MS; left > 0 && !has_ended(c); left--)
        if (io_wait(-1, 0, -1, 1) == -1)
            return false;
    return c->pid == -1 && !c->is_lost && WIFSIGNALED(c->status);
}

int child_blame(struct child *c, struct error *err)
{
    /* If it is about to end, it has a moment to say why. */
    bool is_silent = listener_wait(c->listener, LAST_WORDS_MS);
    struct last_words words;
    const char *text;

    listener_take(c->listener, &words);
    text = last_words_take(&words);
    if (text[0] != '\0')
        error_append(err, "; %s", text);
    else if (is_silent && is_killed(c))
        error_append(err, "; %s was killed by signal %d (%s)", c->name,
                     WTERMSIG(c->status), strsignal(WTERMSIG(c->status)));
    else if (is_silent)
        error_append(err, "; %s ended without a word", c->name);
    return -1;
}
