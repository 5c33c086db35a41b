/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qemu-img: create, convert, check, compare, map, info, resize, --version. */

#include "config.h"

#include "base/child.h"
#include "base/cleanup.h"
#include "qemu/qemu-img.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Seconds of CPU time.  The largest disk that anybody maps takes minutes. */
enum { INFO_CPU_S = 600, WINDOW_CPU_S = 600, MAP_CPU_S = 3600 };

/* Standard output of a child that says little. */
struct text {
    size_t length;
    char buf[4096];
};

static int collect(void *opaque, const char *piece, size_t length,
                   struct error *err)
{
    struct text *text = opaque;

    if (length >= sizeof text->buf - text->length)
        return error_set(err, 0, "QEMU: it says too much");
    memcpy(text->buf + text->length, piece, length);
    text->length += length;
    text->buf[text->length] = '\0';
    return 0;
}

/* The name that a program says it has.  Some say it with all of their path. */
static const char *last_part(const char *said)
{
    const char *slash;

    while ((slash = memchr(said, '/', strcspn(said, " \n"))) != NULL)
        said = slash + 1;
    return said;
}

int qemu_read_version(const char *program, const char *name,
                      char version[QEMU_VERSION], struct error *err)
{
    const char *const argv[] = {program, "--version", NULL};
    struct text text = {.length = 0};
    const struct child_spec spec = {
        .argv = argv,
        .cancel_fd = -1,
        .consume = collect,
        .opaque = &text,
    };
    const char *said, *digits;
    int length;

    if (qemu_run(&spec, err) == -1)
        return -1;
    said = last_part(text.buf);
    digits = said + strcspn(said, "0123456789");
    length = strspn(digits, "0123456789.");
    if (strncmp(said, name, strlen(name)) != 0 || length == 0 ||
        length >= QEMU_VERSION)
        return error_set(err, 0, "QEMU: %s does not tell its version",
                         program);
    snprintf(version, QEMU_VERSION, "%.*s", length, digits);
    return 0;
}

int qemu_img_check(const struct qemu *qemu, struct error *err)
{
    char version[QEMU_VERSION];

    return qemu_read_version(qemu->img, "qemu-img", version, err);
}

int qemu_img_check_nbd(const struct qemu *qemu, struct error *err)
{
    char version[QEMU_VERSION];

    return qemu_read_version(qemu->nbd, "qemu-nbd", version, err);
}

int qemu_img_probe(struct qemu *qemu, struct error *err)
{
    const char *const argv[] = {qemu->img, "map", "--help", NULL};

    return qemu_has_option(argv, "max-length", &qemu->img_maps_parts, err);
}

/* Did the limit of file sizes stop it?  QEMU takes that for one of qcow2's. */
static bool is_at_limit(int fd, const struct qcow2_options *options,
                        uint64_t disk_size)
{
    uint64_t l1 = disk_size / qcow2_window(options) * 8;
    struct rlimit limit;
    struct stat st;

    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && fstat(fd, &st) == 0 &&
           limit.rlim_cur < st.st_size + 4 * options->cluster_size + l1;
}

enum { OPTIONS_SPACE = 160, FILE_SPACE = 40 };

static void write_options(char text[OPTIONS_SPACE],
                          const struct qcow2_options *options)
{
    int n =
        snprintf(text, OPTIONS_SPACE, "compat=%s,cluster_size=%" PRIu64 "%s",
                 options->is_v2 ? "0.10" : "1.1", options->cluster_size,
                 options->is_extended_l2 ? ",extended_l2=on" : "");

    if (options->refcount_bits != 16) /* version 2 has no such choice */
        snprintf(text + n, OPTIONS_SPACE - n, ",refcount_bits=%u",
                 options->refcount_bits);
}

int qemu_img_create_any(const struct qemu *qemu, int fd,
                        const struct qemu_alias *alias, const char *format,
                        const char *options, uint64_t disk_size,
                        struct error *err)
{
    char file[FILE_SPACE], size[24];
    char *CLEANUP(free_ptr) name = NULL;
    const char *argv[10] = {qemu->img, "create", "-q", "-f", format};
    size_t n = 5;
    struct cage_spec cage = qemu_cage(qemu, NULL, 1);
    const int fds[] = {fd, alias == NULL ? -1 : alias->dir_fd};
    const struct child_spec spec = {
        .argv = argv,
        .inherit = fds,
        .n_inherit = alias == NULL ? 1 : 2,
        .cage = &cage,
        .cancel_fd = -1,
    };

