/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What a program that we start may do: as little as its work needs. */

/* Notes on the design
 *
 * QEMU parses a stranger's bytes.  Should it have a hole, what comes in
 * through it must not get far.  Each part of the cage is made by the kernel,
 * and none relies on another:
 *
 *     limits        memory, CPU time, files, size of files, no core dump
 *     user          no user of ours, in no group, if we are root
 *     capabilities  none, but to read files where a name has to be opened
 *     files         Landlock: the libraries, and what is to be read
 *     calls         seccomp: no new socket, process, trace, mount
 *
 * Whoever only has inherited pipes and sockets opens no file, and can be any
 * user.  Whoever opens files by name stays root, without root's power: the
 * files of a chain may belong to anybody, and what an inherited fd names
 * (/proc/self/fd/N) is opened anew, with the rights of who opens it.
 *
 * There are no namespaces here.  Each takes up to a millisecond of a start
 * that takes ten, and mapping starts hundreds.  Those of an import are made
 * once, by own-cage.c, and inherited.
 *
 * A script in QEMU's place is there to run what we do not know, and so it may
 * read and run any file, and start processes; all else holds.
 */

#include "config.h"

#include "base/cage-calls.h"
#include "base/cage-files.h"
#include "base/cage-program.h"
#include "base/cage-rules.h"
#include "base/cage-user.h"
#include "base/cage.h"
#include "base/compat.h"
#include "base/io.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct cage {
    const struct cage_spec *spec;
    struct cage_program program;
    struct cage_user user;
    bool opens_files; /* so it stays who it is */
    struct cage_rules rules;
    const struct sock_fprog *filter;
    size_t n_fds;
};

static const char *const part_names[CAGE_PARTS] = {
    [CAGE_NO_NEW_PRIVILEGES] = "no_new_privs",
    [CAGE_LIMITS] = "limits",
    [CAGE_USER] = "own user (" QEMU_USER ")",
    [CAGE_CAPABILITIES] = "capabilities",
    [CAGE_FILES] = "Landlock",
    [CAGE_CALLS] = "seccomp filter",
};

/* Did we open it to be written? */
static bool is_writable(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags != -1 && (flags & O_ACCMODE) != O_RDONLY;
}

