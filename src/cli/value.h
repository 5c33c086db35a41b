/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the text of an option's value to what it means. */

#ifndef QT_VALUE_H
#define QT_VALUE_H

#include "base/error.h"
#include "qemu/qemu.h"
#include "export/sink.h"

#include <stdint.h>

/* In all of them name is the option's, without "--", for the message.  What
 * they return may point into value.
 */

/* Bytes: a number, which K, M, G or T may follow. */
int value_parse_size(const char *name, const char *value, uint64_t *size,
                     struct error *err);

/* A power of two that qcow2 can have there. */
int value_parse_cluster_size(const char *name, const char *value,
                             struct qcow2_options *qcow2, struct error *err);
int value_parse_refcount_bits(const char *name, const char *value,
                              struct qcow2_options *qcow2, struct error *err);

/* One of the words in supported, which are separated by ", "; *index is which.
 */
int value_parse_word(const char *name, const char *value,
                     const char *supported, int *index, struct error *err);

/* PATH or file://PATH. */
int value_parse_path(const char *name, const char *value, const char **path,
                     struct error *err);

/* FD or fd:FD, a number or a UUID (fds.h). */
int value_parse_fd(const char *name, const char *value, int *fd,
                   struct error *err);

/* What measure prints as the id of an image. */
int value_parse_id(const char *name, const char *value, const char **id,
                   struct error *err);

/* A URI as nbd_connect_uri(3) has it; its scheme is all that is looked at. */
int value_parse_uri(const char *name, const char *value, struct error *err);

/* Where `stream` sends to, in any of the forms that its help shows. */
int value_parse_destination(const char *name, const char *value,
                            struct sink_address *address, struct error *err);

#endif
