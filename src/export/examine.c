/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Examines a whole qcow2 image: is it sound, and who can read it forwards? */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/signals.h"
#include "export/decoding.h"
#include "export/examine.h"
#include "export/importer.h"
#include "nbd/anatomy.h"
#include "qemu/qemu-img.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What breaks the order; text is empty if nothing does. */
struct disorder {
    uint64_t file_offset; /* UINT64_MAX: it is everywhere */
    char text[160];
};

static void check_soundness(const struct qemu *qemu, int fd,
                            struct findings *findings)
{
    struct error failure;

    if (qemu_img_find_errors(qemu, fd, &failure) == 0)
        findings_add(findings, FINDING_CHECK, "qemu-img check", true,
                     "no errors and no leaks");
    else
        findings_add(findings, FINDING_CHECK, "qemu-img check", false, "%s",
                     failure.msg);
}

/* All of it, as no table tells where a compressed cluster ends.  What lies
 * behind the end is noted in *a.
 */
static int check_compressed(const struct qemu *qemu, int fd, struct anatomy *a,
                            struct findings *findings, struct error *err)
{
    struct decoding result;

    if (a->compressed.count == 0)
        return 0;
    if (decoding_try(qemu, fd, a, &result, err) == -1)
        return -1;
    a->needed_end = io_max(a->needed_end, result.needed_end);
    if (result.is_bad)
        findings_add(findings, FINDING_CHECK, "compressed data", false,
                     "at disk offset %" PRIu64 " it cannot be decoded",
                     result.disk_offset);
    return 0;
}

static void check_end(const struct anatomy *a, struct findings *findings)
{
    struct finding *finding;

    if (a->needed_end <= a->file_length) {
        findings_add(findings, FINDING_CHECK, "complete", true,
                     "all that its tables speak of is there");
        return;
    }
    finding = findings_add(findings, FINDING_CHECK, "complete", false,
                           "it ends at file offset %" PRIu64
                           ", but tables or data go on to %" PRIu64,
                           a->file_length, a->needed_end);
    finding->file_offset = a->file_length;
    strcpy(finding->place, "the end");
}

/* The first cluster of data that does not follow right behind the one before.
 */
static bool find_gap(const struct anatomy *a, struct disorder *d)
{
    uint64_t cluster = anatomy_cluster(a), end = 0;

    for (size_t i = 0; i < a->map.count; i++) {
        const struct filemap_entry *e = &a->map.list[i];

        if (i > 0 && IO_ROUND_DOWN(e->file_offset, cluster) > end) {
            d->file_offset = end;
            return true;
        }
        end = IO_ROUND_UP(e->file_offset + e->length, cluster);
    }
    d->file_offset = end;
    return a->map.count > 0 && a->file_length > end;
}

/* The rules of who only goes forwards; returns what breaks the first. */
static const char *find_rule(const struct anatomy *a, struct disorder *d)
{
    d->file_offset = UINT64_MAX;
    if (a->compressed.count > 0)
        return "it has compressed clusters";
    d->file_offset = a->odd_table;
    if (!a->has_l1_first)
        return "it stands before the L1 table";
    if (!a->has_l2_in_order)
        return "it stands before one of an earlier part of the disk";
    if (a->map.count > 0) {
        d->file_offset = a->map.list[0].file_offset;
        if (d->file_offset < anatomy_tables_end(a))
            return "there are tables behind it";
    }
    d->file_offset = a->odd_data;
    if (!a->has_data_in_order)
        return "it stands behind data of a later part of the disk";
    if (find_gap(a, d))
        return "the next data should stand here, or the end";
    return NULL;
}

static void find_disorder(const struct anatomy *a, struct disorder *d)
{
    char name[ANATOMY_NAME];
    const char *rule = find_rule(a, d);

    d->text[0] = '\0';
    if (rule == NULL)
        return;
    if (d->file_offset == UINT64_MAX) {
        snprintf(d->text, sizeof d->text, "%s", rule);
        return;
    }
    anatomy_name(a, d->file_offset, name);
    snprintf(d->text, sizeof d->text, "at file offset %" PRIu64 " (%s): %s",
             d->file_offset, name, rule);
}

static void check_order(const struct anatomy *a, const struct disorder *d,
                        struct findings *findings)
{
    struct finding *finding;

    if (d->text[0] == '\0') {
        findings_add(findings, FINDING_CHECK, "order", true,
                     "L1, L2 tables, then the data as on the disk, no gap");
        return;
    }
    finding =
        findings_add(findings, FINDING_CHECK, "order", false, "%s", d->text);
    if (d->file_offset == UINT64_MAX)
        return;
    finding->file_offset = d->file_offset;
    anatomy_name(a, d->file_offset, finding->place);
}

