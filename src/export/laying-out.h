/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* From what is to be sent to the image that is going to be it. */

#ifndef QT_LAYING_OUT_H
#define QT_LAYING_OUT_H

#include "export/selection.h"

/* Has QEMU lay out the image of p->delta, with which p->disk is ready to go
 * out.  p->disk->store is made on the way, and stays if this fails.
 */
int laying_out(struct preparation *p, struct error *err);

#endif