static int add_inherited(struct cage *c, const int *fds, struct error *err)
{
    for (size_t i = 0; i < c->n_fds; i++) {
        unsigned rights = CAGE_READ;
        struct stat st;

        if (fstat(fds[i], &st) == -1 ||
            (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
            continue;
        c->opens_files = true;
        if (c->spec->may_write && is_writable(fds[i]))
            rights |= CAGE_WRITE;
        if (cage_rules_add_fd(&c->rules, fds[i], rights, err) == -1)
            return -1;
    }
    return 0;
}

static int add_files(struct cage *c, const int *fds, struct error *err)
{
    struct cage_rules *rules = &c->rules;

    c->opens_files =
        c->spec->n_names > 0 || c->spec->may_read_all || c->spec->may_connect;
    if (cage_rules_add_program(rules, &c->program, err) == -1 ||
        add_inherited(c, fds, err) == -1)
        return -1;
    if (c->spec->may_read_all &&
        cage_rules_add(rules, "/", CAGE_READ, err) == -1)
        return -1;
    for (size_t i = 0; i < c->spec->n_names; i++)
        if (cage_rules_add(rules, c->spec->names[i], CAGE_READ, err) == -1)
            return -1;
    return 0;
}

int cage_make(const struct cage_spec *spec, const char *program,
              const int *fds, size_t n_fds, struct cage **cage,
              struct error *err)
{
    enum cage_calls calls = CAGE_CALLS_OF_TOOL;
    struct cage *c;

    *cage = NULL;
    if (spec->policy == CAGE_OFF)
        return 0;
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return error_set(err, errno, "sandbox");
    *cage = c;
    c->spec = spec;
    c->n_fds = n_fds;
    if (cage_program_find(program, &c->program) == -1)
        return error_set(err, ENOMEM, "sandbox");
    cage_user_find(&c->user);
    if (add_files(c, fds, err) == -1)
        return -1;
    if (spec->may_connect)
        calls = CAGE_CALLS_OF_CLIENT;
    else if (c->program.is_script)
        calls = CAGE_CALLS_OF_SCRIPT;
    else if (spec->may_write)
        calls = CAGE_CALLS_OF_WRITER;
    return cage_calls_find(calls, &c->filter, err);
}

void cage_free(struct cage *c)
{
    if (c == NULL)
        return;
    cage_program_clear(&c->program);
    cleanup_cage_rules(&c->rules);
    free(c);
}

bool cage_has_variable(const struct cage *c, const char *variable)
{
    static const char *const needed[] = {
        "PATH=",   "LANG=", "LANGUAGE=",       "LC_", "TZ=", "LD_",
        "MALLOC_", "QEMU_", "GLIBC_TUNABLES=",
    };

    if (c == NULL || c->program.is_script || c->spec->may_connect)
        return true;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (strncmp(variable, needed[i], strlen(needed[i])) == 0)
            return true;
    return false;
}

/* Neither it nor what it starts can go beyond that, nor beyond what we may. */
static int limit(int resource, uint64_t soft, uint64_t hard)
{
    struct rlimit now, new = {.rlim_cur = soft, .rlim_max = hard};

    if (getrlimit(resource, &now) == -1)
        return errno;
    new.rlim_cur = io_min(new.rlim_cur, now.rlim_cur);
    new.rlim_max = io_min(new.rlim_max, now.rlim_max);
    return setrlimit(resource, &new) == 0 ? 0 : errno;
}

/* Memory is counted as addresses.  What does not open files has few threads;
 * what does has up to 64, each with a stack and an arena.  An image may have
 * an L1 table, a refcount table, bitmaps and caches of 32 MiB each.
 */
static int enter_limits(const struct cage *c)
{
    const uint64_t mib = 1 << 20;
    uint64_t memory = (c->opens_files ? 8192 : 1536) * mib;
    const struct cage_spec *spec = c->spec;
    uint64_t fds = 64 + c->n_fds + 4 * spec->n_images;
    int r;

    memory += spec->n_images * 256 * mib;
    r = limit(RLIMIT_CORE, 0, 0);
    if (r == 0 && !spec->may_write)
        r = limit(RLIMIT_FSIZE, 0, 0);
    if (r == 0)
        r = limit(RLIMIT_AS, memory, memory);
    if (r == 0 && !spec->may_read_all) /* an image may have many parts */
        r = limit(RLIMIT_NOFILE, fds, fds);
    if (r == 0 && spec->cpu_seconds != 0)
        r = limit(RLIMIT_CPU, spec->cpu_seconds, spec->cpu_seconds + 5);
    return r;
}

/* What a part that cannot be had comes to. */
static int lacks(const struct cage *c, int report_fd, enum cage_part part,
                 int errnum)
{
    const struct cage_complaint complaint = {.part = part, .errnum = errnum};

    if (errnum == 0)
        return 0;
    errno = errnum;
    /* It is there, but not now. */
    if (error_is_shortage(errnum))
        return -1;
    if (write(report_fd, &complaint, sizeof complaint) !=
        (ssize_t)sizeof complaint)
        return -1;
    return c->spec->policy == CAGE_REQUIRE ? -1 : 0;
}

static int enter_user(const struct cage *c, int report_fd)
{
    enum cage_power power = CAGE_POWER_NONE;
    int r = 0;

    if (lacks(c, report_fd, CAGE_USER, cage_user_leave_groups()) == -1)
        return -1;
    if (c->opens_files)
        power = c->spec->may_write ? CAGE_POWER_WRITE : CAGE_POWER_READ;
    else if (c->program.path != NULL)
        r = cage_user_enter(&c->user, c->program.path);
    if (lacks(c, report_fd, CAGE_USER, r) == -1)
        return -1;
    return lacks(c, report_fd, CAGE_CAPABILITIES,
                 cage_user_drop_capabilities(power));
}

int cage_enter(const struct cage *c, int report_fd)
{
    int r;

    if (c == NULL)
        return 0;
    r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno;
    if (lacks(c, report_fd, CAGE_NO_NEW_PRIVILEGES, r) == -1 ||
        enter_user(c, report_fd) == -1)
        return -1;
    r = cage_files_enter(&c->rules,
                         c->spec->may_connect ? CAGE_CONNECTED : CAGE_ALONE);
    if (lacks(c, report_fd, CAGE_FILES, r) == -1 ||
        lacks(c, report_fd, CAGE_LIMITS, enter_limits(c)) == -1)
        return -1;
    return lacks(c, report_fd, CAGE_CALLS, cage_calls_enter(c->filter));
}

int cage_lacks(const struct cage *c, const struct cage_complaint *complaint,
               struct error *err)
{
    static atomic_bool is_told[CAGE_PARTS];
    const char *name = part_names[complaint->part];

    if (c->spec->policy == CAGE_REQUIRE)
        return error_set(err, complaint->errnum, "no %s for the sandbox of %s",
                         name, c->program.path);
    if (!atomic_exchange(&is_told[complaint->part], true))
        log_debug("QEMU: sandbox without %s: %s", name,
                  strerror(complaint->errnum));
    return 0;
}
