/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Command lines for tests, and the surroundings in which they are parsed. */

#ifndef QT_COMMAND_LINE_H
#define QT_COMMAND_LINE_H

#include "base/cleanup.h"
#include "base/compat.h"
#include "cli/options.h"
#include "nbd/store.h"
#include "test.h"

#include <inttypes.h>
#include <sys/mman.h>

#define UUID "c3a3b1f0-45b5-4c8f-9d2e-1f7d7c6b5a01"

/* UUID is the former, too.  Standard input and output are files. */
enum { OPEN_FD = 5, CLOSED_FD = 6 };

enum { MAX_ARGS = 32 };

/* What every call needs. */
#define STREAM "stream", "--source", "disk"
#define MEASURE "measure", "--source", "disk"
#define SERVE "serve", "--destination", "disk"

static inline void prepare_surroundings(void)
{
    int disk = compat_memfd_create("disk", 0);

    test_require(dup2(disk, STDIN_FILENO) == STDIN_FILENO &&
                     dup2(disk, STDOUT_FILENO) == STDOUT_FILENO &&
                     dup2(STDIN_FILENO, OPEN_FD) == OPEN_FD,
                 "dup2");
    close(CLOSED_FD);
    setenv("LISTEN_FDS", "3", 1);
    setenv("LISTEN_FDNAMES", "a:b:" UUID, 1);
    unsetenv("LISTEN_PID");
    unsetenv("QCOW_TOOL_QEMU_IMG");
    unsetenv("QCOW_TOOL_QEMU_IO");
    unsetenv("QCOW_TOOL_QEMU_NBD");
    unsetenv("QCOW_TOOL_SPOOL_DIR");
    unsetenv("QCOW_TOOL_SPOOL_LIMIT");
    setenv("TMPDIR", "/usual", 1);
}

/* args, which end with NULL, are those behind the program's name. */
static inline int parse(const char *const args[MAX_ARGS], struct options *o,
                        struct error *err)
{
    char *argv[MAX_ARGS + 2] = {(char *)"qcow-tool"};
    int argc = 1;

    while (argc <= MAX_ARGS && args[argc - 1] != NULL) {
        argv[argc] = (char *)args[argc - 1];
        argc++;
    }
    return options_parse(argc, argv, o, err);
}

enum { SPACE = 1024 }; /* of what they mean, in words */

/* Adds " key=value" to out unless it is the usual one. */
static inline void say(char out[SPACE], const char *key, const char *value,
                       const char *usual)
{
    size_t used = strlen(out);

    if (value == NULL)
        value = "(NULL)";
    if (strcmp(value, usual) != 0)
        snprintf(out + used, SPACE - used, " %s=%s", key, value);
}

static inline void say_number(char out[SPACE], const char *key, uint64_t value,
                              uint64_t usual)
{
    size_t used = strlen(out);

    if (value != usual)
        snprintf(out + used, SPACE - used, " %s=%" PRIu64, key, value);
}

static inline void say_flag(char out[SPACE], const char *key, bool value)
{
    size_t used = strlen(out);

    if (value)
        snprintf(out + used, SPACE - used, " %s", key);
}

static inline void say_progress(char out[SPACE], enum progress_mode mode)
{
    say_flag(out, "bar", mode == PROGRESS_BAR);
    say_flag(out, "machine", mode == PROGRESS_MACHINE);
}

static inline void say_qemu(char out[SPACE], const struct qemu *qemu)
{
    say(out, "qemu-img", qemu->img, QEMU_IMG_PATH);
    say(out, "qemu-io", qemu->io, QEMU_IO_PATH);
    say(out, "qemu-nbd", qemu->nbd, QEMU_NBD_PATH);
}

static inline void say_limit(char out[SPACE], uint64_t limit)
{
    if (limit == STORE_HALF_FREE)
        say(out, "limit", "half", "0");
    else
        say_number(out, "limit", limit, 0);
}

