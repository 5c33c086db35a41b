/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qcow-tool validate: is a stream what it shall be? */

/* Notes on the design
 *
 *     layout convert:   source --> qemu-img convert --> spool
 *                       source --> stream --> pipe --> compared with that
 *
 *     other layouts:    source --> stream --> spool --> examined, and compared
 *                                                       with the source
 *
 * In both it is `stream` itself that sends, and QEMU reads the source by
 * itself.  So the spool has room for one image, and none is read twice.
 *
 * A stream that has been received is examined where it is, if that is a file;
 * else it goes into the spool first.
 */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/signals.h"
#include "export/comparison.h"
#include "export/examine.h"
#include "export/reference.h"
#include "export/stream.h"
#include "export/validate.h"
#include "nbd/anatomy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void cleanup_store(struct store **store)
{
    store_free(*store);
}

static int find_length(int fd, const char *end, uint64_t *length,
                       struct error *err)
{
    struct stat st;

    if (fstat(fd, &st) == -1)
        return error_set(err, errno, "%s", end);
    *length = st.st_size;
    return 0;
}

static int send_to(const struct validate_options *o, int fd, struct error *err)
{
    const struct stream_options options = {
        .export = o->export,
        .destination = {.fd = fd},
        .progress = o->progress,
    };

    return stream(&options, err);
}

/* ------------------------------------------------- byte for byte the same */

/* Does qemu-img convert leave out what the stream has? */
static bool may_have_zeroes(const struct export_options *o)
{
    return o->source.kind != EXPORT_RAW && !o->is_detecting_zeroes;
}

/* The stream differs from the image in reference_fd. */
static int name_difference(const struct validate_options *o, int reference_fd,
                           uint64_t file_offset, struct findings *findings,
                           struct error *err)
{
    struct anatomy CLEANUP(anatomy) a = {0};
    struct finding *finding;
    char name[ANATOMY_NAME];

    if (anatomy_find(&o->export.qemu, reference_fd, findings->image_length, &a,
                     err) == -1)
        return error_wrap(err, "QEMU: what qemu-img convert wrote");
    anatomy_name(&a, file_offset, name);
    finding = findings_add(
        findings, FINDING_CHECK, "qemu-img convert", false,
        "the stream differs at file offset %" PRIu64 " (%s)%s", file_offset,
        name,
        may_have_zeroes(&o->export)
            ? "; qemu-img convert leaves out zeroes: so does --detect-zeroes"
            : "");
    finding->file_offset = file_offset;
    memcpy(finding->place, name, sizeof name);
    return 0;
}

/* Streams, and compares that with the image in reference_fd. */
static int compare_stream(const struct validate_options *o, int reference_fd,
                          bool *is_same, uint64_t *file_offset,
                          struct error *err)
{
    struct comparison *comparison;
    struct error failure;
    int write_fd, sent, compared;

    if (comparison_start(reference_fd, &comparison, &write_fd, err) == -1)
        return -1;
    sent = send_to(o, write_fd, err);
    close(write_fd);
    compared = comparison_finish(comparison, is_same, file_offset, &failure);
    /* It is what makes the writer fail, too. */
    if (compared == -1 && signals_caught() == 0) {
        *err = failure;
        return error_wrap(err, "spool");
    }
    return sent;
}

/* What QEMU says of the image that it wrote. */
static int read_size(int fd, uint64_t *disk_size, struct error *err)
{
    struct header_image CLEANUP(header_image) image = {0};

    if (header_read(fd, &image, err) == -1)
        return error_wrap(err, "QEMU: what qemu-img convert wrote");
    *disk_size = image.virtual_size;
    return 0;
}

static int validate_convert(const struct validate_options *o,
                            struct findings *findings, struct error *err)
{
    struct qcow2_options qcow2 = o->export.qcow2;
    struct store *CLEANUP(store) store = NULL;
    struct reference CLEANUP(reference) reference = {.fd = -1};
    uint64_t file_offset;
    bool is_same;
    int fd;

    if (qcow2.refcount_bits == QCOW2_REFCOUNT_AUTO)
        qcow2.refcount_bits = 16; /* as laying_out does for this layout */
    if (reference_open(&o->export.qemu, &o->export.source, true, &reference,
                       err) == -1 ||
        store_new(o->export.spool_dir, &store, err) == -1)
        return -1;
    fd = store_fd(store);
    report_phase(o->export.report, PHASE_CONVERTING);
    if (qemu_img_convert(&o->export.qemu, &reference.disk, &qcow2, fd, err) ==
        -1)
        return store_explain_full(store, store_spooled(store), err);
    if (find_length(fd, "spool", &findings->image_length, err) == -1 ||
        read_size(fd, &findings->disk_size, err) == -1 ||
        compare_stream(o, fd, &is_same, &file_offset, err) == -1 ||
        store_settle(store, err) == -1)
        return -1;
    if (!is_same)
        return name_difference(o, fd, file_offset, findings, err);
    findings_add(findings, FINDING_CHECK, "qemu-img convert", true,
                 "byte for byte the same");
    return 0;
}

/* ------------------------------------------------------ another layout */

