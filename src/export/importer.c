/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Whether the importer that xapi has today takes an image. */

#include "config.h"

#include "base/io.h"
#include "base/log.h"
#include "export/importer.h"
#include "qemu/header.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Clusters of the disk, of which a last one in part does not count. */
static uint64_t disk_clusters(const struct layout_plan *plan)
{
    return plan->disk_size / plan->options.cluster_size;
}

/* All tables first, then the data, without a gap. */
static bool is_ordered(const struct skeleton *skeleton, uint64_t cluster_size)
{
    const struct filemap *map = &skeleton->map;

    for (size_t i = 1; i < map->count; i++) {
        const struct filemap_entry *e = &map->list[i], *last = e - 1;

        if (IO_ROUND_DOWN(e->file_offset, cluster_size) >
            IO_ROUND_UP(last->file_offset + last->length, cluster_size))
            return false;
    }
    return map->count == 0 || skeleton->file_length <=
                                  IO_ROUND_UP(filemap_end(map), cluster_size);
}

/* As the importer goes through L1. */
struct walk {
    const struct layout_plan *plan;
    uint64_t window;
    int64_t bound;        /* before any L1 and L2 table */
    uint64_t next_window; /* the first that has not been counted */
    uint64_t n_tables;    /* L2 */
    size_t next_zeroes;   /* of the plan's */
};

/* Counts the L2 tables of a part of the disk. */
static void count_tables(struct walk *w, uint64_t disk_offset,
                         uint64_t disk_end)
{
    uint64_t first = io_max(w->next_window, disk_offset / w->window);
    uint64_t end = (disk_end - 1) / w->window + 1;

    if (end > first)
        w->n_tables += end - first;
    w->next_window = io_max(w->next_window, end);
}

/* The bound, once the last cluster of e is reached.  Within e it grows less
 * than the numbers do.
 */
static int64_t bound_at(struct walk *w, const struct filemap_entry *e)
{
    const struct extents *zeroes = layout_zeroes(w->plan);
    uint64_t disk_end = e->disk_offset + e->length;
    uint64_t per_l1 = w->plan->options.cluster_size / 8;

    for (; w->next_zeroes < zeroes->count &&
           zeroes->list[w->next_zeroes].disk_offset < e->disk_offset;
         w->next_zeroes++) {
        const struct extent *z = &zeroes->list[w->next_zeroes];

        count_tables(w, z->disk_offset, extent_end(z));
    }
    count_tables(w, e->disk_offset, disk_end);
    return w->bound + (int64_t)((disk_end - 1) / w->window / per_l1 + 1) +
           (int64_t)w->n_tables;
}

int importer_judge(const struct layout_plan *plan,
                   const struct skeleton *skeleton, int image_fd,
                   struct importer_verdict *verdict, struct error *err)
{
    uint64_t cs = plan->options.cluster_size;
    unsigned char bytes[HEADER_BYTES] = {0};
    struct walk w = {.plan = plan, .window = qcow2_window(&plan->options)};
    struct header h;

    if (io_pread_full(image_fd, bytes, sizeof bytes, 0) == -1)
        return error_set(err, errno, "spool: cannot read at file offset 0");
    header_parse(bytes, &h);
    /* The table's own clusters are added, and subtracted. */
    w.bound = (int64_t)disk_clusters(plan) + (int64_t)(h.l1_offset / cs) -
              (int64_t)(h.refcount_offset / cs);
    *verdict = (struct importer_verdict){
        .is_ordered =
            is_ordered(skeleton, cs) && !plan->options.is_extended_l2,
    };
    if (!verdict->is_ordered)
        return 0;
    for (size_t i = 0; i < skeleton->map.count; i++) {
        const struct filemap_entry *e = &skeleton->map.list[i];

        verdict->file_cluster = (e->file_offset + e->length - 1) / cs;
        verdict->bound = bound_at(&w, e);
        if ((int64_t)verdict->file_cluster > verdict->bound)
            return 0;
    }
    verdict->is_taken = true;
    return 0;
}

/* With one refcount block the tables stand as the importer wants them, and
 * only the data counts.  With more the refcount table stands behind them, and
 * behind L1: at least the blocks and two clusters must not be in use.
 */
bool importer_may_take(const struct layout_plan *plan)
{
    uint64_t per_block =
        plan->options.cluster_size * 8 / plan->options.refcount_bits;
    struct layout_geometry g;

    layout_measure(plan, LAYOUT_BY_RESERVING, &g);
    if (!g.is_reserved)
        return g.data_clusters <= disk_clusters(plan);
    return g.data_clusters + g.data_clusters / per_block + 2 <=
           disk_clusters(plan);
}

void importer_report(const struct importer_verdict *v)
{
    if (v->is_taken)
        return;
    if (!v->is_ordered)
        log_summary("xapi's own importer does not take this layout");
    else
        log_summary("xapi's own importer does not take this image: it has a "
                    "cluster of number %" PRIu64 ", and the bound is %" PRId64
                    "; --refcount-bits auto may help, or larger clusters",
                    v->file_cluster, v->bound);
}
