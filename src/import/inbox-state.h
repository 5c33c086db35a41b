/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What inbox.c and inbox-view.c share, and nobody else sees. */

#ifndef QT_INBOX_STATE_H
#define QT_INBOX_STATE_H

#include "base/error.h"
#include "base/lock.h"
#include "import/arrival.h"
#include "import/inbox.h"
#include "import/ledger.h"
#include "import/spool.h"

#include <pthread.h>
#include <stdbool.h>

struct inbox {
    pthread_mutex_t lock; /* of all that follows, but the spool's file */
    struct arrival arrival;
    struct spool spool;
    struct ledger ledger;
    bool are_tables_kept;  /* inbox_keep_tables */
    uint64_t wanted_end;   /* inbox_wanted_end */
    const char *why_ended; /* inbox_end_stream */
    bool has_failed;
    struct error failure; /* the first one */
};

/* Remembers err for inbox_check if it is the first failure.  The caller holds
 * the lock.
 */
static inline void inbox_note_failure(struct inbox *in,
                                      const struct error *err)
{
    LOCK_ASSERT_HELD(&in->lock);
    if (!in->has_failed)
        in->failure = *err;
    in->has_failed = true;
}

#endif
