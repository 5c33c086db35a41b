/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Which files another process has open: /proc/PID/fd, proc(5). */

#include "config.h"

#include "base/open-files.h"
#include "base/vector.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

VECTOR_TYPE(files, struct io_file_id);
VECTOR_FUNCTIONS(files, struct io_file_id, "open files");

bool open_files_has(pid_t pid, int fd)
{
    char path[300], ours[40];
    struct dirent *entry;
    bool has_it = false;
    DIR *dir;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    snprintf(ours, sizeof ours, "/proc/self/fd/%d", fd);
    dir = opendir(path);
    while (dir != NULL && !has_it && (entry = readdir(dir)) != NULL) {
        snprintf(path, sizeof path, "/proc/%d/fd/%s", (int)pid, entry->d_name);
        has_it = entry->d_name[0] != '.' && io_is_same_file(path, ours);
    }
    if (dir != NULL)
        closedir(dir);
    return has_it;
}

int open_files_list(pid_t pid, const char *name, struct io_file_id **list,
                    size_t *count, struct error *err)
{
    struct files files = {0};
    char path[300];
    struct dirent *entry;
    DIR *dir;
    int r = 0;

    *list = NULL;
    *count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    if (dir == NULL)
        return error_set(err, errno, "cannot see what %s has open: %s", name,
                         path);
    while (r == 0 && (entry = readdir(dir)) != NULL) {
        struct io_file_id id;

        snprintf(path, sizeof path, "/proc/%d/fd/%s", (int)pid, entry->d_name);
        if (io_identify_path(path, &id) == 0)
            r = files_push(&files, id, err);
        else if (errno != ENOENT) /* it has closed that one */
            r = error_set(err, errno, "cannot see what %s has open: %s", name,
                          path);
    }
    closedir(dir);
    *list = files.list;
    *count = files.count;
    return r;
}
