/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What json-c before 0.14 does not have, of what we use. */

#ifndef QT_COMPAT_JSON_H
#define QT_COMPAT_JSON_H

#include <json-c/json.h>
#include <stddef.h>

/* Has the tokener take one value, whatever comes behind it; and no comments,
 * which are not even taken in the same way everywhere.  Before 0.14 it is only
 * both or none.
 */
static inline void compat_json_take_one(struct json_tokener *tokener)
{
#ifdef JSON_TOKENER_ALLOW_TRAILING_CHARS
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT |
                                        JSON_TOKENER_ALLOW_TRAILING_CHARS);
#else
    (void)tokener;
#endif
}

/* Bytes of the last text up to where its value ended. */
static inline size_t compat_json_parse_end(struct json_tokener *tokener)
{
#ifdef JSON_TOKENER_ALLOW_TRAILING_CHARS
    return json_tokener_get_parse_end(tokener);
#else
    return (size_t)tokener->char_offset;
#endif
}

#endif
