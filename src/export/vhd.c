/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What QEMU does not say of a VHD. */

#include "config.h"

#include "base/io.h"
#include "export/vhd.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* A VHD's footer, also found at the front of one that is not fixed
 * ("Virtual Hard Disk Image Format Specification", Hard Disk Footer Format).
 */
enum {
    FOOTER = 512,
    CREATOR_AT = 28,
    TYPE_AT = 60,
    DIFFERENCING = 4,
};

static bool is_footer(int fd, uint64_t file_offset, char *footer)
{
    return io_pread_full(fd, footer, FOOTER, file_offset) == FOOTER &&
           memcmp(footer, "conectix", 8) == 0;
}

/* The size of a disk is in the footer twice, as a number and as a geometry
 * that is seldom the same.  QEMU goes by the geometry unless it knows the
 * creator.  But only these, Virtual PC, Virtual Server and QEMU itself, mean
 * that; Xen Orchestra ("xo  "), VirtualBox ("vbox") and all others do not.
 */
static bool means_geometry(const char *creator)
{
    return memcmp(creator, "vpc ", 4) == 0 ||
           memcmp(creator, "vs  ", 4) == 0 || memcmp(creator, "qemu", 4) == 0;
}

struct vhd vhd_look_at(int fd)
{
    off_t end = lseek(fd, 0, SEEK_END);
    char footer[FOOTER];
    uint32_t type;

    if (end < FOOTER ||
        (!is_footer(fd, 0, footer) && !is_footer(fd, end - FOOTER, footer)))
        return (struct vhd){0};
    memcpy(&type, footer + TYPE_AT, sizeof type);
    return (struct vhd){
        .has_footer_size = !means_geometry(footer + CREATOR_AT),
        .is_differencing = be32toh(type) == DIFFERENCING,
    };
}
