/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* From the text of an option's value to what it means. */

#ifndef QT_VALUE_H
#define QT_VALUE_H

#include "base/error.h"
#include "export/sink.h"
#include "export/source-address.h"
#include "qemu/qemu.h"

#include <stdint.h>

/* In all of them name is the option's, without "--", for the message.  What
 * they return as const char * points into value.
 */

/* Bytes: a number, which K, M, G or T may follow; KiB is the same as K, and KB
 * is 1000.
 */
int value_parse_size(const char *name, const char *value, uint64_t *size,
                     struct error *err);

/* The same, but for 0. */
int value_parse_length(const char *name, const char *value, uint64_t *length,
                       struct error *err);

/* Whole seconds, up to a day. */
int value_parse_seconds(const char *name, const char *value, unsigned *seconds,
                        struct error *err);

/* A power of two that qcow2 can have there; of refcounts it may be "auto"
 * (QCOW2_REFCOUNT_AUTO).
 */
int value_parse_cluster_size(const char *name, const char *value,
                             struct qcow2_options *qcow2, struct error *err);
int value_parse_refcount_bits(const char *name, const char *value,
                              struct qcow2_options *qcow2, struct error *err);

/* One of the words in supported, which are separated by ", "; *index is which.
 */
int value_parse_word(const char *name, const char *value,
                     const char *supported, int *index, struct error *err);

/* A policy of cage.h, by its word. */
int value_parse_sandbox(const char *name, const char *value, struct qemu *qemu,
                        struct error *err);

/* PATH or file://PATH. */
int value_parse_path(const char *name, const char *value, const char **path,
                     struct error *err);

/* The same of a disk, which - says to be standard_fd: standard input or
 * output, which has to be a file or a block device then.
 */
int value_parse_disk(const char *name, const char *value, int standard_fd,
                     const char **path, struct error *err);

/* FD or fd:FD, a number or a UUID (fds.h). */
int value_parse_fd(const char *name, const char *value, int *fd,
                   struct error *err);

/* The same, or - for standard_fd. */
int value_parse_fd_or_standard(const char *name, const char *value,
                               int standard_fd, int *fd, struct error *err);

/* The same; *fd is -1 for a UUID that nobody passed an fd with. */
int value_parse_fd_if_passed(const char *name, const char *value, int *fd,
                             struct error *err);

/* Where to spool: the environment's QCOW_TOOL_SPOOL_DIR or TMPDIR, or
 * /var/tmp.
 */
const char *value_find_spool_dir(void);

/* How much may be spooled: the environment's QCOW_TOOL_SPOOL_LIMIT, or usual
 * if there is none; in bytes.
 */
int value_find_spool_limit(uint64_t usual, uint64_t *limit, struct error *err);

/* What measure prints as the id of an image. */
int value_parse_id(const char *name, const char *value, const char **id,
                   struct error *err);

/* A URI as nbd_connect_uri(3) has it; its scheme is all that is looked at. */
int value_parse_uri(const char *name, const char *value, struct error *err);

/* The disk to export: value in the form that format, a word of
 * --source-format, wants.  image_format is what hybrid's IMAGE has.  *source
 * has to be empty, and is the caller's to clear, even if this fails; so are
 * *base and *address below.
 */
int value_parse_source(const char *format, const char *image_format,
                       const char *value, struct export_source *source,
                       struct error *err);

/* The same of a raw disk at path, whatever else that looks like. */
int value_set_device(const char *path, struct export_source *source,
                     struct error *err);

/* What an export of source is relative to: an NBD URI, or a path.  At the path
 * is an image where the source is or has one, a raw disk where it has none.
 */
int value_parse_base(const char *name, const char *value,
                     const struct export_source *source,
                     struct export_source *base, struct error *err);

/* Where `stream` sends to, in any of the forms that its help shows.  What
 * *address held is cleared.
 */
int value_parse_destination(const char *name, const char *value,
                            struct sink_address *address, struct error *err);

#endif
