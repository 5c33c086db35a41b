/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image file and its backing files, opened, and shown to QEMU. */

#ifndef QT_CHAIN_H
#define QT_CHAIN_H

#include "error.h"
#include "qemu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chain_link {
    char *path, *format;
    int fd;      /* -1: no file, but something that QEMU knows by name */
    int data_fd; /* of the file that the data is in, if it is another */
    uint64_t disk_size;
    bool is_whole;       /* all of its data is in fd, or all in data_fd */
    uint64_t needed_end; /* where the data that is known of ends there */

    /* The pieces in which QEMU tells what is allocated, multiples of so many
     * bytes of disk; 0: no bound.
     */
    uint64_t status_piece;
};

/* The links from the image down; not empty once it is open. */
struct chain {
    const char *who; /* begins messages: "source", "base" */
    struct chain_link *links;
    size_t count, space;
    bool is_by_name; /* only QEMU can find all of its parts */
};

/* Opens the image at path, of the format that it is told to have, and follows
 * it to the end.  A link that does not record the format of the next is
 * refused, because to probe it is to trust what a guest wrote onto its own
 * disk; so is what QEMU does not follow, a differencing VHD.  Another process
 * may hold the images.
 */
int chain_open(const struct qemu *qemu, const char *who, const char *path,
               const char *format, struct chain *chain, struct error *err);

/* Which of the links is this file, or has its data there?  If none, count. */
size_t chain_find_path(const struct chain *chain, const char *path);
size_t chain_find_fd(const struct chain *chain, int fd);

/* Data of a link goes on to file_end: fails if the file does not, and notes it
 * for chain_check_ends, which looks again at all of them.
 */
int chain_need(struct chain *chain, size_t link, uint64_t file_end,
               struct error *err);
int chain_check_ends(const struct chain *chain, struct error *err);

/* What QEMU can open, as long as it is shown. */
struct chain_view;

/* Shows the chain from the link first on.  QEMU takes what is behind the end
 * of a file for zeroes; but here a qcow2 file that has been cut short cannot
 * be read there.  With is_for_data its last sector may be, as QEMU reads
 * compressed clusters in sectors, but need not write them so.
 */
int chain_show(const struct chain *chain, size_t first, bool is_for_data,
               struct chain_view **view, struct error *err);

/* The node, a file name for QEMU's programs, and the fds for it to inherit. */
const char *chain_node(const struct chain_view *view);
const int *chain_fds(const struct chain_view *view, size_t *count);

/* If QEMU has missed something, that is the cause of what came after it:
 * returns -1 with it.
 */
int chain_check(struct chain_view *view, struct error *err);

/* Once QEMU has been reaped; NULL is fine. */
void chain_hide(struct chain_view *view);

void chain_close(struct chain *chain);

#define cleanup_chain chain_close /* for CLEANUP(chain) */

#endif
