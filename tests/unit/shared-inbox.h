/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Helpers that the tests of the inbox share. */

#ifndef QT_TEST_SHARED_INBOX_H
#define QT_TEST_SHARED_INBOX_H

#include "base/io.h"
#include "import/inbox-view.h"
#include "test.h"

enum { BLOCK = 65536, LONGEST = 1 << 20 };

static unsigned char stream[LONGEST];

static inline struct inbox *make_inbox(uint64_t limit)
{
    struct inbox *inbox = NULL;
    struct error err;

    if (!CHECK_OK(inbox_new(test_dir(), limit, &inbox, &err), &err))
        exit(test_end());
    return inbox;
}

static inline void append(struct inbox *inbox, uint64_t from, uint64_t to)
{
    struct error err;

    CHECK_OK(inbox_append(inbox, stream + from, to - from, &err), &err);
    CHECK_UINT(inbox_arrived(inbox), to);
}

/* To a QEMU that finds out what is what, and reads tables of SLICE bytes. */
enum { SLICE = 512 };

static inline void show(struct inbox *inbox, struct inbox_view *view)
{
    inbox_show_arrived(inbox, view, SLICE, false);
}

static inline int read_shown(const struct inbox_view *view, uint64_t from,
                             uint64_t to)
{
    const struct nbd_export *e = &view->export;
    static unsigned char buf[LONGEST];

    return e->read(e->opaque, buf, to - from, from);
}

static inline void check_shown(const struct inbox_view *view, uint64_t from,
                               uint64_t to)
{
    const struct nbd_export *e = &view->export;
    static unsigned char buf[LONGEST];

    memset(buf, 0, to - from);
    CHECK_INT(e->read(e->opaque, buf, to - from, from), 0);
    CHECK_MEM(buf, stream + from, to - from);
}

/* What QEMU reads in a run that counts. */
static inline void read_table(struct inbox *inbox, uint64_t from, uint64_t to)
{
    struct inbox_view view;
    struct error err;

    show(inbox, &view);
    check_shown(&view, from, to);
    CHECK_OK(inbox_settle_reads(&view, true, &err), &err);
    inbox_hide(&view);
}

static inline int claim(struct inbox *inbox, uint64_t from, uint64_t to,
                        uint64_t disk_offset, struct error *err)
{
    struct filemap_entry entry = {from, to - from, disk_offset};
    const struct filemap data = {&entry, 1, 1};

    return inbox_claim(inbox, &data, 1, err);
}

#endif
