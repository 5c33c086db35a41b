/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What all callers of QEMU's programs share. */

#include "config.h"

#include "qemu/lack.h"
#include "qemu/qemu.h"

#include <errno.h>
#include <inttypes.h>
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
     * the rest (mallopt(3)).  The small pieces in between stay in a cache of
     * glibc's unless that is off, and no two buffers find room in the same
     * place: qemu-io had 34 MB where it has 5.
     */
    setenv("MALLOC_MMAP_THRESHOLD_", "16777216", 0);
    setenv("MALLOC_TRIM_THRESHOLD_", "67108864", 0);
    setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 0);

    qemu->img = find(qemu->img, "QCOW_TOOL_QEMU_IMG", QEMU_IMG_PATH);
    qemu->io = find(qemu->io, "QCOW_TOOL_QEMU_IO", QEMU_IO_PATH);
    qemu->nbd = find(qemu->nbd, "QCOW_TOOL_QEMU_NBD", QEMU_NBD_PATH);
}

/* Debian and Fedora have all three in one package. */
static int name_package(struct error *err)
{
    if (err->errnum != ENOENT)
        return -1;
    return error_append(err, "; it is in the package qemu-utils (Debian) or "
                             "qemu-img (Fedora)");
}

/* Names that are ours, not a file's that anybody knows. */
static bool is_node(const char *name)
{
    return strncmp(name, "json:", 5) == 0 ||
           strncmp(name, "driver=", 7) == 0 ||
           strncmp(name, "/proc/self/fd/", 14) == 0;
}

/* "/proc/self/fd/7: ", with which qemu-img begins some of its messages. */
static void drop_fd_name(struct error *err)
{
    static const char before[] = "qemu-img: /proc/self/fd/";
    char *at = strstr(err->msg, before), *end;

    if (at == NULL)
        return;
    end = at + strlen(before);
    end += strspn(end, "0123456789");
    at += strlen("qemu-img: ");
    if (strncmp(end, ": ", 2) == 0)
        memmove(at, end + 2, strlen(end + 2) + 1);
}

/* QEMU says of each node what it could not open, and then why.  Which file it
 * was is put before that by who knows its name.
 */
static void drop_nodes(struct error *err)
{
    static const char opening[] = "Could not open '";
    char *at = err->msg;

    while ((at = strstr(at, opening)) != NULL) {
        char *name = at + strlen(opening), *cause = strstr(name, "': ");

        if (cause == NULL)
            break;
        if (is_node(name))
            memmove(at, cause + 3, strlen(cause + 3) + 1);
        else
            at = name;
    }
}

int qemu_run(const struct child_spec *spec, struct error *err)
{
    if (child_run(spec, err) == 0)
        return 0;
    drop_nodes(err);
    drop_fd_name(err);
    lack_name(spec->argv[0], err);
    return name_package(err);
}

int qemu_start(const struct child_spec *spec, struct child **child,
               struct error *err)
{
    return child_start(spec, child, err) == 0 ? 0 : name_package(err);
}

/* Looks for an option in a help text, which comes in any pieces. */
struct search {
    const char *option;
    size_t matched; /* of its characters, at the end of what came so far */
    bool is_there;
};

static int look_for_option(void *opaque, const char *text, size_t length,
                           struct error *err)
{
    struct search *s = opaque;

    (void)err;
    for (size_t i = 0; i < length && !s->is_there; i++) {
        if (text[i] != s->option[s->matched])
            s->matched = 0;
        if (text[i] == s->option[s->matched])
            s->is_there = s->option[++s->matched] == '\0';
    }
    return 0;
}

int qemu_has_option(const char *const *argv, const char *option,
                    enum qemu_can *can, struct error *err)
{
    struct search search = {.option = option};
    const struct child_spec spec = {
        .argv = argv,
        .cancel_fd = -1,
        .consume = look_for_option,
        .opaque = &search,
    };

    if (*can != QEMU_UNKNOWN)
        return 0;
    if (qemu_run(&spec, err) == -1)
        return -1;
    *can = search.is_there ? QEMU_YES : QEMU_NO;
    return 0;
}

