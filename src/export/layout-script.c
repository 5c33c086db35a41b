/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The commands for qemu-io that lay an image out. */

#include "config.h"

#include "base/io.h"
#include "export/layout-script.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define CONVERT_PIECE (UINT64_C(2) << 20) /* convert's buffer */
#define DISCARD_PIECE (UINT64_C(1) << 30) /* qemu-io refuses over 2 GiB */
#define ZEROES_PIECE DISCARD_PIECE        /* likewise */

/* What qemu-io writes at once where it makes no difference to the image.  It
 * fills a buffer as large, and looks through that for zeroes: this much stays
 * in a processor's cache, and takes a tenth of the memory that 2 MiB do.
 */
#define WRITE_PIECE (UINT64_C(512) << 10)

/* How much convert takes in of a range at once: BDRV_REQUEST_MAX_BYTES. */
#define STATUS_PIECE ((UINT64_C(1) << 31) - IO_SECTOR)

enum step {
    RESERVE,
    SET_SIZE, /* begins a run */
    GROW,
    PREALLOCATE,
    DISCARD,
    MAKE_TABLES, /* plugs first */
    DISCARD_TABLE_DATA,
    WRITE_ZEROES,
    FILL, /* begins a run */
    WRITE_DATA,
    RESTORE_SIZE,
    CUT_PLUG,
    CUT,
    END,
};

static void print(char line[QEMU_IO_LINE], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void print(char line[QEMU_IO_LINE], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, QEMU_IO_LINE, fmt, ap);
    va_end(ap);
}

/* Moves to at, the next of list that reaches beyond from; false: none. */
static bool seek(struct layout_script *s, const struct extents *list,
                 uint64_t from)
{
    while (s->next < list->count && extent_end(&list->list[s->next]) <= from)
        s->next++;
    if (s->next == list->count)
        return false;
    s->at = io_max(from, list->list[s->next].disk_offset);
    return true;
}

/* Where the write that begins at s->at ends: a whole number of buffers
 * behind the beginning of the range that the source was read in.
 */
static uint64_t end_of_write(struct layout_script *s)
{
    uint64_t end = extent_end(&s->writes.list[s->next]);
    uint64_t origin = s->writes.list[s->next].disk_offset;
    uint64_t piece = io_max(WRITE_PIECE, s->plan->options.cluster_size);

    if (s->plan->layout == LAYOUT_CONVERT) {
        const struct extent *status = s->plan->status->list;

        piece = CONVERT_PIECE;
        while (IO_ROUND_UP(extent_end(&status[s->next_status]), IO_SECTOR) <=
               s->at)
            s->next_status++;
        status += s->next_status;
        origin = IO_ROUND_DOWN(status->disk_offset, IO_SECTOR);
        origin += IO_ROUND_DOWN(s->at - origin, STATUS_PIECE);
        end = io_min(end, IO_ROUND_UP(extent_end(status), IO_SECTOR));
        end = io_min(end, origin + STATUS_PIECE);
    }
    return io_min(end, s->at + piece - (s->at - origin) % piece);
}

/* Makes the L2 table of the window that disk_offset, a multiple of the
 * cluster size or of the granule, lies in.
 */
static void make_table(struct layout_script *s, uint64_t disk_offset,
                       char line[QEMU_IO_LINE])
{
    const struct layout_geometry *g = s->geometry;
    bool is_v2 = s->plan->options.is_v2;
    uint64_t unit = is_v2 ? s->plan->options.cluster_size : g->granule;

    s->table_at = disk_offset;
    s->table_length = io_min(unit, g->work_size - disk_offset);
    print(line, "write -q %s %" PRIu64 " %" PRIu64, is_v2 ? "-P 0" : "-z",
          s->table_at, s->table_length);
    s->step = is_v2 ? DISCARD_TABLE_DATA : MAKE_TABLES;
}

/* The first granule in use in each window, and behind the end of the disk
 * if the cut is going to need a table there.
 */
static bool next_table(struct layout_script *s, char line[QEMU_IO_LINE])
{
    const struct layout_geometry *g = s->geometry;
    uint64_t cs = s->plan->options.cluster_size, disk_offset;

    if (seek(s, &s->used, s->at))
        disk_offset = IO_ROUND_DOWN(s->at, g->granule);
    else if (g->work_size > s->plan->disk_size && g->has_cut_table &&
             s->at < g->base_size)
        disk_offset = IO_ROUND_UP(s->plan->disk_size, cs);
    else
        return false;
    s->at = IO_ROUND_DOWN(disk_offset, g->window) + g->window;
    make_table(s, disk_offset, line);
    return true;
}

