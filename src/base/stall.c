/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Notices that nothing moves any more, and who is waited for. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/own-cage.h"
#include "base/signals.h"
#include "base/stall.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MOST_WAITS = 16, NO_PLACE = MOST_WAITS };

static struct {
    pthread_mutex_t lock;        /* of all of it */
    const char *who[MOST_WAITS]; /* NULL: the place is free */
    enum stall_kind kinds[MOST_WAITS];
    char names[160]; /* of those who were waited for too long */
} waits = {.lock = PTHREAD_MUTEX_INITIALIZER};

static unsigned limit; /* seconds; set before there is a thread that reads */

size_t stall_begin(enum stall_kind kind, const char *who)
{
    LOCK_FOR_SCOPE(&waits.lock);
    for (size_t i = 0; i < MOST_WAITS; i++)
        if (waits.who[i] == NULL) {
            waits.who[i] = who;
            waits.kinds[i] = kind;
            return i;
        }
    return NO_PLACE;
}

void stall_end(size_t place)
{
    LOCK_FOR_SCOPE(&waits.lock);
    if (place != NO_PLACE)
        waits.who[place] = NULL;
}

/* Notes the names of all of a kind.  Are there any? */
static bool list(enum stall_kind kind)
{
    size_t used = 0;

    LOCK_ASSERT_HELD(&waits.lock);
    waits.names[0] = '\0';
    for (size_t i = 0; i < MOST_WAITS; i++)
        if (waits.who[i] != NULL && waits.kinds[i] == kind &&
            used < sizeof waits.names)
            used += snprintf(waits.names + used, sizeof waits.names - used,
                             "%s%s", used == 0 ? "" : " and ", waits.who[i]);
    return used > 0;
}

/* Nothing has moved for so long.  Has the work been given up? */
static bool judge(void)
{
    char disks[sizeof waits.names];

    {
        LOCK_FOR_SCOPE(&waits.lock);
        if (!list(STALL_DISK))
            return list(STALL_PEER);
        memcpy(disks, waits.names, sizeof disks);
    }
    /* Without the lock: standard error may be waited for, too. */
    log_notice("%s has not answered for %u s", disks, limit);
    return false;
}

/* Ticks are counted, not time: while we are stopped, or the host sleeps,
 * nobody can move anything.
 */
static void *watch(void *opaque)
{
    const struct timespec tick = {.tv_sec = 1};
    unsigned long moves = io_moves();
    unsigned silent = 0;

    (void)opaque;
    do {
        unsigned long now;

        nanosleep(&tick, NULL);
        now = io_moves();
        silent = now == moves ? silent + 1 : 0;
        moves = now;
    } while (silent == 0 || silent % limit != 0 || !judge());
    /* Again and again: main may be about to begin a call that blocks. */
    while (true) {
        signals_give_up();
        nanosleep(&tick, NULL);
    }
    return NULL;
}

int stall_open(unsigned seconds, struct error *err)
{
    pthread_t thread;

    if (seconds == 0)
        return 0;
    limit = seconds;
    if (own_cage_create_thread(&thread, watch, NULL, err) == -1)
        return -1;
    pthread_detach(thread);
    return 0;
}

int stall_explain(struct error *err)
{
    LOCK_FOR_SCOPE(&waits.lock);
    return error_set(err, 0,
                     "nothing has moved for %u s: %s is waited for in vain",
                     limit, waits.names);
}