    cage.may_write = true;
    if (alias != NULL && asprintf(&name, "/proc/self/fd/%d/%s", alias->dir_fd,
                                  alias->name) == -1)
        return error_set(err, errno, "QEMU: create");
    snprintf(file, sizeof file, "/proc/self/fd/%d", fd);
    snprintf(size, sizeof size, "%" PRIu64, disk_size);
    if (options != NULL) {
        argv[n++] = "-o";
        argv[n++] = options;
    }
    argv[n++] = alias == NULL ? file : name;
    argv[n++] = size;
    argv[n] = NULL;
    return qemu_run(&spec, err);
}

int qemu_img_create(const struct qemu *qemu, int store_fd,
                    const struct qcow2_options *options, uint64_t disk_size,
                    struct error *err)
{
    char text[OPTIONS_SPACE];

    write_options(text, options);
    if (qemu_img_create_any(qemu, store_fd, NULL, "qcow2", text, disk_size,
                            err) == 0)
        return 0;
    return is_at_limit(store_fd, options, disk_size)
               ? error_set(err, EFBIG, "spool: QEMU cannot write")
               : -1;
}

/* Its files are the caller's, and may have any names. */
static struct cage_spec disk_cage(const struct qemu *qemu,
                                  const struct qemu_disk *disk)
{
    struct cage_spec cage = qemu_cage(qemu, NULL, 2);

    cage.may_read_all = true;
    cage.may_connect = disk->fd == -1;
    return cage;
}

int qemu_img_convert(const struct qemu *qemu, const struct qemu_disk *disk,
                     const struct qcow2_options *options, int store_fd,
                     struct error *err)
{
    char qcow2_options[OPTIONS_SPACE], file[FILE_SPACE];
    const char *const by_options[] = {
        qemu->img, "convert",     "--image-opts", "-O", "qcow2",
        "-o",      qcow2_options, disk->options,  file, NULL,
    };
    const char *const by_uri[] = {
        qemu->img, "convert",     "-f",      "raw", "-O", "qcow2",
        "-o",      qcow2_options, disk->uri, file,  NULL,
    };
    struct cage_spec cage = disk_cage(qemu, disk);
    const int fds[] = {store_fd, disk->fd};
    const struct child_spec spec = {
        .argv = disk->uri == NULL ? by_options : by_uri,
        .inherit = fds,
        .n_inherit = disk->fd == -1 ? 1 : 2,
        .cage = &cage,
        .cancel_fd = -1,
    };

    cage.may_write = true;
    write_options(qcow2_options, options);
    snprintf(file, sizeof file, "/proc/self/fd/%d", store_fd);
    return qemu_run(&spec, err);
}

int qemu_img_find_errors(const struct qemu *qemu, int image_fd,
                         struct error *err)
{
    const struct qemu_link link = {
        .format = "qcow2",
        .fd = image_fd,
        .data_fd = -1,
    };
    char *CLEANUP(free_ptr) node = qemu_chain_node(&link, 1, false);
    const char *const argv[] = {qemu->img, "check", node, NULL};
    struct cage_spec cage = qemu_cage(qemu, NULL, 1);
    const struct child_spec spec = {
        .argv = argv,
        .inherit = &image_fd,
        .n_inherit = 1,
        .cage = &cage,
        .cancel_fd = -1,
    };

    cage.cpu_seconds = MAP_CPU_S; /* it goes over the same tables */
    if (node == NULL)
        return error_set(err, errno, "QEMU: check");
    return qemu_run(&spec, err);
}

/* What `qemu-img compare' says on standard output of two disks that differ. */
static int read_difference(const char *said, uint64_t *disk_offset,
                           struct error *err)
{
    static const char content[] = "Content mismatch at offset ";
    const char *at = strstr(said, content);

    if (at == NULL)
        return error_set(err, 0, "%.*s", (int)strcspn(said, "\n"), said);
    *disk_offset = strtoull(at + strlen(content), NULL, 10);
    return error_set(err, 0, "other contents at disk offset %" PRIu64,
                     *disk_offset);
}

