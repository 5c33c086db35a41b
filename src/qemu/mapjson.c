/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Parses what `qemu-img map --output=json` prints, as it arrives. */

#include "config.h"

#include "qemu/mapjson.h"
#include "qemu/json-value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* json-c parses whole values.  Given the array, it would build a tree of all
 * of it; so the brackets and commas of the outermost array are handled here,
 * and json-c gets one object after the other.
 */
enum state {
    BEFORE_ARRAY,
    BEFORE_FIRST,  /* after '[': an object or ']' */
    IN_OBJECT,     /* json-c has begun one */
    AFTER_OBJECT,  /* ',' or ']' */
    BEFORE_OBJECT, /* after ',' */
    AFTER_ARRAY,
};

/* Of one, in bytes.  QEMU's are shorter than 200; what grows without end would
 * be kept by json-c.
 */
enum { LONGEST_ENTRY = 4096 };

struct mapjson {
    mapjson_sink *sink;
    void *opaque;
    enum state state;
    struct json_value value;
    uint64_t entries;
    uint64_t disk_end; /* of the last entry */
};

struct mapjson *mapjson_new(mapjson_sink *sink, void *opaque)
{
    struct mapjson *m = calloc(1, sizeof *m);

    if (m == NULL)
        return NULL;
    m->sink = sink;
    m->opaque = opaque;
    /* Deeper than any map is nested. */
    if (json_value_open(&m->value, 8, LONGEST_ENTRY) == -1) {
        free(m);
        return NULL;
    }
    return m;
}

void mapjson_free(struct mapjson *m)
{
    if (m == NULL)
        return;
    json_value_close(&m->value);
    free(m);
}

/* A number from 0 to 2^63 - 1; QEMU prints no other. */
static bool get_number(struct json_object *object, const char *name,
                       uint64_t *value)
{
    struct json_object *member;
    int64_t number;

    if (!json_object_object_get_ex(object, name, &member) ||
        !json_object_is_type(member, json_type_int))
        return false;
    number = json_object_get_int64(member);
    if (number < 0 || number == INT64_MAX) /* json-c clamps to it */
        return false;
    *value = number;
    return true;
}

static bool get_flag(struct json_object *object, const char *name, bool *value)
{
    struct json_object *member;

    if (!json_object_object_get_ex(object, name, &member) ||
        !json_object_is_type(member, json_type_boolean))
        return false;
    *value = json_object_get_boolean(member);
    return true;
}

static int parse_object(struct mapjson *m, struct json_object *object,
                        struct error *err)
{
    struct mapjson_entry e = {0};

    if (!json_object_is_type(object, json_type_object) ||
        !get_number(object, "start", &e.disk_offset) ||
        !get_number(object, "length", &e.length) ||
        !get_number(object, "depth", &e.depth) ||
        !get_flag(object, "data", &e.is_data) ||
        !get_flag(object, "zero", &e.is_zero))
        return error_set(err, 0,
                         "map entry %" PRIu64
                         " lacks start, length, depth, data or zero",
                         m->entries);
    e.has_file_offset = get_number(object, "offset", &e.file_offset);
    get_flag(object, "compressed", &e.is_compressed);

    if (m->entries > 0 && e.disk_offset != m->disk_end)
        return error_set(err, 0,
                         "map entry %" PRIu64 " begins at disk offset %" PRIu64
                         ", not at %" PRIu64,
                         m->entries, e.disk_offset, m->disk_end);
    /* QEMU maps an empty disk as one empty range.  Of more there might be no
     * end.
     */
    if (e.length > INT64_MAX - e.disk_offset ||
        (e.length == 0 && m->entries > 0))
        return error_set(err, 0,
                         "map entry %" PRIu64 " at disk offset %" PRIu64
                         " has the impossible length %" PRIu64,
                         m->entries, e.disk_offset, e.length);
    m->disk_end = e.disk_offset + e.length;
    m->entries++;
    return m->sink(m->opaque, &e, err);
}

/* An object goes on, or begins; *used is how much of text is its. */
static int feed_object(struct mapjson *m, const char *text, size_t length,
                       size_t *used, struct error *err)
{
    struct json_object *object;
    int r;

    switch (json_value_feed(&m->value, text, length, used, &object)) {
    case JSON_VALUE_IS_PART:
        return 0;
    case JSON_VALUE_IS_LONG:
        return error_set(err, 0,
                         "map entry %" PRIu64 " is longer than %d bytes",
                         m->entries, LONGEST_ENTRY);
    case JSON_VALUE_IS_BAD:
        return error_set(err, 0, "map entry %" PRIu64 " is not JSON: %s",
                         m->entries, json_value_problem(&m->value));
    case JSON_VALUE_IS_WHOLE:
        break;
    }
    m->state = AFTER_OBJECT;
    r = parse_object(m, object, err);
    json_object_put(object);
    return r;
}

/* One character between the objects; false if it must not stand there. */
static bool step(struct mapjson *m, char c)
{
    switch (m->state) {
    case BEFORE_ARRAY:
        m->state = BEFORE_FIRST;
        return c == '[';
    case BEFORE_FIRST:
        m->state = AFTER_ARRAY;
        return c == ']';
    case AFTER_OBJECT:
        m->state = c == ',' ? BEFORE_OBJECT : AFTER_ARRAY;
        return c == ',' || c == ']';
    default:
        return false;
    }
}

static bool may_begin_object(const struct mapjson *m)
{
    return m->state == BEFORE_FIRST || m->state == BEFORE_OBJECT;
}

int mapjson_feed(struct mapjson *m, const char *text, size_t length,
                 struct error *err)
{
    while (length > 0) {
        size_t used = 1;

        if (*text == '{' && may_begin_object(m))
            m->state = IN_OBJECT;
        if (m->state == IN_OBJECT) {
            if (feed_object(m, text, length, &used, err) == -1)
                return -1;
        } else if (!isspace((unsigned char)*text) && !step(m, *text)) {
            return error_set(err, 0,
                             "unexpected '%c' after %" PRIu64 " map entries",
                             isprint((unsigned char)*text) ? *text : '?',
                             m->entries);
        }
        text += used;
        length -= used;
    }
    return 0;
}

int mapjson_end(struct mapjson *m, struct error *err)
{
    if (m->state != AFTER_ARRAY)
        return error_set(err, 0, "map ends early, after %" PRIu64 " entries",
                         m->entries);
    return 0;
}
