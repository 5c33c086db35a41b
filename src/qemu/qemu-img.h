/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qemu-img: create, map, info, resize, --version. */

#ifndef QT_QEMU_IMG_H
#define QT_QEMU_IMG_H

#include "qemu/infojson.h"
#include "qemu/mapjson.h"
#include "qemu/qemu.h"

/* What a program of QEMU says of its version, as "7.2.22", if it says that it
 * is name, which is "qemu-img" or one of the others.
 */
enum { QEMU_VERSION = 32 };
int qemu_read_version(const char *program, const char *name,
                      char version[QEMU_VERSION], struct error *err);

/* Fails unless qemu-img runs, and says that it is what it is called. */
int qemu_img_check(const struct qemu *qemu, struct error *err);

/* The same of qemu-nbd. */
int qemu_img_check_nbd(const struct qemu *qemu, struct error *err);

/* Asks qemu-img what it can do, if that is not known, and notes it in qemu. */
int qemu_img_probe(struct qemu *qemu, struct error *err);

/* Makes an empty qcow2 image of disk_size bytes in the open file store_fd,
 * which may have no name: it is inherited and named through /proc.
 */
int qemu_img_create(const struct qemu *qemu, int store_fd,
                    const struct qcow2_options *options, uint64_t disk_size,
                    struct error *err);

/* A link to an open file, by which QEMU may find that: name, in the directory
 * that is open as dir_fd.
 */
struct qemu_alias {
    int dir_fd;
    const char *name;
};

/* As qemu_img_create, an image of any format, with options as `qemu-img create
 * -o' has them, NULL for none.  They must name no other file.  alias is how
 * the file is to be called instead of /proc/self/fd/N, NULL: that.
 */
int qemu_img_create_any(const struct qemu *qemu, int fd,
                        const struct qemu_alias *alias, const char *format,
                        const char *options, uint64_t disk_size,
                        struct error *err);

/* A disk to read. */
struct qemu_disk {
    const char *uri;     /* of a raw disk behind NBD; NULL: it has options */
    const char *options; /* as --image-opts has them */
    int fd;              /* to be inherited; -1: none */
};

/* Writes that disk as a qcow2 image into the open file store_fd, as `qemu-img
 * convert -O qcow2` does.
 */
int qemu_img_convert(const struct qemu *qemu, const struct qemu_disk *disk,
                     const struct qcow2_options *options, int store_fd,
                     struct error *err);

/* Has `qemu-img check` look at the qcow2 image that is open as image_fd, and
 * at no other file: it must have no data file.  What is wrong with it is the
 * error.
 */
int qemu_img_find_errors(const struct qemu *qemu, int image_fd,
                         struct error *err);

/* Has `qemu-img compare` read both disks: they have to be of the same size,
 * too.  A difference is the error.  *disk_offset is where their contents
 * differ first, or UINT64_MAX.  The image must name no other file.
 */
int qemu_img_compare(const struct qemu *qemu, const struct qemu_disk *disk,
                     int image_fd, uint64_t *disk_offset, struct error *err);

/* What to map; the map goes to sink as it is printed. */
struct qemu_img_map {
    const char *node;   /* a node (qemu.h): no format is probed */
    bool is_options;    /* node is --image-opts (qemu_chain_options) */
    const int *inherit; /* fds, as in child.h */
    size_t n_inherit;
    const struct qemu_files *files; /* NULL: none are opened by name */
    size_t n_images;      /* of node: what is deeper is not present */
    uint64_t disk_size;   /* its map goes no farther; 0: not known */
    uint64_t disk_offset; /* the part to map, in bytes ... */
    uint64_t length;      /* ... 0: all of the disk */
    bool is_part;         /* node is of that part alone (qemu_map_node) */
    uint64_t l2_slice;    /* for nbd_map: as for qemu_map_node */
    int cancel_fd;        /* as in child.h */
    mapjson_sink *sink;
    void *opaque;
};

/* Fails for a map that does not begin where it was asked for, has a gap, or
 * goes on behind disk_size.  That it reaches its end is the caller's to see.
 */
int qemu_img_map(const struct qemu *qemu, const struct qemu_img_map *map,
                 struct error *err);

/* Gives the disk of the image behind the bridge disk_size bytes, more than it
 * has, and preallocates them, as `truncate -m' of qemu-io does.  l2_slice as
 * for qemu_bridge_options.
 */
int qemu_img_resize(const struct qemu *qemu, int bridge_fd, uint64_t l2_slice,
                    const char *preallocation, uint64_t disk_size,
                    struct error *err);

/* Makes refcount blocks for a disk of disk_size bytes in the image without a
 * disk that is open as store_fd: has QEMU preallocate it all in a file that
 * may have file_limit bytes, which is enough for the blocks only.  So that
 * fails, as it shall, and the disk is as it was.  QEMU needs the file itself:
 * before 5.1 it puts the blocks where that ends, and an export does not grow.
 */
int qemu_img_reserve(const struct qemu *qemu, int store_fd,
                     uint64_t file_limit, uint64_t disk_size,
                     struct error *err);

/* Describes one image alone, not its backing files.  It may be held by
 * another process.  name is a file name, of a format; if format is NULL, it is
 * --image-opts.  files as in struct qemu_img_map.  fd is for it to inherit,
 * -1: none.  *info is the caller's, with what is in it.
 */
int qemu_img_info(const struct qemu *qemu, const char *name,
                  const char *format, const struct qemu_files *files, int fd,
                  struct image_info *info, struct error *err);

#endif
