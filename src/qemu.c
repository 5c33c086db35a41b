/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all callers of QEMU's programs share. */

#include "config.h"

#include "qemu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *find(const char *given, const char *variable,
                        const char *configured)
{
    const char *value;

    if (given != NULL)
        return given;
    value = getenv(variable);
    return value != NULL && value[0] != '\0' ? value : configured;
}

void qemu_find(struct qemu *qemu)
{
    /* QEMU has a buffer of a megabyte or two for each request.  glibc would
     * map and unmap it every time, and page faults would cost more than all
     * the rest (mallopt(3)).
     */
    setenv("MALLOC_MMAP_THRESHOLD_", "16777216", 0);
    setenv("MALLOC_TRIM_THRESHOLD_", "67108864", 0);

    qemu->img = find(qemu->img, "QCOW_TOOL_QEMU_IMG", QEMU_IMG_PATH);
    qemu->io = find(qemu->io, "QCOW_TOOL_QEMU_IO", QEMU_IO_PATH);
    qemu->nbd = find(qemu->nbd, "QCOW_TOOL_QEMU_NBD", QEMU_NBD_PATH);
}

int qemu_check_proc(struct error *err)
{
    if (access("/proc/self/fd", F_OK) == 0)
        return 0;
    return error_set(err, errno,
                     "/proc is not mounted, through which QEMU opens what we "
                     "hand it: /proc/self/fd");
}

uint64_t qcow2_granule(const struct qcow2_options *options)
{
    return options->is_extended_l2 ? options->cluster_size / 32
                                   : options->cluster_size;
}

uint64_t qcow2_window(const struct qcow2_options *options)
{
    uint64_t entry_size = options->is_extended_l2 ? 16 : 8;

    return options->cluster_size / entry_size * options->cluster_size;
}

/* The file of an image behind the bridge: the fd is to be filled in. */
#define BRIDGE_FILE                                                           \
    "\"file\":{\"driver\":\"nbd\",\"server\":"                                \
    "{\"type\":\"fd\",\"str\":\"%d\"}}"

void qemu_bridge_node(char *node, int bridge_fd)
{
    snprintf(node, QEMU_NODE_SPACE,
             "json:{\"driver\":\"qcow2\",\"backing\":null," BRIDGE_FILE "}",
             bridge_fd);
}

/* A link up to where its backing file would come. */
static void write_link(FILE *text, const struct qemu_link *link)
{
    struct stat st;
    bool is_device = fstat(link->fd, &st) == 0 && S_ISBLK(st.st_mode);

    fprintf(text, "\"driver\":\"%s\",", link->format);
    if (link->is_bridge)
        fprintf(text, BRIDGE_FILE, link->fd);
    else
        fprintf(text,
                "\"file\":{\"driver\":\"%s\",\"filename\":"
                "\"/proc/self/fd/%d\"}",
                is_device ? "host_device" : "file", link->fd);
}

char *qemu_chain_node(const struct qemu_link *links, size_t count)
{
    char *node = NULL;
    size_t length;
    FILE *text = open_memstream(&node, &length);

    if (text == NULL)
        return NULL;
    fputs("json:{\"force-share\":true,", text);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            fputs(",\"backing\":{", text);
        write_link(text, &links[i]);
    }
    /* Not every format can be told that there is no more. */
    if (strcmp(links[count - 1].format, "qcow2") == 0)
        fputs(",\"backing\":null", text);
    for (size_t i = 0; i < count; i++)
        fputc('}', text);
    if (fclose(text) == 0)
        return node;
    free(node);
    return NULL;
}

char *qemu_quote_option(const char *value)
{
    char *quoted = malloc(2 * strlen(value) + 1), *to = quoted;

    if (quoted == NULL)
        return NULL;
    do {
        if (*value == ',')
            *to++ = ',';
        *to++ = *value;
    } while (*value++ != '\0');
    return quoted;
}

char *qemu_file_name(const char *path)
{
    char *name;

    /* QEMU looks for a protocol's colon before the first slash only. */
    if (path[0] == '/')
        return strdup(path);
    if (asprintf(&name, "./%s", path) == -1)
        return NULL;
    return name;
}