struct cage_spec qemu_cage(const struct qemu *qemu,
                           const struct qemu_files *files, size_t n_fds)
{
    struct cage_spec spec = {.policy = qemu->sandbox, .n_images = n_fds};

    if (files == NULL)
        return spec;
    spec.names = files->names;
    spec.n_names = files->count;
    spec.may_read_all = files->is_open_ended || files->is_remote;
    spec.may_connect = files->is_remote;
    spec.n_images += files->n_images;
    return spec;
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

/* An option of a qcow2 image: the size is to be filled in. */
#define SLICE ",\"l2-cache-entry-size\":%" PRIu64

/* What stands below the last image of a map.  It is larger than any. */
#define BELOW                                                                 \
    "{\"driver\":\"null-co\",\"size\":4611686018427387904,"                   \
    "\"read-zeroes\":true}"

uint64_t qemu_l2_slice(uint64_t cluster_size)
{
    return cluster_size < 65536 ? cluster_size : 65536;
}

void qemu_bridge_node(char *node, int bridge_fd, uint64_t l2_slice)
{
    snprintf(node, QEMU_NODE_SPACE,
             "json:{\"driver\":\"qcow2\"" SLICE
             ",\"backing\":null," BRIDGE_FILE "}",
             l2_slice, bridge_fd);
}

/* The raw disk is for the part: QEMU before 5.1 has no `map --start-offset'.
 * It makes QEMU fast, too, which else looks at the zeroes below for each L2
 * table that there is not (8 TiB in clusters of 4 KiB: 37 s, and so 4).
 */
void qemu_map_node(char *node, int bridge_fd, uint64_t disk_offset,
                   uint64_t length, uint64_t l2_slice)
{
    char size[32] = "", slice[48] = "";

    if (length != 0)
        snprintf(size, sizeof size, ",\"size\":%" PRIu64, length);
    if (l2_slice != 0)
        snprintf(slice, sizeof slice, SLICE, l2_slice);
    snprintf(node, QEMU_NODE_SPACE,
             "json:{\"driver\":\"raw\",\"offset\":%" PRIu64 "%s,"
             "\"file\":{\"driver\":\"qcow2\"%s,\"backing\":" BELOW
             "," BRIDGE_FILE "}}",
             disk_offset, size, slice, bridge_fd);
}

void qemu_bridge_options(char *options, int bridge_fd, uint64_t l2_slice)
{
    snprintf(options, QEMU_NODE_SPACE,
             "driver=qcow2,discard=unmap,l2-cache-entry-size=%" PRIu64
             ",file.driver=nbd,file.server.type=fd,file.server.str=%d,"
             "file.detect-zeroes=on",
             l2_slice, bridge_fd);
}

void qemu_freeing_options(char *options, int fd)
{
    snprintf(options, QEMU_NODE_SPACE,
             "driver=qcow2,discard=unmap,l2-cache-size=128K,"
             "refcount-cache-size=256K,file.driver=file,"
             "file.filename=/proc/self/fd/%d",
             fd);
}

static void write_file(FILE *text, const char *role, int fd)
{
    struct stat st;
    bool is_device = fstat(fd, &st) == 0 && S_ISBLK(st.st_mode);

    fprintf(text,
            "\"%s\":{\"driver\":\"%s\",\"filename\":"
            "\"/proc/self/fd/%d\"}",
            role, is_device ? "host_device" : "file", fd);
}

/* A link up to where its backing file would come. */
static void write_link(FILE *text, const struct qemu_link *link)
{
    fprintf(text, "\"driver\":\"%s\"", link->format);
    if (link->l2_slice != 0)
        fprintf(text, SLICE, link->l2_slice);
    fputc(',', text);
    if (link->has_footer_size)
        fputs("\"force_size_calc\":\"current_size\",", text);
    if (link->is_bridge)
        fprintf(text, BRIDGE_FILE, link->fd);
    else
        write_file(text, "file", link->fd);
    if (link->data_fd != -1) {
        fputc(',', text);
        write_file(text, "data-file", link->data_fd);
    }
}

/* What was written to text, if all of it could be. */
static char *finish(FILE *text, char **buf)
{
    if (fclose(text) == 0)
        return *buf;
    free(*buf);
    return NULL;
}

char *qemu_chain_node(const struct qemu_link *links, size_t count,
                      bool is_part)
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
    fputs(is_part ? ",\"backing\":" BELOW : ",\"backing\":null", text);
    for (size_t i = 0; i < count; i++)
        fputc('}', text);
    return finish(text, &node);
}

/* A value as --image-opts has it: two commas mean one. */
static void write_value(FILE *text, const char *value)
{
    for (; *value != '\0'; value++)
        fputs(*value == ',' ? ",," : (char[]){*value, '\0'}, text);
}

/* An option of the link that is so many below the first. */
static void write_option(FILE *text, size_t depth, const char *option)
{
    fputc(',', text);
    for (size_t i = 0; i < depth; i++)
        fputs("backing.", text);
    fputs(option, text);
}

char *qemu_chain_options(const char *file_name, const struct qemu_link *links,
                         size_t count)
{
    char *options = NULL;
    size_t length;
    FILE *text = open_memstream(&options, &length);
    bool is_direct = false; /* the last one was told so: it is inherited */

    if (text == NULL)
        return NULL;
    fprintf(text, "driver=%s,force-share=on,file.filename=", links[0].format);
    write_value(text, file_name);
    for (size_t i = 0; i < count; i++) {
        if (links[i].has_footer_size)
            write_option(text, i, "force_size_calc=current_size");
        if (links[i].is_direct != is_direct)
            write_option(text, i,
                         is_direct ? "cache.direct=off" : "cache.direct=on");
        is_direct = links[i].is_direct;
    }
    return finish(text, &options);
}

char *qemu_raw_options(int fd)
{
    char *options;

    if (asprintf(&options,
                 "driver=raw,force-share=on,file.filename=/proc/self/fd/%d",
                 fd) == -1)
        return NULL;
    return options;
}

char *qemu_image_options(const char *format, int fd)
{
    char *options;

    if (asprintf(&options,
                 "driver=%s,file.driver=file,"
                 "file.filename=/proc/self/fd/%d",
                 format, fd) == -1)
        return NULL;
    return options;
}

char *qemu_export_options(const char *socket_path, const char *export_name)
{
    char *options = NULL;
    size_t length;
    FILE *text = open_memstream(&options, &length);

    if (text == NULL)
        return NULL;
    fputs("driver=raw,file.driver=nbd,file.server.type=unix,"
          "file.server.path=",
          text);
    write_value(text, socket_path);
    fputs(",file.export=", text);
    write_value(text, export_name);
    return finish(text, &options);
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
