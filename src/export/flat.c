/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Whether the map of an image is its own, or that of the file system. */

#include "config.h"

#include "base/io.h"
#include "export/flat.h"

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A fixed VHD has its footer at the end only; at the front of the others is a
 * copy ("Virtual Hard Disk Image Format Specification", Hard Disk Footer).
 */
static bool is_fixed_vhd(int fd)
{
    char cookie[8];

    return io_pread_full(fd, cookie, sizeof cookie, 0) != sizeof cookie ||
           memcmp(cookie, "conectix", sizeof cookie) != 0;
}

/* The type of a VDI is at offset 76 of its header, and 2 is static
 * (block/vdi.c of QEMU).
 */
static bool is_static_vdi(int fd)
{
    uint32_t type;

    return io_pread_full(fd, &type, sizeof type, 76) == sizeof type &&
           le32toh(type) == 2;
}

/* A VMDK that is a text names its parts: each extent has a line, as in
 * RW 8192 FLAT "disk-flat.vmdk" 0 ("Virtual Disk Format 5.0", VMware).
 */
static bool is_flat_vmdk(int fd)
{
    char text[20 << 10];
    ssize_t got = io_pread_full(fd, text, sizeof text - 1, 0);

    if (got < 4 || memcmp(text, "KDMV", 4) == 0 ||
        memcmp(text, "COWD", 4) == 0)
        return false;
    text[got] = '\0';
    return strstr(text, " FLAT ") != NULL || strstr(text, " VMFS ") != NULL;
}

enum map_origin map_origin_of(const char *format, int fd)
{
    static const char *const with_tables[] = {"qcow2", "qcow", "qed",
                                              "parallels"};
    bool is_flat;

    for (size_t i = 0; i < sizeof with_tables / sizeof with_tables[0]; i++)
        if (strcmp(format, with_tables[i]) == 0)
            return MAP_BY_TABLES;
    if (strcmp(format, "raw") == 0)
        is_flat = true;
    else if (strcmp(format, "vpc") == 0)
        is_flat = is_fixed_vhd(fd);
    else if (strcmp(format, "vdi") == 0)
        is_flat = is_static_vdi(fd);
    else if (strcmp(format, "vmdk") == 0)
        is_flat = is_flat_vmdk(fd);
    else
        return MAP_BY_NOBODY;
    return is_flat ? MAP_BY_FILE_SYSTEM : MAP_BY_TABLES;
}
