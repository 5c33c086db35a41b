/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What QEMU does not say of a VHD. */

#ifndef QT_VHD_H
#define QT_VHD_H

#include <stdbool.h>

struct vhd {
    /* Its disk has the size that is in the footer as a number, and not that of
     * its geometry, which QEMU would take.
     */
    bool has_footer_size;
    bool is_differencing; /* it has a parent, which QEMU would not read */
};

/* Of the file that is open as fd.  Neither, if it is no VHD. */
struct vhd vhd_look_at(int fd);

#endif
