/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What tests of layouts have in common: lists, and scripts to compare. */

#ifndef QT_CHECK_SCRIPT_H
#define QT_CHECK_SCRIPT_H

#include "export/layout-script.h"
#include "test.h"

#include <inttypes.h>

/* In the tables a list ends with an empty range, or NULL. */
enum { MAX_LIST = 6, MAX_LINES = 24 };

#define K(n) (UINT64_C(n) << 10)
#define M(n) (UINT64_C(n) << 20)
#define G(n) (UINT64_C(n) << 30)

static inline struct extents build(const struct extent list[MAX_LIST])
{
    struct extents extents = {0};
    struct error err;

    for (size_t i = 0; i < MAX_LIST && list[i].length > 0; i++)
        CHECK_OK(extents_append(&extents, list[i].disk_offset, list[i].length,
                                &err),
                 &err);
    return extents;
}

/* Puts the next command into line, or "run" and how, where one begins. */
static inline bool next_line(struct layout_script *script,
                             char line[QEMU_IO_LINE])
{
    struct layout_run run;

    if (layout_script_next(script, line))
        return true;
    if (!layout_script_begin_run(script, &run))
        return false;
    snprintf(line, QEMU_IO_LINE, "run%s%s",
             run.has_no_disk ? " without a disk" : "",
             run.is_reserving ? " to fail" : "");
    return true;
}

/* The script for a plan has these lines, and no other, behind the beginning
 * of its first run.
 */
static inline void check_script_of(const struct layout_plan *plan,
                                   enum layout_way way,
                                   const char *const lines[MAX_LINES])
{
    struct layout_geometry geometry;
    struct layout_script script;
    struct layout_run run;
    char line[QEMU_IO_LINE];
    struct error err;
    size_t n = 0;

    layout_measure(plan, way, &geometry);
    CHECK_OK(layout_script_open(plan, &geometry, &script, &err), &err);
    CHECK(layout_script_begin_run(&script, &run));
    for (; n < MAX_LINES && lines[n] != NULL; n++) {
        if (!CHECK(next_line(&script, line)))
            break;
        CHECK_STR(line, lines[n]);
    }
    for (int end = 0; end < 2; end++) /* once ended, it stays so */
        if (!CHECK(!next_line(&script, line)))
            fprintf(stderr, "    %s\n", line);
    layout_script_close(&script);
}

static inline void check_script(const struct layout_plan *plan,
                                const char *const lines[MAX_LINES])
{
    check_script_of(plan, LAYOUT_BY_GROWING, lines);
}

#endif
