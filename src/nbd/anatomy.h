/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What lies where in a qcow2 file. */

#ifndef QT_ANATOMY_H
#define QT_ANATOMY_H

#include "base/error.h"
#include "lists/extents.h"
#include "lists/filemap.h"
#include "lists/ranges.h"
#include "qemu/header.h"
#include "qemu/qemu.h"

#include <stdbool.h>
#include <stdint.h>

/* All is told by the header, by `qemu-img map`, and by what QEMU reads for
 * that: header, refcount table and L1, then the L2 tables in the order of the
 * disk.  What nobody reads and no data is in is a refcount block, or unused.
 */
struct anatomy {
    struct header header;
    struct filemap map;        /* data that is there as it is */
    struct extents zeroes;     /* marked as zeroes */
    struct ranges tables;      /* that QEMU has read, the header, too */
    struct extents compressed; /* data, which is in no map of the file */

    /* Is no L2 table before L1, nor before one that describes an earlier part
     * of the disk?  And is the map in the order of the disk?  If not, the file
     * offset of the first table, or piece of data, that is out of order.
     */
    bool has_l1_first, has_l2_in_order, has_data_in_order;
    uint64_t odd_table, odd_data;

    uint64_t file_length; /* bytes of the file */
    uint64_t needed_end;  /* file offset where tables and data end */
};

/* Of the image that is open as fd, of file_length bytes.  *anatomy is the
 * caller's, whatever happens.  What QEMU cannot map is an error; so is an
 * image that names another file, or that is no qcow2 image.
 */
int anatomy_find(const struct qemu *qemu, int fd, uint64_t file_length,
                 struct anatomy *anatomy, struct error *err);

/* Bytes of a cluster. */
uint64_t anatomy_cluster(const struct anatomy *anatomy);

/* File offset, in whole clusters, behind the last table but refcount blocks.
 */
uint64_t anatomy_tables_end(const struct anatomy *anatomy);

/* Where is the data of this disk offset?  False if it is not allocated. */
bool anatomy_find_data(const struct anatomy *anatomy, uint64_t disk_offset,
                       uint64_t *file_offset);

/* Says what lies at file_offset. */
enum { ANATOMY_NAME = 64 };
void anatomy_name(const struct anatomy *anatomy, uint64_t file_offset,
                  char name[ANATOMY_NAME]);

void anatomy_clear(struct anatomy *anatomy);

#define cleanup_anatomy anatomy_clear /* for CLEANUP(anatomy) */

#endif