static inline void say_export(char out[SPACE],
                              const struct export_options *export)
{
    const struct export_source *s = &export->source;
    const char *only = s->uri != NULL ? s->uri : s->image_path;
    char source[200];
    static const char *const formats[] = {
        [EXPORT_RAW] = "raw",
        [EXPORT_HYBRID] = "hybrid",
        [EXPORT_IMAGE] = "image",
        [EXPORT_NBD] = "nbd",
        [EXPORT_NBD_HYBRID] = "nbdhybrid",
    };

    if (s->kind == EXPORT_NBD_HYBRID)
        snprintf(source, sizeof source, "%s:%s:%s:%" PRIu64, s->device,
                 s->socket_path, s->export_name, s->size);
    else if (s->kind == EXPORT_HYBRID)
        snprintf(source, sizeof source, "%s:%s", s->device, s->image_path);
    else
        snprintf(source, sizeof source, "%s",
                 s->device != NULL ? s->device : only);
    say(out, "source", source, "disk");
    say(out, "format", formats[s->kind], "raw");
    if (s->image_format != NULL)
        say(out, "image-format", s->image_format, "qcow2");
    only = export->base.device != NULL ? export->base.device
                                       : export->base.image_path;
    say(out, "base", export->base.uri != NULL ? export->base.uri : only,
        "(NULL)");
    say(out, "bitmap", export->changes.bitmap, "(NULL)");
    say(out, "changed", export->changes.blocks_path, "(NULL)");
    say_number(out, "changed-fd", export->changes.blocks_fd, -1);
    say_flag(out, "marking", export->is_marking_zeroes);
    say_flag(out, "detecting", export->is_detecting_zeroes);
    say_number(out, "map-fd", export->map_fd, -1);
    say_number(out, "info-fd", export->info_fd, -1);
    say_number(out, "base-map-fd", export->base_map_fd, -1);
    say_number(out, "base-info-fd", export->base_info_fd, -1);
    say_flag(out, "clusters", export->is_map_of_clusters);
    say_flag(out, "base-clusters", export->is_base_map_of_clusters);
    say_flag(out, "convert", export->layout == LAYOUT_CONVERT);
    say_flag(out, "any", export->layout == LAYOUT_ANY);
    say_number(out, "cluster", export->qcow2.cluster_size, 65536);
    if (export->qcow2.refcount_bits == QCOW2_REFCOUNT_AUTO)
        say(out, "refcount", "auto", "16");
    else
        say_number(out, "refcount", export->qcow2.refcount_bits, 16);
    say_flag(out, "v2", export->qcow2.is_v2);
    say_flag(out, "extended", export->qcow2.is_extended_l2);
    say_flag(out, "direct", export->is_direct);
    say(out, "spool", export->spool_dir, "/usual");
    say_limit(out, export->spool_limit);
    say_qemu(out, &export->qemu);
}

static inline void say_stream(char out[SPACE],
                              const struct stream_options *stream)
{
    say(out, "destination", stream->destination.path, "(NULL)");
    say(out, "unix", stream->destination.socket_path, "(NULL)");
    if (stream->destination.host != NULL) {
        char tcp[200];

        snprintf(tcp, sizeof tcp, "%s:%s", stream->destination.host,
                 stream->destination.port);
        say(out, "tcp", tcp, "(NULL)");
    }
    say_number(out, "fd", stream->destination.fd, STDOUT_FILENO);
    say_number(out, "offset", stream->export.piece.file_offset, 0);
    say_number(out, "length", stream->export.piece.length, 0);
    say_flag(out, "force", stream->claim == CLAIM_FORCE);
    say_progress(out, stream->progress);
}

static inline void say_serve(char out[SPACE],
                             const struct serve_options *serve)
{
    say_number(out, "fd", serve->source_fd, STDIN_FILENO);
    say_number(out, "size", serve->source_size, 0);
    say_number(out, "hint", serve->size_hint, 0);
    say(out, "destination", destination_name(&serve->destination), "disk");
    say_flag(out, "force", serve->destination.claim == CLAIM_FORCE);
    say_flag(out, "nbd", serve->destination.uri != NULL);
    if (serve->destination.image_format != NULL)
        say(out, "image", serve->destination.image_format, "");
    if (serve->destination.image_options != NULL)
        say(out, "options", serve->destination.image_options, "");
    say_flag(out, "prezeroed", serve->is_prezeroed);
    say_flag(out, "keep", serve->destination.keeps_space);
    say_flag(out, "direct", serve->destination.is_direct);
    say(out, "spool", serve->spool_dir, "/usual");
    say_limit(out, serve->spool_limit);
    say_progress(out, serve->progress);
    say_qemu(out, &serve->qemu);
}

/* The command, and all that is not as it is without any option. */
static inline const char *describe(const struct options *o)
{
    static char out[SPACE];

    if (o->command == COMMAND_HEADERS)
        snprintf(out, sizeof out, "headers image=%s", o->headers.image);
    else
        snprintf(out, sizeof out, "%s",
                 o->command == COMMAND_NONE ? "none"
                                            : command_specs[o->command].name);
    say_flag(out, "help", o->wants_help);
    say_flag(out, "version", o->wants_version);
    say_flag(out, "quiet", o->log_level == LOG_ERRORS);
    say_flag(out, "verbose", o->log_level == LOG_SUMMARY);
    say_flag(out, "debug", o->log_level == LOG_DEBUG);
    if (o->wants_help || o->wants_version)
        return out;
    if (o->command == COMMAND_STREAM) {
        say_export(out, &o->stream.export);
        say_stream(out, &o->stream);
    } else if (o->command == COMMAND_MEASURE) {
        say_export(out, &o->measure.export);
        say_progress(out, o->measure.progress);
    } else if (o->command == COMMAND_SERVE) {
        say_serve(out, &o->serve);
    }
    return out;
}

#endif
