/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A chain of images, as QEMU finds it by its names. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "export/chain-names.h"
#include "export/source-file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Can all of a link be read without the page cache? */
static bool can_be_direct(const struct chain_link *link)
{
    return !link->is_file ||
           (source_file_can_direct(link->path) &&
            (link->data_fd == -1 || source_file_can_direct(link->data_path)));
}

bool chain_is_fd_name(const char *path)
{
    return strncmp(path, "/dev/fd/", 8) == 0 ||
           strncmp(path, "/proc/self/fd/", 14) == 0 ||
           strcmp(path, "/dev/stdin") == 0;
}

int chain_name(const struct chain *chain, size_t first, bool is_direct,
               char **options, int *inherit, struct error *err)
{
    const char *name = chain->links[first].path;
    size_t count = chain->count - first;
    struct qemu_link *CLEANUP(free_ptr) links = calloc(count, sizeof *links);
    char fd_name[40];

    if (links == NULL)
        return error_set(err, errno, "%s: no memory", chain->role);
    for (size_t i = 0; i < count; i++) {
        const struct chain_link *link = &chain->links[first + i];

        links[i] = (struct qemu_link){
            .format = link->format,
            .has_footer_size = link->has_footer_size,
            .is_direct = is_direct && can_be_direct(link),
        };
        if (is_direct && !links[i].is_direct)
            log_summary("%s: %s is read through the page cache: its file "
                        "system has no O_DIRECT",
                        chain->role, link->path);
    }
    *inherit = -1;
    if (chain_is_fd_name(name)) {
        *inherit = chain->links[first].fd;
        snprintf(fd_name, sizeof fd_name, "/proc/self/fd/%d", *inherit);
        name = fd_name;
    }
    *options = qemu_chain_options(name, links, count);
    return *options == NULL ? error_set(err, ENOMEM, "%s: name", chain->role)
                            : 0;
}

int chain_files(const struct chain *chain, size_t first,
                struct qemu_files *files, struct error *err)
{
    size_t count = chain->count - first;

    *files = (struct qemu_files){
        .names = calloc(count, 2 * sizeof *files->names),
        .n_images = count,
    };
    if (files->names == NULL)
        return error_set(err, errno, "%s: no memory", chain->role);
    for (size_t i = first; i < chain->count; i++) {
        const struct chain_link *link = &chain->links[i];

        if (link->is_file)
            files->names[files->count++] = link->path;
        if (link->data_fd != -1)
            files->names[files->count++] = link->data_path;
        if (!link->is_file || (!link->is_whole && link->data_path != NULL))
            files->is_remote = true;
        else if (!link->is_whole)
            files->is_open_ended = true;
    }
    return 0;
}

int chain_check_names(const struct chain *chain, struct error *err)
{
    for (size_t i = 0; i < chain->count; i++) {
        const struct chain_link *link = &chain->links[i];
        struct io_file_id id;

        if (link->is_file && (io_identify_path(link->path, &id) == -1 ||
                              !io_is_same_id(&id, &link->id)))
            return chain_replaced(chain, link->path, err);
        if (link->data_fd != -1 &&
            (io_identify_path(link->data_path, &id) == -1 ||
             !io_is_same_id(&id, &link->data_id)))
            return chain_replaced(chain, link->data_path, err);
    }
    return 0;
}

static bool is_listed(const struct io_file_id *id,
                      const struct io_file_id *list, size_t count)
{
    size_t i = 0;

    while (i < count && !io_is_same_id(id, &list[i]))
        i++;
    return i < count;
}

int chain_check_files(const struct chain *chain, const struct child *child,
                      struct error *err)
{
    struct io_file_id *CLEANUP(free_ptr) list = NULL;
    size_t count;

    if (child_list_files(child, &list, &count, err) == -1)
        return -1;
    for (size_t i = 0; i < chain->count; i++) {
        const struct chain_link *link = &chain->links[i];

        if (link->is_file && !is_listed(&link->id, list, count))
            return chain_replaced(chain, link->path, err);
        if (link->data_fd != -1 && !is_listed(&link->data_id, list, count))
            return chain_replaced(chain, link->data_path, err);
    }
    return 0;
}