/* importer.h says what it wants of an image. */
static int judge(const struct anatomy *a, int fd,
                 struct importer_verdict *verdict, struct error *err)
{
    const struct layout_plan plan = {
        .options = {.cluster_size = anatomy_cluster(a),
                    .is_extended_l2 = (a->header.incompatible_features &
                                       HEADER_EXTENDED_L2) != 0},
        .disk_size = IO_ROUND_UP(a->header.virtual_size, IO_SECTOR),
        .zeroes = &a->zeroes,
    };
    const struct skeleton skeleton = {
        .map = a->map,
        .file_length = a->file_length,
    };

    return importer_judge(&plan, &skeleton, fd, verdict, err);
}

static int add_xapi(const struct anatomy *a, int fd, const struct disorder *d,
                    struct findings *findings, struct error *err)
{
    static const char name[] = "xapi's importer";
    uint64_t first =
        a->map.count == 0 ? UINT64_MAX : a->map.list[0].file_offset;
    struct importer_verdict verdict;

    if (d->text[0] != '\0') {
        findings_add(findings, FINDING_READER, name, false, "%s", d->text);
        return 0;
    }
    if (a->header.incompatible_features != 0) {
        findings_add(findings, FINDING_READER, name, false,
                     "it knows no incompatible features");
        return 0;
    }
    if (first != UINT64_MAX && first != anatomy_tables_end(a)) {
        findings_add(findings, FINDING_READER, name, false,
                     "at file offset %" PRIu64
                     ": the data does not follow right behind the L2 tables",
                     anatomy_tables_end(a));
        return 0;
    }
    if (judge(a, fd, &verdict, err) == -1)
        return -1;
    if (verdict.is_taken)
        findings_add(findings, FINDING_READER, name, true,
                     "ordered, and no cluster above its bound");
    else
        findings_add(findings, FINDING_READER, name, false,
                     "cluster %" PRIu64 " is above its bound, %" PRId64,
                     verdict.file_cluster, verdict.bound);
    return 0;
}

/* Its rules: QcowStream of @xen-orchestra/qcow2, 2025 and 2026. */
static void add_xen_orchestra(const struct anatomy *a,
                              const struct disorder *d,
                              struct findings *findings)
{
    static const char name[] = "Xen Orchestra";
    uint64_t cluster = anatomy_cluster(a), disk = a->header.virtual_size;
    uint64_t per_table = cluster / 8 * cluster;

    if (d->text[0] != '\0')
        findings_add(findings, FINDING_READER, name, false, "%s", d->text);
    else if (a->header.incompatible_features != 0)
        findings_add(findings, FINDING_READER, name, false,
                     "it knows no incompatible features");
    else if (a->header.l1_entries > (disk + per_table - 1) / per_table)
        findings_add(findings, FINDING_READER, name, false,
                     "its L1 table goes on behind the disk");
    else
        findings_add(findings, FINDING_READER, name, true,
                     "each piece stands behind the one read before");
}

int examine(const struct qemu *qemu, int fd, uint64_t file_length,
            bool must_be_ordered, struct findings *findings, struct error *err)
{
    struct anatomy CLEANUP(anatomy) a = {0};
    struct disorder d;
    struct error problem;
    bool is_sound;

    if (anatomy_find(qemu, fd, file_length, &a, err) == -1)
        return error_wrap(err, "%s", findings->subject);
    findings->image_length = file_length;
    findings->disk_size = IO_ROUND_UP(a.header.virtual_size, IO_SECTOR);
    check_soundness(qemu, fd, findings);
    if (signals_caught() != 0)
        return error_set(err, EINTR, "QEMU: qemu-img check");
    if (findings_judge(findings, &problem) == 0 &&
        check_compressed(qemu, fd, &a, findings, err) == -1)
        return error_wrap(err, "%s", findings->subject);
    check_end(&a, findings);
    is_sound = findings_judge(findings, &problem) == 0;
    find_disorder(&a, &d);
    if (must_be_ordered)
        check_order(&a, &d, findings);
    if (!is_sound) /* nobody can read it */
        return 0;
    findings_add(findings, FINDING_READER, "qcow-tool serve", true,
                 "any layout");
    if (add_xapi(&a, fd, &d, findings, err) == -1)
        return -1;
    add_xen_orchestra(&a, &d, findings);
    return 0;
}
