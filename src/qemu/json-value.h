/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* One value of JSON after another, out of a text that comes in pieces. */

#ifndef QT_JSON_VALUE_H
#define QT_JSON_VALUE_H

#include <json-c/json.h>
#include <stddef.h>

/* json-c (json_tokener.h) keeps what it has begun: so that has a bound. */
struct json_value {
    struct json_tokener *tokener;
    size_t longest; /* bytes of a value */
    size_t given;   /* of the one that has been begun */
};

/* Returns -1 if there is no memory. */
int json_value_open(struct json_value *v, int depth, size_t longest);

/* One that was not opened is fine. */
void json_value_close(struct json_value *v);

enum json_value_state {
    JSON_VALUE_IS_PART, /* there has to be more of it */
    JSON_VALUE_IS_WHOLE,
    JSON_VALUE_IS_LONG, /* longer than it may be */
    JSON_VALUE_IS_BAD,
};

/* text goes on with the value, or begins it; *used is how much of it belongs
 * to that.  *object is the caller's if it is whole; NULL is JSON's null.
 */
enum json_value_state json_value_feed(struct json_value *v, const char *text,
                                      size_t length, size_t *used,
                                      struct json_object **object);

/* Why it is bad. */
const char *json_value_problem(const struct json_value *v);

#endif
