/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Breaks an image in a way that a number decides. */

#ifndef QT_HOSTILE_MUTATE_H
#define QT_HOSTILE_MUTATE_H

#include "image.h"

/* What was done, in words. */
struct story {
    char text[1024];
};

/* Changes image, which is a copy of a valid one with these places and has room
 * for MUTATE_ROOM bytes more.  The same number, the same change.
 */
enum { MUTATE_ROOM = 65536 };

void mutate(struct image *image, const struct places places[N_PLACE_KINDS],
            uint64_t number, struct story *story);

#endif
