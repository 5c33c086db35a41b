/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The tables that are waited for, and what is to be mapped then. */

#include "config.h"

#include "import/awaited.h"
#include "lists/sorted.h"

#include <stdlib.h>

static uint64_t end_of(const struct awaited_table *table)
{
    return table->file_end;
}

VECTOR_FUNCTIONS(awaited, struct awaited_table, "tables");
SORTED_SEARCH(find_behind, struct awaited_table, end_of);

int awaited_add(struct awaited *a, uint64_t file_end, uint64_t disk_offset,
                struct error *err)
{
    return awaited_push(a, (struct awaited_table){file_end, disk_offset}, err);
}

static int compare(const void *left, const void *right)
{
    const struct awaited_table *a = left, *b = right;

    if (a->file_end != b->file_end)
        return a->file_end < b->file_end ? -1 : 1;
    return (a->disk_offset > b->disk_offset) -
           (a->disk_offset < b->disk_offset);
}

/* Adds those of a that stay, and those of b, both in order. */
static int merge(const struct awaited *a, uint64_t disk_offset,
                 uint64_t disk_end, const struct awaited *b,
                 struct awaited *out, struct error *err)
{
    for (size_t i = 0, j = 0; i < a->count || j < b->count;) {
        const struct awaited_table *next;

        if (j == b->count ||
            (i < a->count && compare(&a->list[i], &b->list[j]) < 0)) {
            next = &a->list[i++];
            if (next->disk_offset >= disk_offset &&
                next->disk_offset < disk_end)
                continue;
        } else {
            next = &b->list[j++];
        }
        if (awaited_push(out, *next, err) == -1)
            return -1;
    }
    return 0;
}

int awaited_replace(struct awaited *a, uint64_t disk_offset, uint64_t disk_end,
                    struct awaited *news, struct error *err)
{
    struct awaited merged = {0};

    if (news->count > 0)
        qsort(news->list, news->count, sizeof *news->list, compare);
    if (merge(a, disk_offset, disk_end, news, &merged, err) == -1) {
        awaited_free(&merged);
        return -1;
    }
    awaited_free(a);
    *a = merged;
    return 0;
}

size_t awaited_before(const struct awaited *a, uint64_t limit)
{
    return find_behind(a->list, a->count, limit);
}

void awaited_clear(struct awaited *a)
{
    awaited_free(a);
}