int qemu_img_compare(const struct qemu *qemu, const struct qemu_disk *disk,
                     int image_fd, uint64_t *disk_offset, struct error *err)
{
    char image[96], file[FILE_SPACE];
    const char *const by_options[] = {
        qemu->img, "compare", "-U", "--image-opts", disk->options, image, NULL,
    };
    const char *const by_uri[] = {
        qemu->img, "compare", "-f", "raw", "-F",
        "qcow2",   disk->uri, file, NULL,
    };
    const struct cage_spec cage = disk_cage(qemu, disk);
    const int fds[] = {image_fd, disk->fd};
    struct text text = {.length = 0};
    const struct child_spec spec = {
        .argv = disk->uri == NULL ? by_options : by_uri,
        .inherit = fds,
        .n_inherit = disk->fd == -1 ? 1 : 2,
        .cage = &cage,
        .cancel_fd = -1,
        .consume = collect,
        .opaque = &text,
    };
    int r;

    *disk_offset = UINT64_MAX;
    snprintf(file, sizeof file, "/proc/self/fd/%d", image_fd);
    snprintf(image, sizeof image,
             "driver=qcow2,file.driver=file,file.filename=%s", file);
    r = qemu_run(&spec, err);
    /* A difference that is only in size may be no more than a warning. */
    if (strstr(text.buf, "mismatch") != NULL)
        return read_difference(text.buf, disk_offset, err);
    return r;
}

/* A map that is being printed. */
struct mapping {
    const struct qemu_img_map *map;
    struct mapjson *parser;
    uint64_t next;   /* the disk offset that the next entry has to begin at */
    bool is_refused; /* it is a map, but not ours: who refused it said why */
};

/* Does an entry begin behind what was asked for, or end behind the disk? */
static bool goes_on(const struct qemu_img_map *map,
                    const struct mapjson_entry *e)
{
    if (map->is_part && map->length != 0)
        return e->disk_offset >= map->length;
    return map->disk_size != 0 &&
           e->disk_offset + e->length > IO_ROUND_UP(map->disk_size, IO_SECTOR);
}

/* Makes of an entry of what was mapped one of the part that was asked for. */
static int pass_on(void *opaque, const struct mapjson_entry *printed,
                   struct error *err)
{
    struct mapping *mapping = opaque;
    const struct qemu_img_map *map = mapping->map;
    struct mapjson_entry e = *printed;
    uint64_t from = map->disk_offset, to = from + map->length;

    /* What an image has it calls data or zero.  Where none of them has
     * anything the depth is n_images or, in a node of a part, neither is said.
     */
    e.is_present = e.depth < map->n_images && (e.is_data || e.is_zero);
    mapping->is_refused = true;
    if (printed->disk_offset != mapping->next)
        return error_set(err, 0,
                         "QEMU: the map does not begin at its beginning");
    if (goes_on(map, printed))
        return error_set(err, 0, "QEMU: the map goes on behind its end");
    mapping->next += printed->length;
    mapping->is_refused = false;
    if (map->is_part) {
        e.disk_offset += from;
    } else if (map->length != 0) {
        if (e.disk_offset >= to || e.disk_offset + e.length <= from)
            return 0;
        from = io_max(from, e.disk_offset);
        e.file_offset += from - e.disk_offset;
        e.length = io_min(to, e.disk_offset + e.length) - from;
        e.disk_offset = from;
    }
    mapping->is_refused = map->sink(map->opaque, &e, err) == -1;
    return mapping->is_refused ? -1 : 0;
}

static int parse(void *opaque, const char *text, size_t length,
                 struct error *err)
{
    struct mapping *mapping = opaque;

    if (mapjson_feed(mapping->parser, text, length, err) == 0)
        return 0;
    return mapping->is_refused ? -1 : error_wrap(err, "QEMU: qemu-img map");
}

int qemu_img_map(const struct qemu *qemu, const struct qemu_img_map *map,
                 struct error *err)
{
    char start[48], length[48];
    const char *argv[8] = {qemu->img, "map", "--output=json"};
    size_t n = 3;
    struct mapping mapping = {.map = map};
    struct cage_spec cage = qemu_cage(qemu, map->files, map->n_inherit);
    struct child_spec spec = {
        .argv = argv,
        .inherit = map->inherit,
        .n_inherit = map->n_inherit,
        .cage = &cage,
        .cancel_fd = map->cancel_fd,
        .consume = parse,
        .opaque = &mapping,
    };
    int r;

