/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What we give up ourselves, once our ends are open. */

/* Notes on the design
 *
 * We parse little of what a stranger sends, a header and QEMU's words about
 * the rest.  Should that have a hole all the same, what comes in through it
 * runs as root on the host.  So we take the same means as for QEMU, as far as
 * they leave us what is still to be done: to start QEMU, in cages of its own
 * within ours, to end it, and to make and remove our files.
 *
 * Root also leaves the network, and without Landlock the files that are not
 * needed (cage-spaces.c).  What QEMU is started from here is in there with us.
 *
 * All of that is the thread's, and goes on to threads and programs that it
 * starts.  Threads that are older than our ends open nothing at all, and have
 * a cage of their own, which is entered before anybody relies on them.
 */

#include "config.h"

#include "base/cage-files.h"
#include "base/cage-program.h"
#include "base/cage-rules.h"
#include "base/cage-spaces.h"
#include "base/cage-user.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/lock.h"
#include "base/newfile.h"
#include "base/own-cage.h"
#include "base/signals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_PROGRAMS = 4 };

struct rules {
    struct cage_program programs[MOST_PROGRAMS];
    size_t n_programs;
    struct cage_rules list;
    char *made_dir;
};

static void cleanup_rules(struct rules *r)
{
    cleanup_cage_rules(&r->list);
    for (size_t i = 0; i < r->n_programs; i++)
        cage_program_clear(&r->programs[i]);
    free(r->made_dir);
}

static int add_programs(struct rules *r, const struct own_cage *own,
                        struct error *err)
{
    /* Their own entries, which are not there yet. */
    if (cage_rules_add(&r->list, "/proc", CAGE_READ, err) == -1)
        return -1;
    for (size_t i = 0; own->programs[i] != NULL; i++) {
        struct cage_program *program = &r->programs[r->n_programs];

        if (r->n_programs == MOST_PROGRAMS)
            return error_set(err, E2BIG, "sandbox");
        if (cage_program_find(own->programs[i], program) == -1)
            return error_set(err, ENOMEM, "sandbox");
        r->n_programs++;
        if (cage_rules_add_program(&r->list, program, err) == -1)
            return -1;
    }
    return 0;
}

static int add_files(struct rules *r, const struct own_cage *own,
                     struct error *err)
{
    const unsigned spool = CAGE_READ | CAGE_WRITE | CAGE_MAKE | CAGE_REMOVE;
    const unsigned made = CAGE_MAKE | CAGE_REMOVE; /* or give it its name */

    if (own->may_read_all &&
        cage_rules_add(&r->list, "/", CAGE_READ | CAGE_EXECUTE, err) == -1)
        return -1;
    if (add_programs(r, own, err) == -1)
        return -1;
    if (own->made_path != NULL) {
        r->made_dir = newfile_directory(own->made_path);
        if (r->made_dir == NULL)
            return error_set(err, ENOMEM, "sandbox");
    }
    if (cage_rules_add(&r->list, r->made_dir, made, err) == -1 ||
        cage_rules_add(&r->list, own->spool_dir, spool, err) == -1)
        return -1;
#ifdef QT_COVERAGE_DIR
    /* What has been reached is written down when all is over. */
    if (cage_rules_add(&r->list, QT_COVERAGE_DIR, spool, err) == -1)
        return -1;
#endif
    return 0;
}

/* Is it somebody else's, so that we need root's power to make a file there? */
static bool is_others(const char *dir)
{
    struct stat st;

    return dir != NULL && (stat(dir, &st) == -1 || st.st_uid != geteuid());
}

static int lacks(enum cage_policy policy, const char *what, int errnum,
                 struct error *err)
{
    if (errnum == 0 || policy == CAGE_OFF)
        return 0;
    if (error_is_shortage(errnum)) /* the host has it, but not now */
        return error_set(err, errnum, "our own sandbox: %s", what);
    if (policy == CAGE_REQUIRE)
        return error_set(err, errnum, "no %s for our own sandbox", what);
    log_debug("our own sandbox is without %s: %s", what, strerror(errnum));
    return 0;
}