static bool next_zeroes(struct layout_script *s, char line[QEMU_IO_LINE])
{
    const struct layout_geometry *g = s->geometry;
    const struct extents *zeroes = layout_zeroes(s->plan);
    uint64_t end;

    if (!seek(s, zeroes, s->at))
        return false;
    end = io_min(extent_end(&zeroes->list[s->next]), s->at + ZEROES_PIECE);
    /* Less than a granule can only be marked where the disk ends. */
    if (g->work_size > s->plan->disk_size)
        end = IO_ROUND_UP(end, g->granule);
    print(line, "write -q -z %" PRIu64 " %" PRIu64, s->at, end - s->at);
    s->at = end;
    return true;
}

static void write_piece(struct layout_script *s, char line[QEMU_IO_LINE])
{
    uint64_t end = end_of_write(s);

    print(line, "%s -q -P 0 %" PRIu64 " %" PRIu64,
          s->geometry->most_writes > 1 ? "aio_write" : "write", s->at,
          end - s->at);
    s->at = end;
    s->in_flight++;
}

/* Has QEMU end what it has begun; false: there is nothing. */
static bool settle(struct layout_script *s, char line[QEMU_IO_LINE])
{
    if (s->geometry->most_writes <= 1 || s->in_flight == 0)
        return false;
    s->in_flight = 0;
    print(line, "aio_flush");
    return true;
}

static bool next_write(struct layout_script *s, char line[QEMU_IO_LINE])
{
    bool is_more = seek(s, &s->writes, s->at);

    if ((!is_more || s->in_flight >= s->geometry->most_writes) &&
        settle(s, line))
        return true;
    if (is_more)
        write_piece(s, line);
    return is_more;
}

/* Makes the disk larger, and has QEMU allocate all that comes to it. */
static void preallocate(struct layout_script *s, char line[QEMU_IO_LINE],
                        const char *mode, uint64_t disk_size)
{
    s->preallocation = mode;
    s->preallocated_size = disk_size;
    print(line, "truncate -m %s %" PRIu64, mode, disk_size);
}

/* Where the disk may end at the next command: where a large extent begins, so
 * that those before it can be written.
 */
static uint64_t next_reach(const struct layout_script *s)
{
    const struct extents *writes = &s->writes;

    for (size_t i = s->next; i < writes->count; i++)
        if (layout_is_filled_extent(s->plan, &writes->list[i]))
            return writes->list[i].disk_offset;
    return s->plan->disk_size;
}

static bool next_fill(struct layout_script *s, char line[QEMU_IO_LINE])
{
    const struct extent *e;

    if (!seek(s, &s->writes, s->at))
        return next_write(s, line);
    e = &s->writes.list[s->next];
    if (s->reached >= extent_end(e))
        return next_write(s, line);
    if (settle(s, line))
        return true;
    if (layout_is_filled_extent(s->plan, e) && s->reached == e->disk_offset) {
        s->reached = s->at = extent_end(e);
        preallocate(s, line, "metadata", s->reached);
    } else {
        s->reached = next_reach(s);
        print(line, "truncate %" PRIu64, s->reached);
    }
    return true;
}

static void rewind_script(struct layout_script *s, enum step step)
{
    s->step = step;
    s->at = 0;
    s->next = 0;
}

static void truncate_disk(struct layout_script *s, char line[QEMU_IO_LINE],
                          uint64_t disk_size, enum step step)
{
    print(line, "truncate %" PRIu64, disk_size);
    rewind_script(s, step);
}

