/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Whether an image that was laid out is the one that the caller means. */

#include "config.h"

#include "base/io.h"
#include "export/expectations.h"

#include <inttypes.h>

/* Is it the image that the caller knows? */
static int check_image(const struct export_options *o,
                       const struct export_disk *disk, struct error *err)
{
    uint64_t length = disk->skeleton.file_length;
    char id[IDENTITY_SPACE];

    if (o->has_expected_length && length != o->expected_length)
        return error_set(err, 0,
                         "source: the image has %" PRIu64
                         " bytes, not %" PRIu64 " as --expect-length says",
                         length, o->expected_length);
    if (o->expected_id == NULL)
        return 0;
    if (export_identity(disk, id, err) == -1)
        return -1;
    if (identity_is_equal(id, o->expected_id))
        return 0;
    return error_set(err, 0,
                     "source: it is another image than --expect-id says: its "
                     "id is %s",
                     id);
}

/* Does the image have all of what is wanted of it? */
static int check_piece(const struct export_piece *piece, uint64_t image_length,
                       struct error *err)
{
    uint64_t end =
        io_max(piece->file_offset, export_piece_end(piece, image_length));

    if (end <= image_length)
        return 0;
    return error_set(err, 0,
                     "source: the image ends at file offset %" PRIu64
                     ", before %" PRIu64,
                     image_length, end);
}

int expectations_check(const struct export_options *options,
                       const struct export_disk *disk, struct error *err)
{
    if (check_image(options, disk, err) == -1)
        return -1;
    return check_piece(&options->piece, disk->skeleton.file_length, err);
}
