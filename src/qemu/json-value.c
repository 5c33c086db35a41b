/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* One value of JSON after another, out of a text that comes in pieces. */

#include "config.h"

#include "base/io.h"
#include "qemu/json-value.h"

/* What came with json-c 0.14.  Before, its tokener takes comments, too,
 * wherever it takes what is behind a value.
 */
#ifdef JSON_TOKENER_ALLOW_TRAILING_CHARS
#define FLAGS (JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS)
#define PARSE_END(tokener) json_tokener_get_parse_end(tokener)
#else
#define FLAGS 0
#define PARSE_END(tokener) ((size_t)(tokener)->char_offset)
#endif

int json_value_open(struct json_value *v, int depth, size_t longest)
{
    *v = (struct json_value){
        .tokener = json_tokener_new_ex(depth),
        .longest = longest,
    };
    if (v->tokener == NULL)
        return -1;
    json_tokener_set_flags(v->tokener, FLAGS);
    return 0;
}

void json_value_close(struct json_value *v)
{
    if (v->tokener != NULL)
        json_tokener_free(v->tokener);
    v->tokener = NULL;
}

enum json_value_state json_value_feed(struct json_value *v, const char *text,
                                      size_t length, size_t *used,
                                      struct json_object **object)
{
    enum json_tokener_error result;

    length = io_min(length, v->longest - v->given);
    *object = json_tokener_parse_ex(v->tokener, text, (int)length);
    result = json_tokener_get_error(v->tokener);
    *used = length;
    if (result == json_tokener_continue) {
        v->given += length;
        return v->given < v->longest ? JSON_VALUE_IS_PART : JSON_VALUE_IS_LONG;
    }
    if (result != json_tokener_success)
        return JSON_VALUE_IS_BAD;
    *used = PARSE_END(v->tokener);
    json_tokener_reset(v->tokener);
    v->given = 0;
    return JSON_VALUE_IS_WHOLE;
}

const char *json_value_problem(const struct json_value *v)
{
    return json_tokener_error_desc(json_tokener_get_error(v->tokener));
}
