/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Where a disk to export, or the base of one, is found. */

#include "config.h"

#include "export/source-address.h"

#include <stdlib.h>

void export_source_clear(struct export_source *source)
{
    free(source->device);
    free(source->image_path);
    free(source->image_format);
    free(source->socket_path);
    free(source->export_name);
    free(source->uri);
    *source = (struct export_source){.kind = EXPORT_NONE};
}
