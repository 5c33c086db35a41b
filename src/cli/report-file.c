/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Where --report goes, and what it looks like there. */

/* Notes on the design
 *
 * It is one JSON object, with the same members in the same order for all
 * commands; null is what is not known.  Members may be added, and then FORMAT
 * stays.  It counts up if one changes or goes.  qcow-tool(1) documents them.
 */

#include "config.h"

#include "base/io.h"
#include "base/json-text.h"
#include "cli/report-file.h"
#include "nbd/client.h"
#include "qemu/qemu-img.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FORMAT = 1 };

/* ------------------------------------------------------------------ JSON */

static void put_text(FILE *f, const char *name, const char *text)
{
    fprintf(f, ",\n    \"%s\": ", name);
    if (text == NULL || text[0] == '\0')
        fputs("null", f);
    else
        json_put_string(f, text);
}

static void put_number(FILE *f, const char *name, uint64_t number)
{
    if (number == UINT64_MAX)
        put_text(f, name, NULL);
    else
        fprintf(f, ",\n    \"%s\": %" PRIu64, name, number);
}

/* ----------------------------------------------------------- what is told */

/* A message names the end first. */
static const char *find_end(const struct error *failure)
{
    static const char *const ends[] = {"source", "base", "destination",
                                       "spool", "QEMU"};

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (error_is_of(failure, ends[i]))
            return ends[i];
    return NULL;
}

/* The offset behind these words.  It names one of a kind at the most, or the
 * first is what it is about.
 */
static void put_offset(FILE *f, const char *msg, const char *words)
{
    const char *at = strstr(msg, words);

    if (at == NULL || at[strlen(words)] < '0' || at[strlen(words)] > '9')
        fputs("null", f);
    else
        fprintf(f, "%" PRIu64,
                (uint64_t)strtoull(at + strlen(words), NULL, 10));
}

static void put_failure(FILE *f, const struct error *failure)
{
    const char *end;

    if (failure == NULL) {
        put_text(f, "error", NULL);
        return;
    }
    end = find_end(failure);
    fputs(",\n    \"error\": {\n        \"message\": ", f);
    json_put_string(f, failure->msg);
    fputs(",\n        \"end\": ", f);
    if (end == NULL)
        fputs("null", f);
    else
        json_put_string(f, end);
    fputs(",\n        \"file-offset\": ", f);
    put_offset(f, failure->msg, "file offset ");
    fputs(",\n        \"disk-offset\": ", f);
    put_offset(f, failure->msg, "disk offset ");
    fputs("\n    }", f);
}

static void put_phases(FILE *f, const struct report *r)
{
    fputs(",\n    \"phases\": {", f);
    for (int i = 0; i < r->n_phases; i++)
        fprintf(f, "%s\"%s\": %.3f", i == 0 ? "" : ", ",
                phase_specs[r->phases[i].phase].name, r->phases[i].seconds);
    fputc('}', f);
}

static void put_versions(FILE *f, const struct qemu *qemu)
{
    char libnbd[LIBNBD_VERSION_SPACE], img[QEMU_VERSION] = "";
    struct error ignored;

    nbd_client_version(libnbd);
    if (qemu_read_version(qemu->img, "qemu-img", img, &ignored) == -1)
        img[0] = '\0';
    put_text(f, "version", PACKAGE_VERSION);
    put_text(f, "qemu-version", img);
    put_text(f, "libnbd-version", libnbd);
}

static void put_report(FILE *f, const struct report *r)
{
    double seconds = report_seconds(r);

    put_number(f, "disk-size", r->disk_size);
    put_number(f, "image-length", r->image_length);
    put_number(f, "data", r->data);
    put_number(f, "metadata", r->metadata);
    put_number(f, "ranges", r->ranges);
    put_text(f, "id", r->id);
    fprintf(f, ",\n    \"stable\": %s",
            !r->has_stable ? "null"
            : r->is_stable ? "true"
                           : "false");
    put_number(f, "offset", r->offset);
    put_number(f, "bytes", r->moved);
    put_text(f, "sha256", r->sha256);
    put_number(f, "direct", r->direct);
    put_number(f, "by-spool", r->by_spool);
    put_number(f, "decoded", r->decoded);
    put_number(f, "spool-peak", r->spool_peak);
    fprintf(f, ",\n    \"seconds\": %.3f", seconds);
    put_number(f, "rate",
               r->moved == UINT64_MAX || seconds <= 0
                   ? UINT64_MAX
                   : (uint64_t)(r->moved / seconds));
    put_phases(f, r);
}

/* --------------------------------------------------------------- the file */

/* Reports are overwritten, and no disk that somebody took for one.  Asked
 * twice: the image may have gone there meanwhile.
 */
static int check_old(const struct report_file *file, struct error *err)
{
    static const char beginning[] = "{\n    \"report\": ";
    char found[sizeof beginning - 1];
    struct stat st;
    ssize_t n;

    if (fstat(file->fd, &st) == -1)
        return error_set(err, errno, "report: %s", file->path);
    if (S_ISBLK(st.st_mode))
        return error_set(err, 0, "report: %s is a block device", file->path);
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return 0;
    n = io_pread_full(file->fd, found, sizeof found, 0);
    if (n == sizeof found && memcmp(found, beginning, n) == 0)
        return 0;
    return error_set(err, 0, "report: %s is there, and is no report",
                     file->path);
}

int report_file_open(struct report_file *file, struct error *err)
{
    if (file->path == NULL)
        return 0;
    /* To read, too: a file is looked at first, and to open a FIFO that nobody
     * reads does not wait.  What is written to that is lost, then.
     */
    file->fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (file->fd == -1)
        return error_set(err, errno, "report: cannot open %s", file->path);
    return check_old(file, err);
}

/* Even after the signal that ended the command, which io.h heeds. */
static int write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, text, length);

        if (n == -1 && errno != EINTR)
            return -1;
        if (n > 0) {
            text += n;
            length -= n;
        }
    }
    return 0;
}

int report_file_write(struct report_file *file, struct report *report,
                      const char *command, const struct qemu *qemu,
                      const struct error *failure, struct error *err)
{
    struct stat st;
    char *text = NULL;
    size_t length;
    FILE *f = open_memstream(&text, &length);
    bool is_written;

    if (f == NULL)
        return error_set(err, errno, "report");
    if (file->path != NULL && check_old(file, err) == -1) {
        fclose(f);
        free(text);
        return -1;
    }
    report_phase(report, PHASE_NONE);
    fprintf(f, "{\n    \"report\": %d", FORMAT);
    put_text(f, "command", command);
    put_text(f, "status", failure == NULL ? "done" : "failed");
    put_failure(f, failure);
    put_report(f, report);
    put_versions(f, qemu);
    fputs("\n}\n", f);
    is_written = fclose(f) == 0;
    if (is_written && file->path != NULL && fstat(file->fd, &st) == 0 &&
        S_ISREG(st.st_mode))
        is_written = ftruncate(file->fd, 0) == 0;
    is_written = is_written && write_all(file->fd, text, length) == 0;
    free(text);
    if (file->path != NULL && close(file->fd) == -1)
        is_written = false;
    return is_written ? 0 : error_set(err, errno, "report: cannot write it");
}