    mapping.parser = mapjson_new(pass_on, &mapping);
    if (mapping.parser == NULL)
        return error_set(err, errno, "QEMU: map");
    cage.cpu_seconds = map->length != 0 ? WINDOW_CPU_S : MAP_CPU_S;
    if (map->is_options)
        argv[n++] = "--image-opts";
    if (map->length != 0 && !map->is_part &&
        qemu->img_maps_parts == QEMU_YES) {
        snprintf(start, sizeof start, "--start-offset=%" PRIu64,
                 map->disk_offset);
        snprintf(length, sizeof length, "--max-length=%" PRIu64, map->length);
        argv[n++] = start;
        argv[n++] = length;
        mapping.next = map->disk_offset;
    }
    argv[n++] = map->node;
    argv[n] = NULL;
    r = qemu_run(&spec, err);
    if (r == 0 && mapjson_end(mapping.parser, err) == -1)
        r = error_wrap(err, "QEMU: qemu-img map");
    mapjson_free(mapping.parser);
    return r;
}

int qemu_img_resize(const struct qemu *qemu, int bridge_fd, uint64_t l2_slice,
                    const char *preallocation, uint64_t disk_size,
                    struct error *err)
{
    char options[QEMU_NODE_SPACE], how[40], size[24];
    const char *const argv[] = {
        qemu->img, "resize", "-q", how, "--image-opts", options, size, NULL,
    };
    const struct cage_spec cage = qemu_cage(qemu, NULL, 1);
    const struct child_spec spec = {
        .argv = argv,
        .inherit = &bridge_fd,
        .n_inherit = 1,
        .cage = &cage,
        .cancel_fd = -1,
    };

    qemu_bridge_options(options, bridge_fd, l2_slice);
    snprintf(how, sizeof how, "--preallocation=%s", preallocation);
    snprintf(size, sizeof size, "%" PRIu64, disk_size);
    return qemu_run(&spec, err);
}

int qemu_img_reserve(const struct qemu *qemu, int store_fd,
                     uint64_t file_limit, uint64_t disk_size,
                     struct error *err)
{
    char options[QEMU_NODE_SPACE], size[24];
    const char *const argv[] = {
        qemu->img,      "resize", "-q", "--preallocation=falloc",
        "--image-opts", options,  size, NULL,
    };
    struct cage_spec cage = qemu_cage(qemu, NULL, 1);
    const struct child_spec spec = {
        .argv = argv,
        .inherit = &store_fd,
        .n_inherit = 1,
        .cage = &cage,
        .file_limit = file_limit,
        .cancel_fd = -1,
    };
    struct error failure;

    cage.may_write = true;
    qemu_freeing_options(options, store_fd);
    snprintf(size, sizeof size, "%" PRIu64, disk_size);
    if (qemu_run(&spec, &failure) == 0)
        return error_set(err, 0, "QEMU: the spool grew beyond its limit");
    if (failure.errnum == 0)
        return 0;
    *err = failure;
    return -1;
}

static int parse_info(void *opaque, const char *text, size_t length,
                      struct error *err)
{
    return infojson_feed(opaque, text, length, err) == 0
               ? 0
               : error_wrap(err, "QEMU: qemu-img info");
}

int qemu_img_info(const struct qemu *qemu, const char *name,
                  const char *format, const struct qemu_files *files, int fd,
                  struct image_info *info, struct error *err)
{
    const char *argv[10] = {qemu->img, "info", "--output=json"};
    size_t n = 3;
    struct infojson *j = infojson_new();
    struct cage_spec cage = qemu_cage(qemu, files, 1);
    const struct child_spec spec = {
        .argv = argv,
        .inherit = &fd,
        .n_inherit = fd == -1 ? 0 : 1,
        .cage = &cage,
        .cancel_fd = -1,
        .consume = parse_info,
        .opaque = j,
    };
    int r;

    if (j == NULL)
        return error_set(err, errno, "QEMU: info");
    cage.cpu_seconds = INFO_CPU_S;
    if (format == NULL) {
        argv[n++] = "--image-opts";
    } else {
        argv[n++] = "-U";
        argv[n++] = "-f";
        argv[n++] = format;
    }
    argv[n++] = name;
    argv[n] = NULL;
    r = qemu_run(&spec, err);
    if (r == 0 && infojson_end(j, info, err) == -1)
        r = error_wrap(err, "QEMU: qemu-img info");
    infojson_free(j);
    return r;
}
