/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A disk to read that is in an image and its backing files. */

#ifndef QT_SOURCE_IMAGE_H
#define QT_SOURCE_IMAGE_H

#include "base/error.h"
#include "export/chain.h"
#include "export/image.h"
#include "export/source-nbd.h"
#include "export/source.h"
#include "qemu/qemu.h"

/* The image that chain is of, with map->data already taken out of map or not:
 * map->places and map->others decide.  What was in chain, and in those two,
 * becomes the source's.
 *
 * All goes through QEMU if it is to be read without the page cache, or if the
 * environment's QCOW_TOOL_IMAGES is "qemu".
 */
int source_image_open(const struct qemu *qemu, struct chain *chain,
                      struct image_map *map, const struct source_nbd_how *how,
                      struct source **source, struct error *err);

#endif
