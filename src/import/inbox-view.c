/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What QEMU sees of a qcow2 stream while it arrives. */

/* Notes on the design
 *
 * QEMU does not notice the end of a file, and takes zeroes for an empty table.
 * So what is not here is only ever answered with zeroes to a qemu-img map that
 * does not mind (windows.c): what was missing is noted, and what QEMU did not
 * find is not believed.  What one run was not shown it is not shown later
 * either, even if that has arrived: else it might find a half of what there
 * is.  Every table is there in full or not there; QEMU itself never writes a
 * file that ends inside one, or inside data that it maps.
 *
 * All else that has not arrived is a fault: EIO, and it is told what was
 * missing.
 *
 * Data that was claimed is likely gone, to the disk; and when the spool is at
 * its limit, tables of windows that are mapped are dropped.  The lock is not
 * held while the spool's file is read, so a byte may go while a read of it is
 * under way: whoever reads tables asks the ledger before and after.
 *
 * A compressed cluster is read once.  So its room is given back as soon as it
 * has been read, but for its first and its last sector: others may have parts
 * of these, and how many do is not known before all have been read.
 */

#include "config.h"

#include "base/assert.h"
#include "base/io.h"
#include "import/inbox-state.h"
#include "import/inbox-view.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>

VECTOR_FUNCTIONS(missing, struct missing_table, "missing tables");

/* No qcow2 file is longer than this: offsets in its tables have 56 bits. */
#define LONGEST_FILE (UINT64_C(1) << 56)

/* Many more than QEMU needs to open an image. */
enum { HEADER_READS = 4096 };

/* What is before file_end is needed, and not here. */
static int note_fault(struct inbox_view *v, uint64_t file_end)
{
    LOCK_ASSERT_HELD(&v->inbox->lock);
    v->has_fault = true;
    v->fault_end = file_end;
    return EIO;
}

/* Reads what is here.  Returns an errno value. */
static int read_here(struct inbox *in, void *buf, uint32_t length,
                     uint64_t file_offset)
{
    struct error err;

    if (inbox_read(in, buf, length, file_offset, &err) == 0)
        return 0;
    LOCK_FOR_SCOPE(&in->lock);
    inbox_note_failure(in, &err);
    return EIO;
}

/* May QEMU have these bytes as metadata?  Returns an errno value. */
static int check_table(struct inbox *in, uint64_t file_offset, uint32_t length)
{
    struct error err;

    LOCK_ASSERT_HELD(&in->lock);
    if (ledger_check_table(&in->ledger, file_offset, length, &err) == 0)
        return 0;
    inbox_note_failure(in, &err);
    return EIO;
}

/* May QEMU have these bytes, in a view of inbox_show_arrived? */
static int check_view(struct inbox_view *v, uint64_t file_offset,
                      uint32_t length)
{
    LOCK_ASSERT_HELD(&v->inbox->lock);
    if (!v->is_again ||
        !ledger_is_dropped(&v->inbox->ledger, file_offset, length))
        return check_table(v->inbox, file_offset, length);
    v->has_gaps = true;
    return EIO;
}

/* A table that is not here.  Returns an errno value; 0: it is empty. */
static int note_missing(struct inbox_view *v, uint64_t file_offset,
                        uint32_t length)
{
    const struct missing_table table = {file_offset + length, v->filled};
    struct error err;

    LOCK_ASSERT_HELD(&v->inbox->lock);
    if (v->missing.count > INBOX_MOST_MISSING)
        return EIO; /* it was told that, and goes on */
    if (missing_push(&v->missing, table, &err) == -1) {
        inbox_note_failure(v->inbox, &err);
        return ENOMEM;
    }
    if (length % v->slice != 0 || file_offset % v->slice != 0)
        return note_fault(v, file_offset + length);
    return v->missing.count > INBOX_MOST_MISSING ? EIO : 0;
}

/* Each table is read once, or twice where QEMU's cache is small, and has a
 * sector at least.  Some of the reads are of the header.
 */
