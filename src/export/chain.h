/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* An image file and its backing files. */

#ifndef QT_CHAIN_H
#define QT_CHAIN_H

#include "base/error.h"
#include "base/io.h"
#include "qemu/qemu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chain_link {
    char *path, *format;
    bool is_file; /* else it is something that QEMU knows by name */
    int fd;       /* -1: it is no file, or not held (chain_open_link) */
    struct io_file_id id; /* of the file */

    /* Of the file that the data is in, if it is another.  fd -1: none. */
    char *data_path;
    int data_fd;
    struct io_file_id data_id;

    uint64_t disk_size;
    bool is_whole;        /* all of its data is in its file, or data_fd's */
    bool has_footer_size; /* qemu.h */
    uint64_t needed_end;  /* where the data that is known of ends there */

    /* Ranges that its map may have, besides holes in between. */
    uint64_t most_ranges;

    /* The pieces in which QEMU tells what is allocated, multiples of so many
     * bytes of disk; 0: no bound.
     */
    uint64_t status_granule;
    uint64_t l2_slice; /* of a qcow2 image: qemu_l2_slice; else 0 */
};

/* The file that its data is in, if that is all in one, which is held open; or
 * -1.  The link keeps it.
 */
int chain_data_fd(const struct chain_link *link);

/* Its name, or that of the link's file. */
const char *chain_data_path(const struct chain_link *link);

/* The links from the image down; not empty once it is open. */
struct chain {
    const char *role; /* begins messages: "source", "base" */
    struct chain_link *links;
    size_t count;
    bool is_by_name; /* QEMU has to open all of it by its names */
};

/* Opens the image at path, of the format that it is told to have, and follows
 * it to the end.  A link that does not record the format of the next is
 * refused, because to probe it is to trust what a guest wrote onto its own
 * disk; so is what QEMU does not follow, a differencing VHD.  Another process
 * may hold the images.
 */
int chain_open(const struct qemu *qemu, const char *role, const char *path,
               const char *format, struct chain *chain, struct error *err);

/* Which of the links is this file, or has its data there?  *i is count if
 * there is none, as for a path that cannot be opened, and fd -1.
 */
int chain_find_path(const struct chain *chain, const char *path, size_t *i,
                    struct error *err);
int chain_find_fd(const struct chain *chain, int fd, size_t *i,
                  struct error *err);

/* *fd is the file of a link, and the caller's.  Fails if the path has come to
 * mean another one.
 */
int chain_open_link(const struct chain *chain, size_t link, int *fd,
                    struct error *err);

/* Fills in the error of chain_open_link: path means another file.  Returns -1.
 */
int chain_replaced(const struct chain *chain, const char *path,
                   struct error *err);

/* The most entries that a map of count links from first on may have. */
uint64_t chain_most_entries(const struct chain *chain, size_t first,
                            size_t count);

/* Data of a link goes on to file_end: fails if the file does not, and notes it
 * for chain_check_ends, which looks again at all of them.
 */
int chain_need(struct chain *chain, size_t link, uint64_t file_end,
               struct error *err);
int chain_check_ends(const struct chain *chain, struct error *err);

void chain_close(struct chain *chain);

#define cleanup_chain chain_close /* for CLEANUP(chain) */

#endif
