/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parses what `qemu-img info --output=json` prints. */

#include "config.h"

#include "infojson.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* A copy of a string member, or NULL where there is none. */
static char *copy_string(struct json_object *object, const char *name)
{
    struct json_object *member;

    if (!json_object_object_get_ex(object, name, &member) ||
        !json_object_is_type(member, json_type_string))
        return NULL;
    return strdup(json_object_get_string(member));
}

static int take_object(struct json_object *object, struct infojson *info,
                       struct error *err)
{
    struct json_object *size;

    if (!json_object_object_get_ex(object, "virtual-size", &size) ||
        json_object_get_int64(size) < 0)
        return error_set(err, 0, "image information lacks virtual-size");
    info->virtual_size = json_object_get_int64(size);
    info->backing_file = copy_string(object, "full-backing-filename");
    if (info->backing_file == NULL)
        info->backing_file = copy_string(object, "backing-filename");
    info->backing_format = copy_string(object, "backing-filename-format");
    return 0;
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
    object = json_tokener_parse_ex(tokener, text, length);
    if (json_object_is_type(object, json_type_object))
        r = take_object(object, info, err);
    else
        r = error_set(err, 0, "image information is not a JSON object");
    json_object_put(object);
    json_tokener_free(tokener);
    return r;
}

void infojson_clear(struct infojson *info)
{
    free(info->backing_file);
    free(info->backing_format);
    *info = (struct infojson){0};
}
