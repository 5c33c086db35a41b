/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Takes apart the names of sources that have several parts. */

#include "config.h"

#include "base/cleanup.h"
#include "cli/hybrid.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The colon that ends the first part of names, or NULL. */
static const char *find_end(const char *names)
{
    const char *first = strchr(names, ':');

    for (const char *colon = first; colon != NULL;
         colon = strchr(colon + 1, ':')) {
        char *CLEANUP(free_ptr) name = strndup(names, colon - names);

        if (name != NULL && name[0] != '\0' && access(name, F_OK) == 0)
            return colon;
    }
    return first;
}

int hybrid_split(const char *hybrid, struct export_source *source,
                 struct error *err)
{
    const char *colon = find_end(hybrid);

    if (colon == NULL || colon == hybrid || colon[1] == '\0')
        return error_set(err, 0,
                         "--source: '%s' is not DEVICE:IMAGE, as hybrid wants "
                         "it",
                         hybrid);
    source->kind = EXPORT_HYBRID;
    source->device = strndup(hybrid, colon - hybrid);
    source->image_path = strdup(colon + 1);
    if (source->device == NULL || source->image_path == NULL)
        return error_set(err, errno, "source: name");
    return 0;
}

int hybrid_split_nbd(const char *hybrid, struct export_source *source,
                     struct error *err)
{
    const char *digits = strrchr(hybrid, ':');
    char *CLEANUP(free_ptr) names = NULL, *end = NULL;
    const char *socket_path = NULL, *export_name = NULL;

    if (digits != NULL && digits[1] >= '0' && digits[1] <= '9') {
        errno = 0;
        source->size = strtoull(digits + 1, &end, 10);
        names = strndup(hybrid, digits - hybrid);
    }
    if (names != NULL && *end == '\0' && errno == 0)
        socket_path = find_end(names);
    if (socket_path != NULL)
        export_name = find_end(socket_path + 1);
    if (export_name == NULL || socket_path == names ||
        export_name == socket_path + 1 || source->size > INT64_MAX)
        return error_set(err, 0,
                         "source: '%s' is not DEVICE:NBD-SOCKET:EXPORT:SIZE",
                         hybrid);
    source->kind = EXPORT_NBD_HYBRID;
    source->device = strndup(names, socket_path - names);
    source->socket_path =
        strndup(socket_path + 1, export_name - socket_path - 1);
    source->export_name = strdup(export_name + 1);
    if (source->device == NULL || source->socket_path == NULL ||
        source->export_name == NULL)
        return error_set(err, errno, "source: name");
    return 0;
}