static uint64_t most_reads(const struct inbox_view *v)
{
    return v->arrived / IO_SECTOR * 2 + HEADER_READS;
}

/* A table that is here has been read. */
static int note_read(struct inbox_view *v, bool is_empty, uint64_t file_offset,
                     uint32_t length)
{
    struct inbox *in = v->inbox;
    struct error err;
    uint64_t first;

    LOCK_ASSERT_HELD(&in->lock);
    if (v->reads.count + v->empty.count >= most_reads(v)) {
        error_set(&err, 0,
                  "source: file offset %" PRIu64
                  ": QEMU reads tables over and over again",
                  file_offset);
        inbox_note_failure(in, &err);
        return EIO;
    }
    if (!is_empty && length == v->slice &&
        !ranges_has_any(&in->ledger.protected, file_offset, length, &first))
        v->filled++;
    if (ranges_batch_add(is_empty ? &v->empty : &v->reads, file_offset, length,
                         &err) == 0)
        return 0;
    inbox_note_failure(in, &err);
    return ENOMEM;
}

/* Before a table is read: may it be, is it here? */
static int begin_table(struct inbox_view *v, uint64_t file_offset,
                       uint32_t length, bool *is_here)
{
    int r;

    LOCK_FOR_SCOPE(&v->inbox->lock);
    r = check_view(v, file_offset, length);
    *is_here = file_offset + length <= v->arrived;
    if (r != 0 || *is_here)
        return r;
    return note_missing(v, file_offset, length);
}

/* After it was read: may it still be?  Notes the read. */
static int end_table(struct inbox_view *v, const void *buf,
                     uint64_t file_offset, uint32_t length)
{
    bool is_empty = io_is_zero(buf, length);
    int r;

    LOCK_FOR_SCOPE(&v->inbox->lock);
    r = check_view(v, file_offset, length);
    return r != 0 ? r : note_read(v, is_empty, file_offset, length);
}

/* As nbd_export's read. */
static int read_arrived(void *opaque, void *buf, uint32_t length,
                        uint64_t file_offset)
{
    struct inbox_view *v = opaque;
    bool is_here;
    int r = begin_table(v, file_offset, length, &is_here);

    if (r != 0)
        return r;
    if (!is_here) {
        memset(buf, 0, length);
        return 0;
    }
    r = read_here(v->inbox, buf, length, file_offset);
    return r != 0 ? r : end_table(v, buf, file_offset, length);
}

/* Of a compressed cluster QEMU reads whole sectors, and the last one in a
 * file may be cut short; but only if the stream is known to be complete, as
 * QEMU would decode the rest of a truncated one without a word.
 */
static bool is_cut_sector(const struct arrival *a, uint64_t file_offset,
                          uint32_t length)
{
    LOCK_ASSERT_HELD(a->lock);
    return a->is_whole && file_offset < a->arrived &&
           file_offset + length <= IO_ROUND_UP(a->arrived, IO_SECTOR);
}

/* May QEMU have these bytes as compressed data?  They are noted before they
 * are read, so that nobody claims them meanwhile.  Returns an errno value.
 */
static int check_compressed(struct inbox_view *v, uint64_t file_offset,
                            uint32_t length, bool *is_compressed)
{
    struct inbox *in = v->inbox;
    struct error err;

    LOCK_ASSERT_HELD(&in->lock);
    if (ledger_add_compressed(&in->ledger, !v->is_open, file_offset, length,
                              is_compressed, &err) == 0)
        return 0;
    inbox_note_failure(in, &err);
    return EIO;
}

/* Waits for the bytes before file_end, and has them asked for. */
static enum inbox_wait wait_for(struct inbox_view *v, uint64_t file_end)
{
    struct inbox *in = v->inbox;

    LOCK_ASSERT_HELD(&in->lock);
    in->wanted_end = io_max(in->wanted_end, file_end);
    if (in->arrival.arrived < file_end)
        eventfd_write(v->wake_fd, 1);
    return arrival_wait(&in->arrival, file_end, NULL);
}