/* Adds which piece of the image it is whose contents differ. */
static int name_contents(const struct validate_options *o, int fd,
                         uint64_t disk_offset, struct finding *finding,
                         struct error *err)
{
    struct anatomy CLEANUP(anatomy) a = {0};
    uint64_t length = 0;

    if (find_length(fd, "spool", &length, err) == -1 ||
        anatomy_find(&o->export.qemu, fd, length, &a, err) == -1)
        return -1;
    if (anatomy_find_data(&a, disk_offset, &finding->file_offset))
        anatomy_name(&a, finding->file_offset, finding->place);
    else
        finding->file_offset = UINT64_MAX; /* it is zero in the image */
    return 0;
}

static int compare_contents(const struct validate_options *o, int fd,
                            struct findings *findings, struct error *err)
{
    static const char name[] = "qemu-img compare";
    struct reference CLEANUP(reference) reference = {.fd = -1};
    struct error failure;
    struct finding *finding;
    uint64_t disk_offset;

    if (reference_open(&o->export.qemu, &o->export.source, false, &reference,
                       err) == -1)
        return -1;
    if (qemu_img_compare(&o->export.qemu, &reference.disk, fd, &disk_offset,
                         &failure) == 0) {
        findings_add(findings, FINDING_CHECK, name, true,
                     "the source has the same contents");
        return 0;
    }
    if (signals_caught() != 0)
        return error_set(err, EINTR, "QEMU: qemu-img compare");
    finding = findings_add(findings, FINDING_CHECK, name, false,
                           "with the source: %s", failure.msg);
    return disk_offset == UINT64_MAX
               ? 0
               : name_contents(o, fd, disk_offset, finding, err);
}

static int validate_source(const struct validate_options *o,
                           struct findings *findings, struct error *err)
{
    struct store *CLEANUP(store) store = NULL;
    uint64_t length = 0;
    int fd;

    if (store_new(o->export.spool_dir, &store, err) == -1)
        return -1;
    fd = store_fd(store);
    if (send_to(o, fd, err) == -1)
        return store_explain_full(store, store_spooled(store), err);
    report_phase(o->export.report, PHASE_EXAMINING);
    if (compare_contents(o, fd, findings, err) == -1 ||
        find_length(fd, "spool", &length, err) == -1)
        return -1;
    if (examine(&o->export.qemu, fd, length,
                o->export.layout == LAYOUT_STREAMABLE, findings, err) == -1)
        return -1;
    return store_settle(store, err);
}

/* -------------------------------------------------- one that was received */

static int spool_stream(int fd, struct store *store, uint64_t *length,
                        struct error *err)
{
    char *CLEANUP(free_ptr) buf = malloc(IO_PIECE);
    ssize_t n;

    *length = 0;
    if (buf == NULL)
        return error_set(err, errno, "stream");
    while ((n = io_read(fd, buf, IO_PIECE)) > 0) {
        if (io_pwrite_full(store_fd(store), buf, n, *length) == -1) {
            error_set(err, errno, "spool: cannot write at file offset %ju",
                      (uintmax_t)*length);
            return store_explain_full(store, *length + n, err);
        }
        *length += n;
    }
    return n == 0 ? 0
                  : error_set(err, errno,
                              "stream: cannot read at file offset %ju",
                              (uintmax_t)*length);
}

/* A file that begins where it is read from can be examined as it is. */
static bool is_in_place(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           lseek(fd, 0, SEEK_CUR) == 0;
}

static int validate_stream(const struct validate_options *o,
                           struct findings *findings, struct error *err)
{
    struct store *CLEANUP(store) store = NULL;
    int CLEANUP(close_fd) opened = -1;
    int fd = STDIN_FILENO;
    uint64_t length = 0;

    if (qemu_check_proc(err) == -1 ||
        qemu_img_check(&o->export.qemu, err) == -1)
        return -1;
    if (o->stream_path != NULL) {
        fd = opened = open(o->stream_path, O_RDONLY | O_CLOEXEC);
        if (fd == -1)
            return error_set(err, errno, "stream: cannot open %s",
                             o->stream_path);
    }
    if (is_in_place(fd)) {
        if (find_length(fd, "stream", &length, err) == -1)
            return -1;
    } else {
        report_phase(o->export.report, PHASE_RECEIVING);
        if (store_new(o->export.spool_dir, &store, err) == -1 ||
            spool_stream(fd, store, &length, err) == -1)
            return -1;
        fd = store_fd(store);
    }
    report_phase(o->export.report, PHASE_EXAMINING);
    if (examine(&o->export.qemu, fd, length, false, findings, err) == -1)
        return -1;
    return store == NULL ? 0 : store_settle(store, err);
}

/* In the order of enum layout. */
static const char *const layout_names[] = {"streamable", "convert", "any"};

int validate(const struct validate_options *o, struct error *err)
{
    struct findings findings = {.subject = o->is_stream ? "stream" : "source"};
    int r;

    if (!o->is_stream)
        findings.layout = layout_names[o->export.layout];
    if (o->is_stream)
        r = validate_stream(o, &findings, err);
    else if (o->export.layout == LAYOUT_CONVERT)
        r = validate_convert(o, &findings, err);
    else
        r = validate_source(o, &findings, err);
    if (r == -1 || findings_print(&findings, o->is_json, err) == -1)
        return -1;
    return findings_judge(&findings, err);
}