/* Up to where there is a disk of its size, or larger, without content. */
static bool next_preparation(struct layout_script *s, char line[QEMU_IO_LINE])
{
    const struct layout_geometry *g = s->geometry;

    switch (s->step) {
    case RESERVE:
        preallocate(s, line, "falloc", g->reserve_size);
        s->step = SET_SIZE;
        s->is_at_run = true;
        return true;
    case SET_SIZE:
        truncate_disk(s, line, g->work_size, MAKE_TABLES);
        return true;
    case MAKE_TABLES:
        if (s->plugged == g->n_plugs)
            return false;
        make_table(s, g->plug + s->plugged * g->window, line);
        s->plugged++;
        return true;
    case GROW:
        truncate_disk(s, line, g->base_size, PREALLOCATE);
        return true;
    case PREALLOCATE:
        preallocate(s, line, "falloc", g->create_size);
        s->step = DISCARD;
        s->at = g->base_size;
        return true;
    case DISCARD:
        if (s->at < g->create_size) {
            uint64_t length = io_min(DISCARD_PIECE, g->create_size - s->at);

            print(line, "discard -q %" PRIu64 " %" PRIu64, s->at, length);
            s->at += length;
            return true;
        }
        rewind_script(s, MAKE_TABLES);
        return false;
    default:
        return false;
    }
}

/* What is behind the tables is as planned: gives the disk its size. */
static bool next_cut(struct layout_script *s, char line[QEMU_IO_LINE])
{
    const struct layout_geometry *g = s->geometry;
    uint64_t disk_size = s->plan->disk_size;

    switch (s->step) {
    case RESTORE_SIZE:
        if (g->is_filled && s->reached < g->work_size) {
            truncate_disk(s, line, g->work_size, CUT_PLUG);
            return true;
        }
        /* fall through */
    case CUT_PLUG:
        if (g->plug < disk_size) {
            truncate_disk(s, line, g->plug, CUT);
            return true;
        }
        /* fall through */
    case CUT:
        s->step = END;
        if (!g->is_grown && g->plug == LAYOUT_NO_PLUG)
            return false;
        print(line, "truncate %" PRIu64, disk_size);
        return true;
    default:
        return false;
    }
}

/* Each step falls to the next when it has no more. */
bool layout_script_next(void *opaque, char line[QEMU_IO_LINE])
{
    struct layout_script *s = opaque;

    s->preallocation = NULL;
    if (s->is_at_run)
        return false;
    if (next_preparation(s, line))
        return true;
    switch (s->step) {
    case MAKE_TABLES:
        if (next_table(s, line))
            return true;
        rewind_script(s, WRITE_ZEROES);
        /* fall through */
    case WRITE_ZEROES:
        if (next_zeroes(s, line))
            return true;
        s->is_at_run = s->geometry->is_filled;
        rewind_script(s, s->geometry->is_filled ? FILL : WRITE_DATA);
        return layout_script_next(s, line);
    case FILL:
    case WRITE_DATA:
        if (s->step == FILL ? next_fill(s, line) : next_write(s, line))
            return true;
        s->step = RESTORE_SIZE;
        return next_cut(s, line);
    case DISCARD_TABLE_DATA:
        print(line, "discard -q %" PRIu64 " %" PRIu64, s->table_at,
              s->table_length);
        s->step = MAKE_TABLES;
        return true;
    default:
        return next_cut(s, line);
    }
}

bool layout_script_begin_run(struct layout_script *s, struct layout_run *run)
{
    const struct layout_geometry *g = s->geometry;

    if (s->step == END)
        return false;
    *run = (struct layout_run){
        .store_size = s->step == RESERVE ? g->room_size : g->store_size,
        .has_no_disk = s->step == FILL,
        .is_reserving = s->step == RESERVE,
    };
    s->is_at_run = false;
    return true;
}

int layout_script_open(const struct layout_plan *plan,
                       const struct layout_geometry *geometry,
                       struct layout_script *s, struct error *err)
{
    bool is_convert = plan->layout == LAYOUT_CONVERT;
    uint64_t unit = is_convert ? IO_SECTOR : geometry->granule;

    *s = (struct layout_script){
        .plan = plan,
        .geometry = geometry,
        .step = geometry->is_reserved ? RESERVE
                : geometry->is_grown  ? GROW
                : is_convert          ? WRITE_ZEROES
                                      : MAKE_TABLES,
    };
    if (extents_widen(plan->data, unit, plan->disk_size, &s->writes, err) ==
            -1 ||
        extents_combine(&s->writes, EXTENTS_EITHER, layout_zeroes(plan),
                        plan->disk_size, &s->used, err) == -1) {
        layout_script_close(s);
        return -1;
    }
    return 0;
}

void layout_script_close(struct layout_script *s)
{
    extents_clear(&s->writes);
    extents_clear(&s->used);
}