/* Waits for the bytes, and notes them.  *missing: so many at their end are not
 * in the stream, and read as zeroes.  Returns an errno value.
 */
static int begin_compressed(struct inbox_view *v, uint64_t file_offset,
                            uint32_t length, uint32_t *missing,
                            bool *is_compressed)
{
    struct arrival *a = &v->inbox->arrival;
    uint64_t file_end = file_offset + length;

    LOCK_FOR_SCOPE(&v->inbox->lock);
    *missing = 0;
    if (wait_for(v, file_end) == INBOX_CANCELLED)
        return EIO;
    if (is_cut_sector(a, file_offset, length) && file_end > a->arrived)
        *missing = file_end - a->arrived;
    if (file_end - *missing > a->arrived)
        return note_fault(v, file_end - *missing);
    return check_compressed(v, file_offset, length, is_compressed);
}

/* Gives back what only this compressed cluster has. */
static void give_back_compressed(struct inbox *in, uint64_t file_offset,
                                 uint32_t length)
{
    if (length > IO_SECTOR)
        inbox_punch(in, file_offset, length - IO_SECTOR);
}

/* As nbd_export's read. */
static int read_waiting(void *opaque, void *buf, uint32_t length,
                        uint64_t file_offset)
{
    struct inbox_view *v = opaque;
    uint32_t missing;
    bool is_compressed;
    int r = begin_compressed(v, file_offset, length, &missing, &is_compressed);

    if (r != 0)
        return r;
    memset((char *)buf + length - missing, 0, missing);
    r = read_here(v->inbox, buf, length - missing, file_offset);
    if (r == 0 && is_compressed)
        give_back_compressed(v->inbox, file_offset, length);
    return r;
}

static void show(struct inbox *in, struct inbox_view *v,
                 int (*read)(void *, void *, uint32_t, uint64_t))
{
    *v = (struct inbox_view){
        .inbox = in,
        .export = {.size = LONGEST_FILE, .read = read, .opaque = v},
    };
}

void inbox_show_arrived(struct inbox *in, struct inbox_view *v, uint64_t slice,
                        bool is_again)
{
    ASSERT(slice > 0);
    show(in, v, read_arrived);
    v->is_again = is_again;
    v->arrived = inbox_arrived(in);
    v->slice = slice;
}

void inbox_show_waiting(struct inbox *in, struct inbox_view *v, int wake_fd)
{
    show(in, v, read_waiting);
    v->wake_fd = wake_fd;
}

void inbox_view_opened(struct inbox_view *v)
{
    LOCK_FOR_SCOPE(&v->inbox->lock);
    v->is_open = true;
}

void inbox_hide(struct inbox_view *v)
{
    ranges_batch_clear(&v->reads);
    ranges_batch_clear(&v->empty);
    missing_free(&v->missing);
}

enum inbox_sight inbox_sight(const struct inbox_view *v)
{
    if (v->has_gaps)
        return INBOX_SAW_GAPS;
    if (v->has_fault)
        return INBOX_SAW_NONE;
    if (v->missing.count > INBOX_MOST_MISSING)
        return INBOX_SAW_FEW;
    return v->missing.count > 0 ? INBOX_SAW_PART : INBOX_SAW_ALL;
}

bool inbox_take_fault(struct inbox_view *v, uint64_t *file_end)
{
    bool has_fault;

    LOCK_FOR_SCOPE(&v->inbox->lock);
    has_fault = v->has_fault;
    *file_end = v->fault_end;
    v->has_fault = false;
    return has_fault;
}

int inbox_settle_reads(struct inbox_view *v, bool may_drop, struct error *err)
{
    struct ledger *ledger = &v->inbox->ledger;

    LOCK_FOR_SCOPE(&v->inbox->lock);
    if (ledger_add_tables(ledger, &v->reads, may_drop, err) == -1)
        return -1;
    return ledger_add_tables(ledger, &v->empty, false, err);
}