/* Files are Landlock's part, where the kernel has it. */
static int enter_spaces(const struct own_cage *own,
                        const struct cage_rules *rules, struct error *err)
{
    if (!own->may_connect && lacks(own->policy, "network namespace",
                                   cage_spaces_leave_network(), err) == -1)
        return -1;
    if (cage_files_can_enter())
        return 0;
    return lacks(own->policy, "mount namespace",
                 cage_spaces_leave_files(rules), err);
}

int own_cage_enter(const struct own_cage *own, struct error *err)
{
    struct rules CLEANUP(rules) r = {.n_programs = 0};
    enum cage_power power = CAGE_POWER_START;
    struct cage_user user;

    if (own->policy == CAGE_OFF)
        return 0;
    if (add_files(&r, own, err) == -1)
        return -1;
    cage_user_find(&user); /* QEMU's is looked up in files */
    if (is_others(r.made_dir) || is_others(own->spool_dir))
        power = CAGE_POWER_START_AND_WRITE;
    /* Whoever is in Landlock mounts nothing. */
    if (enter_spaces(own, &r.list, err) == -1 ||
        lacks(own->policy, "Landlock",
              cage_files_enter(&r.list, own->may_connect
                                            ? CAGE_OURSELVES_CONNECTED
                                            : CAGE_OURSELVES),
              err) == -1)
        return -1;
    return lacks(own->policy, "capabilities",
                 cage_user_drop_capabilities(power), err);
}

/* ---------------------------------------------------- threads that watch */

static struct {
    enum cage_policy policy;
    pthread_mutex_t lock;
    pthread_cond_t entered;
} threads = {.lock = PTHREAD_MUTEX_INITIALIZER,
             .entered = PTHREAD_COND_INITIALIZER};

/* A thread that begins; its creator's, who waits until it has entered. */
struct beginning {
    void *(*run)(void *);
    void *opaque;
    bool has_entered;
    int result; /* -1: it is not to run, and err says why */
    struct error err;
};

static int enter_thread(struct error *err)
{
    const struct cage_rules none = {.count = 0};
    int files = cage_files_enter(&none, CAGE_OURSELVES);
    int power = cage_user_drop_capabilities(CAGE_POWER_NONE);

    if (lacks(threads.policy, "Landlock", files, err) == -1)
        return -1;
    return lacks(threads.policy, "capabilities", power, err);
}

static void *begin_thread(void *opaque)
{
    struct beginning *b = opaque;
    void *(*run)(void *) = b->run;
    void *of_run = b->opaque;
    int result = enter_thread(&b->err);

    {
        LOCK_FOR_SCOPE(&threads.lock);
        b->result = result;
        b->has_entered = true;
        pthread_cond_broadcast(&threads.entered);
    }
    return result == 0 ? run(of_run) : NULL;
}

int own_cage_create_thread(pthread_t *thread, void *(*run)(void *),
                           void *opaque, struct error *err)
{
    struct beginning b = {.run = run, .opaque = opaque};
    int r = signals_create_thread(thread, begin_thread, &b);

    if (r != 0)
        return error_set(err, r, "cannot start a thread");
    {
        LOCK_FOR_SCOPE(&threads.lock);
        while (!b.has_entered)
            pthread_cond_wait(&threads.entered, &threads.lock);
    }
    if (b.result == 0)
        return 0;
    pthread_join(*thread, NULL);
    *err = b.err;
    return -1;
}

int own_cage_begin(enum cage_policy policy, struct error *err)
{
    const struct rlimit none = {0, 0};
    int r;

    threads.policy = policy;
    r = setrlimit(RLIMIT_CORE, &none) == 0 ? 0 : errno;
    if (lacks(policy, "limits", r, err) == -1)
        return -1;
#ifndef __SANITIZE_ADDRESS__ /* that looks for leaks as a debugger does */
    r = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : errno;
    if (lacks(policy, "protected memory", r, err) == -1)
        return -1;
#endif
    r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno;
    return lacks(policy, "no_new_privs", r, err);
}
