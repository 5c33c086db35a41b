/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What somebody else knows to have changed on a disk. */

#ifndef QT_CHANGES_H
#define QT_CHANGES_H

#include "base/error.h"
#include "export/selection.h"

/* Reads the record that the options name, and fills p->changed.  The source is
 * open.
 */
int changes_find(struct preparation *p, struct error *err);

#endif
