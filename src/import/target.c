/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The disk that an imported stream lands on. */

#include "config.h"

#include "import/target.h"

#include <stddef.h>

int target_claim(struct target *t, enum claim_policy policy, struct error *err)
{
    return t->ops->claim == NULL ? 0 : t->ops->claim(t, policy, err);
}

int target_create(struct target *t, uint64_t disk_size, struct error *err)
{
    return t->ops->create == NULL ? 0 : t->ops->create(t, disk_size, err);
}

int target_lend(struct target *t, uint64_t disk_offset, uint64_t length,
                char **buf, struct error *err)
{
    *buf = NULL;
    return t->ops->lend == NULL
               ? 0
               : t->ops->lend(t, disk_offset, length, buf, err);
}

int target_write(struct target *t, const void *buf, size_t length,
                 uint64_t disk_offset, struct error *err)
{
    t->is_written = true;
    return t->ops->write(t, buf, length, disk_offset, err);
}

int target_zero(struct target *t, uint64_t disk_offset, uint64_t length,
                struct error *err)
{
    t->is_written = true;
    return t->ops->zero(t, disk_offset, length, err);
}

void target_cancel(struct target *t)
{
    if (t != NULL && t->ops->cancel != NULL)
        t->ops->cancel(t);
}

bool target_is_spoilt(const struct target *t)
{
    return t->is_written && t->made_path == NULL;
}

int target_finish(struct target *t, struct error *err)
{
    return t->ops->finish(t, err);
}

void target_close(struct target *t)
{
    if (t != NULL)
        t->ops->close(t);
}
