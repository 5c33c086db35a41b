/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qcow-tool measure: how long the stream is going to be. */

#include "config.h"

#include "base/cleanup.h"
#include "base/tidy-fds.h"
#include "export/measure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

int measure(const struct measure_options *options, struct error *err)
{
    struct export_disk CLEANUP(export) disk = {0};
    struct progress CLEANUP(progress) progress = {0};
    uint64_t length, data;
    char id[IDENTITY_SPACE];

    if (progress_open(&progress, options->progress, STDOUT_FILENO,
                      options->export.report, err) == -1 ||
        export_open(&options->export, -1, &progress, &disk, err) == -1 ||
        export_identity(&disk, id, err) == -1)
        return -1;
    length = disk.skeleton.file_length;
    data = filemap_total(&disk.skeleton.map);
    progress_hide(&progress); /* both may be on one terminal */
    printf("{\n"
           "    \"length\": %" PRIu64 ",\n"
           "    \"data\": %" PRIu64 ",\n"
           "    \"metadata\": %" PRIu64 ",\n"
           "    \"virtual-size\": %" PRIu64 ",\n"
           "    \"id\": \"%s\",\n"
           "    \"stable\": %s\n"
           "}\n",
           length, data, length - data, disk.source->disk_size, id,
           disk.is_stable ? "true" : "false");
    if (fflush(stdout) == EOF)
        return tidy_fds_stdout_failed(err);
    if (options->export.report != NULL)
        export_report(&disk, options->export.report);
    progress_succeed(&progress);
    importer_report(&disk.verdict);
    return 0;
}
