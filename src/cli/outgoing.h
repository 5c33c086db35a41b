/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* From the command line to what goes out. */

#ifndef QT_OUTGOING_H
#define QT_OUTGOING_H

#include "base/error.h"
#include "cli/option-table.h"
#include "export/export.h"
#include "export/stream.h"

/* Which disk goes out, in the words of the command line: each in the form that
 * the format wants, or NULL if it is not there.
 */
struct outgoing_words {
    const char *format; /* NULL: the usual one */
    const char *source, *image_format, *base;
};

/* Keeps a word until all of them are known. */
int outgoing_note(struct outgoing_words *words, const struct option_spec *spec,
                  const char *value, struct error *err);

/* Takes an option of what goes out, or of where it goes. */
int outgoing_apply(struct stream_options *o, const struct option_spec *spec,
                   const char *value, struct error *err);

/* All options are in: fills in the source and its base, and sees whether what
 * goes out fits together.
 */
int outgoing_complete(struct export_options *o,
                      const struct outgoing_words *words, struct error *err);

#endif
