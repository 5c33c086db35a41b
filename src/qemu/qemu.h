/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What all callers of QEMU's programs share. */

#ifndef QT_QEMU_H
#define QT_QEMU_H

#include "base/cage.h"
#include "base/child.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum qemu_can { QEMU_UNKNOWN, QEMU_YES, QEMU_NO };

/* The programs, as names to be looked up in PATH or as paths, and what is
 * known of them.  What QEMU can do is asked, not guessed from its version:
 * hosts ship 4.2 to 11, with changes of their own.
 */
struct qemu {
    const char *img, *io, *nbd;
    enum cage_policy sandbox; /* that they run in */

    /* Does qemu-img map a part of a disk (--start-offset, since 5.1)?  If not,
     * it maps all of it each time.  qemu_img_probe() finds out.
     */
    enum qemu_can img_maps_parts;

    /* Does qemu-io's truncate preallocate (-m, since 6.0)?  If not, qemu-img
     * resize does it.  qemu_io_probe() finds out.
     */
    enum qemu_can io_preallocates;
};

/* What one of them opens by name, to read it. */
struct qemu_files {
    const char **names; /* of files and devices */
    size_t count;
    bool is_open_ended; /* and others, that an image names */
    bool is_remote;     /* and over the network */
    size_t n_images;    /* that are open at once */
};

/* Fills in, for each that is NULL, the environment's QCOW_TOOL_QEMU_IMG,
 * QCOW_TOOL_QEMU_IO or QCOW_TOOL_QEMU_NBD, else what configure was told; and
 * sets in the environment what makes them fast.  For a single thread.
 */
void qemu_find(struct qemu *qemu);

/* child_run and child_start (child.h) of one of its programs: if that is not
 * there, the error names the package that it is in, and after a run what it
 * lacks (lack.h).
 */
int qemu_run(const struct child_spec *spec, struct error *err);
int qemu_start(const struct child_spec *spec, struct child **child,
               struct error *err);

/* Runs a program to see whether its help speaks of option, if *can is not
 * known yet.  No character of option but its first may be like that.
 */
int qemu_has_option(const char *const *argv, const char *option,
                    enum qemu_can *can, struct error *err);

/* What a program may do that opens files, NULL for none, and inherits n_fds
 * others.
 */
struct cage_spec qemu_cage(const struct qemu *qemu,
                           const struct qemu_files *files, size_t n_fds);

/* Files of ours are shown to QEMU as /proc/self/fd/N: fails where there are no
 * such names.
 */
int qemu_check_proc(struct error *err);

/* No width: the widest with which xapi's importer takes the image
 * (importer.h).
 */
#define QCOW2_REFCOUNT_AUTO 0

/* What `qemu-img create -o` is told about a qcow2 image. */
struct qcow2_options {
    uint64_t cluster_size;  /* bytes, a power of two, 512 to 2 MiB */
    unsigned refcount_bits; /* a power of two, 1 to 64 (or
                               QCOW2_REFCOUNT_AUTO, until that is decided) */
    bool is_v2;             /* compat=0.10: version 2 of the format */
    bool is_extended_l2;    /* allocation in 32nds of a cluster */
};

/* The largest L1 table, in bytes: QCOW_MAX_L1_SIZE, block/qcow2.h. */
#define QCOW2_MAX_L1 (UINT64_C(32) << 20)

/* Bytes that are allocated at once: a cluster, or a subcluster. */
uint64_t qcow2_granule(const struct qcow2_options *options);

/* Bytes of disk that one L2 table describes. */
uint64_t qcow2_window(const struct qcow2_options *options);

enum { QEMU_NODE_SPACE = 320 };

/* QEMU reads L2 tables in slices: whole ones, or if the disk is larger than
 * its cache covers, 256 GiB by default, 4 KiB, a request each over the bridge.
 * Who goes through all of a disk in order is better off with whole tables,
 * 64 KiB at the most.  Bytes, of an image with such clusters.
 */
uint64_t qemu_l2_slice(uint64_t cluster_size);

/* The qcow2 image behind an inherited end of the bridge, as a file name
 * that QEMU's programs take.  Writes at most QEMU_NODE_SPACE bytes to node.
 */
void qemu_bridge_node(char *node, int bridge_fd, uint64_t l2_slice);

/* The same for qemu-img map: length bytes of the disk from disk_offset on,
 * both multiples of 512; a length of 0 is all of it.  Below the image there is
 * one more, of zeroes, so that what this one does not hold is that one's, and
 * not taken for zeroes that it holds.  The map counts from disk_offset on.
 * l2_slice as above; 0: as QEMU has it.
 */
void qemu_map_node(char *node, int bridge_fd, uint64_t disk_offset,
                   uint64_t length, uint64_t l2_slice);

/* The same image to be changed, as --image-opts has it.  Zeroes that QEMU
 * writes come as WRITE_ZEROES, clusters that it frees as TRIM.
 */
void qemu_bridge_options(char *options, int bridge_fd, uint64_t l2_slice);

/* A qcow2 image in an inherited file, of which QEMU is going to free many
 * clusters.  It looks through all tables in its caches for each of them, so it
 * gets small ones.
 */
void qemu_freeing_options(char *options, int fd);

/* One image of a chain, as QEMU is to open it. */
struct qemu_link {
    const char *format; /* letters, digits, - and _ */
    int fd;             /* inherited */
    bool is_bridge;     /* it is an end of the bridge; else a file or device */
    int data_fd;        /* inherited: where its data is, if in another file */
    bool is_direct;     /* without the page cache */
    uint64_t l2_slice;  /* qemu_l2_slice; 0: as QEMU has it */

    /* A VHD whose disk is as large as its footer says, not as the geometry
     * there, which QEMU goes by.
     */
    bool has_footer_size;
};

/* A whole chain of images behind inherited fds, from the top down, whatever
 * backing files they name; others may hold the files.  is_part: there are
 * more below it, in the place of which there are zeroes, as with
 * qemu_map_node().  It is a file name for QEMU's programs: memory to free, or
 * NULL.
 */
char *qemu_chain_node(const struct qemu_link *links, size_t count,
                      bool is_part);

/* The same for a chain that QEMU finds by the name of the first file, and
 * those that the images record, as --image-opts has it: the fds do not count.
 */
char *qemu_chain_options(const char *file_name, const struct qemu_link *links,
                         size_t count);

/* The same for a raw disk behind an inherited fd, and for one that an NBD
 * server exports by this name at a UNIX socket.
 */
char *qemu_raw_options(int fd);
char *qemu_export_options(const char *socket_path, const char *export_name);

/* The same for an image in the open file fd, to be written. */
char *qemu_image_options(const char *format, int fd);

/* path as QEMU takes it for a file name, whatever is in it: one with a
 * colon could be taken for a protocol.  Returns memory to free, or NULL.
 */
char *qemu_file_name(const char *path);

#endif
