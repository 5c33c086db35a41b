/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parses what `qemu-img info --output=json` prints. */

#include "config.h"

#include "infojson.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* Copies a string member, if there is one.  -1: no memory. */
static int copy_string(struct json_object *object, const char *name,
                       char **copy)
{
    struct json_object *member;

    if (*copy != NULL || !json_object_object_get_ex(object, name, &member) ||
        !json_object_is_type(member, json_type_string))
        return 0;
    *copy = strdup(json_object_get_string(member));
    return *copy == NULL ? -1 : 0;
}

static int take_object(struct json_object *object, struct infojson *info,
                       struct error *err)
{
    struct json_object *member, *specific;
    int64_t size = -1;

    if (json_object_object_get_ex(object, "virtual-size", &member) &&
        json_object_is_type(member, json_type_int))
        size = json_object_get_int64(member);
    if (size < 0 || size == INT64_MAX) /* json-c clamps to it */
        return error_set(err, 0, "image information lacks virtual-size");
    info->virtual_size = size;
    if (json_object_object_get_ex(object, "cluster-size", &member) &&
        json_object_is_type(member, json_type_int) &&
        json_object_get_int64(member) > 0)
        info->cluster_size = json_object_get_int64(member);
    if (json_object_object_get_ex(object, "format-specific", &member) &&
        json_object_object_get_ex(member, "data", &specific)) {
        if (json_object_object_get_ex(specific, "extended-l2", &member))
            info->is_extended_l2 = json_object_get_boolean(member);
        if (copy_string(specific, "data-file", &info->data_file) == -1)
            return error_set(err, ENOMEM, "image information");
    }
    if (copy_string(object, "full-backing-filename", &info->backing_file) ==
            -1 ||
        copy_string(object, "backing-filename", &info->backing_file) == -1 ||
        copy_string(object, "backing-filename-format",
                    &info->backing_format) == -1)
        return error_set(err, ENOMEM, "image information");
    return 0;
}

static bool is_blank(const char *text, size_t length, size_t from)
{
    while (from < length && isspace((unsigned char)text[from]))
        from++;
    return from == length;
}

int infojson_parse(const char *text, size_t length, struct infojson *info,
                   struct error *err)
{
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *object;
    int r;

    *info = (struct infojson){0};
    if (tokener == NULL)
        return error_set(err, ENOMEM, "image information");
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT |
                                        JSON_TOKENER_ALLOW_TRAILING_CHARS);
    object = json_tokener_parse_ex(tokener, text, length);
    if (object != NULL &&
        !is_blank(text, length, json_tokener_get_parse_end(tokener)))
        r = error_set(err, 0, "there is more behind the image information");
    else if (json_object_is_type(object, json_type_object))
        r = take_object(object, info, err);
    else
        r = error_set(err, 0, "image information is not a JSON object");
    json_object_put(object);
    json_tokener_free(tokener);
    if (r == -1)
        infojson_clear(info);
    return r;
}

void infojson_clear(struct infojson *info)
{
    free(info->data_file);
    free(info->backing_file);
    free(info->backing_format);
    *info = (struct infojson){0};
}
