/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Can QEMU write a VHDX image in any order? */

#ifndef QT_VHDX_ORDER_H
#define QT_VHDX_ORDER_H

#include "base/error.h"
#include "qemu/qemu.h"

/* Tries it in the file that is open as fd, whose contents are lost: it holds a
 * small image then.  Fails with the name of what QEMU does if it cannot.
 */
int vhdx_order_check(const struct qemu *qemu, int fd, struct error *err);

#endif
