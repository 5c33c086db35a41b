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
 * starts.  Threads that are older than our ends open nothing at all, and say
 * so for themselves.
 */

#include "config.h"

#include "base/cage-files.h"
#include "base/cage-program.h"
#include "base/cage-rules.h"
#include "base/cage-spaces.h"
#include "base/cage-user.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/newfile.h"
#include "base/own-cage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
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

static int lacks(const struct own_cage *own, const char *what, int errnum,
                 struct error *err)
{
    if (errnum == 0)
        return 0;
    if (error_is_shortage(errnum)) /* the host has it, but not now */
        return error_set(err, errnum, "our own sandbox: %s", what);
    if (own->policy == CAGE_REQUIRE)
        return error_set(err, errnum, "no %s for our own sandbox", what);
    log_debug("our own sandbox is without %s: %s", what, strerror(errnum));
    return 0;
}

/* Files are Landlock's part, where the kernel has it. */
static int enter_spaces(const struct own_cage *own,
                        const struct cage_rules *rules, struct error *err)
{
    if (!own->may_connect && lacks(own, "network namespace",
                                   cage_spaces_leave_network(), err) == -1)
        return -1;
    if (cage_files_can_enter())
        return 0;
    return lacks(own, "mount namespace", cage_spaces_leave_files(rules), err);
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
        lacks(own, "Landlock",
              cage_files_enter(&r.list, own->may_connect
                                            ? CAGE_OURSELVES_CONNECTED
                                            : CAGE_OURSELVES),
              err) == -1)
        return -1;
    return lacks(own, "capabilities", cage_user_drop_capabilities(power), err);
}

void own_cage_enter_thread(void)
{
    const struct cage_rules none = {.count = 0};

    (void)cage_files_enter(&none, CAGE_OURSELVES);
    (void)cage_user_drop_capabilities(CAGE_POWER_NONE);
}
