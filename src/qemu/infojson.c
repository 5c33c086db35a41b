/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Parses what `qemu-img info --output=json` prints, as it arrives. */

/* Notes on the design
 *
 * json-c would build a tree of all of it.  So the text is cut into tokens
 * here, and what stands where is followed: json-c gets one name, number or
 * string at a time, and of the values only those that are asked for.  What is
 * inside of others is passed over by its brackets.
 */

#include "config.h"

#include "base/cleanup.h"
#include "qemu/infojson.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LONGEST_TOKEN = 65536,
    LONGEST_TEXT = 64 << 20, /* more than all snapshots that QEMU allows */
    DEEPEST = 64,            /* brackets in brackets */
    DEEPEST_NAME = 5,        /* format-specific, data, extents, [, ... */
    LONGEST_NAME = 32        /* a longer one is not asked for */
};

/* What may come next. */
enum state {
    VALUE,
    FIRST_ITEM, /* behind '[': a value or ']' */
    FIRST_NAME, /* behind '{': a name or '}' */
    NAME,       /* behind ',' in an object */
    COLON,
    AFTER_VALUE, /* ',' or the bracket that closes */
    COMPLETE,
};

struct infojson {
    struct image_info info;
    bool has_virtual_size;
    char *part;     /* name of the last file that a VMDK is in */
    size_t n_parts; /* how many there are */
    bool is_flat;   /* the last one is */
    size_t n_bytes; /* of text, so far */
    enum state state;
    size_t depth; /* how many brackets are open */
    char brackets[DEEPEST];
    char names[DEEPEST_NAME][LONGEST_NAME]; /* that lead to the value */

    /* A string, or a number or word, that has begun. */
    enum { NO_TOKEN, STRING, WORD } token;
    bool is_escape;   /* in a string, the next character is no quote */
    bool is_too_long; /* its beginning is all there is */
    size_t length;
    char text[LONGEST_TOKEN + 1];
};

struct infojson *infojson_new(void)
{
    return calloc(1, sizeof(struct infojson));
}

void infojson_free(struct infojson *j)
{
    if (j == NULL)
        return;
    image_info_clear(&j->info);
    free(j->part);
    free(j);
}

void image_info_clear(struct image_info *info)
{
    free(info->data_file);
    free(info->backing_file);
    free(info->full_backing_file);
    free(info->backing_format);
    *info = (struct image_info){0};
}

static int no_object(struct error *err)
{
    return error_set(err, 0, "image information is not a JSON object");
}

/* The token as json-c understands it; *object is the caller's. */
static int parse_token(struct infojson *j, struct json_object **object,
                       struct error *err)
{
    struct json_tokener *tokener = json_tokener_new();
    bool is_good;

    if (tokener == NULL)
        return error_set(err, ENOMEM, "image information");
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    /* A number ends with what comes behind it. */
    j->text[j->length] = '\0';
    *object = json_tokener_parse_ex(tokener, j->text, (int)j->length + 1);
    is_good = json_tokener_get_error(tokener) == json_tokener_success;
    json_tokener_free(tokener);
    return is_good ? 0 : no_object(err);
}

/* Do the names lead here? */
static bool is_at(const struct infojson *j, const char *name)
{
    return j->depth == 1 && strcmp(j->names[0], name) == 0;
}

static bool is_at_specific(const struct infojson *j, const char *name)
{
    return j->depth == 3 && strcmp(j->names[0], "format-specific") == 0 &&
           strcmp(j->names[1], "data") == 0 && strcmp(j->names[2], name) == 0;
}

/* In the list of the files that a VMDK is in. */
static bool is_at_part(const struct infojson *j, const char *name)
{
    return j->depth == 5 && strcmp(j->names[0], "format-specific") == 0 &&
           strcmp(j->names[1], "data") == 0 &&
           strcmp(j->names[2], "extents") == 0 && j->brackets[3] == '[' &&
           strcmp(j->names[4], name) == 0;
}

/* The string that belongs here; NULL: no string does. */
static char **find_string(struct infojson *j)
{
    if (is_at(j, "backing-filename"))
        return &j->info.backing_file;
    if (is_at(j, "full-backing-filename"))
        return &j->info.full_backing_file;
    if (is_at(j, "backing-filename-format"))
        return &j->info.backing_format;
    if (is_at_specific(j, "data-file"))
        return &j->info.data_file;
    if (is_at_part(j, "filename"))
        return &j->part;
    return NULL;
}

static int take_string(struct infojson *j, struct json_object *object,
                       char **copy, struct error *err)
{
    if (j->is_too_long)
        return error_set(err, 0,
                         "a name in the image information is over %d "
                         "bytes long",
                         LONGEST_TOKEN);
    free(*copy);
    *copy = strdup(json_object_get_string(object));
    return *copy == NULL ? error_set(err, errno, "image information") : 0;
}

/* A string, a number or a word stands where a value is to be. */
static int take_value(struct infojson *j, struct json_object *object,
                      struct error *err)
{
    char **copy = find_string(j);
    int64_t number = -1;

    if (is_at_part(j, "format")) {
        const char *format = json_object_get_string(object);

        j->n_parts++;
        j->is_flat = format != NULL && (strcmp(format, "FLAT") == 0 ||
                                        strcmp(format, "VMFS") == 0);
    }
    if (json_object_is_type(object, json_type_string))
        return copy == NULL ? 0 : take_string(j, object, copy, err);
    if (json_object_is_type(object, json_type_int))
        number = json_object_get_int64(object);
    if (is_at(j, "virtual-size")) {
        /* json-c clamps to INT64_MAX. */
        j->has_virtual_size = number >= 0 && number < INT64_MAX;
        j->info.virtual_size = number;
    } else if (is_at(j, "cluster-size") && number > 0) {
        j->info.cluster_size = number;
    } else if (is_at_specific(j, "extended-l2")) {
        j->info.is_extended_l2 = json_object_get_boolean(object);
    }
    return 0;
}

/* Remembers a name of those that matter. */
static void take_name(struct infojson *j, struct json_object *object)
{
    const char *name = json_object_get_string(object);

    if (j->depth <= DEEPEST_NAME)
        snprintf(j->names[j->depth - 1], LONGEST_NAME, "%s",
                 strlen(name) < LONGEST_NAME ? name : "");
}

static bool is_value_next(const struct infojson *j)
{
    return j->state == VALUE || j->state == FIRST_ITEM;
}

static void end_value(struct infojson *j)
{
    j->state = j->depth == 0 ? COMPLETE : AFTER_VALUE;
}

/* The token is complete. */
static int end_token(struct infojson *j, struct error *err)
{
    bool is_string = j->token == STRING;
    bool is_name = j->state == FIRST_NAME || j->state == NAME;
    struct json_object *object = NULL;
    int r;

    j->token = NO_TOKEN;
    if (!(is_name && is_string) && !(is_value_next(j) && j->depth > 0))
        return no_object(err);
    /* Nobody asks for what is too long to be kept but the names of files. */
    if (j->is_too_long) {
        j->length = 2;
        memcpy(j->text, "\"\"", 2);
    }
    if (parse_token(j, &object, err) == -1)
        return -1;
    if (is_name) {
        take_name(j, object);
        j->state = COLON;
        r = 0;
    } else {
        r = take_value(j, object, err);
        end_value(j);
    }
    json_object_put(object);
    return r;
}

/* Opens or closes a bracket, or goes from one item to the next. */
static int take_mark(struct infojson *j, char c, struct error *err)
{
    char open = j->depth > 0 ? j->brackets[j->depth - 1] : '\0';

    switch (c) {
    case '{':
    case '[':
        if (!is_value_next(j) || j->depth == DEEPEST ||
            (j->depth == 0 && c == '['))
            return no_object(err);
        if (j->depth < DEEPEST_NAME)
            j->names[j->depth][0] = '\0';
        j->brackets[j->depth++] = c;
        j->state = c == '{' ? FIRST_NAME : FIRST_ITEM;
        return 0;
    case '}':
    case ']':
        if (open != (c == '}' ? '{' : '[') ||
            (j->state != AFTER_VALUE &&
             j->state != (c == '}' ? FIRST_NAME : FIRST_ITEM)))
            return no_object(err);
        j->depth--;
        end_value(j);
        return 0;
    case ':':
        if (j->state != COLON)
            return no_object(err);
        j->state = VALUE;
        return 0;
    default: /* ',' */
        if (j->state != AFTER_VALUE)
            return no_object(err);
        j->state = open == '{' ? NAME : VALUE;
        return 0;
    }
}

static void keep(struct infojson *j, char c)
{
    if (j->length < LONGEST_TOKEN)
        j->text[j->length++] = c;
    else
        j->is_too_long = true;
}

static int take_character(struct infojson *j, char c, struct error *err)
{
    if (j->token == STRING) {
        bool is_end = c == '"' && !j->is_escape;

        keep(j, c);
        j->is_escape = c == '\\' && !j->is_escape;
        return is_end ? end_token(j, err) : 0;
    }
    if (j->token == WORD && strchr(" \t\r\n{}[]:,\"", c) == NULL) {
        keep(j, c);
        return 0;
    }
    if (j->token == WORD && end_token(j, err) == -1)
        return -1;
    if (isspace((unsigned char)c))
        return 0;
    if (j->state == COMPLETE)
        return error_set(err, 0, "there is more behind the image information");
    if (c != '\0' && strchr("{}[]:,", c) != NULL)
        return take_mark(j, c, err);
    j->token = c == '"' ? STRING : WORD;
    j->length = 0;
    j->is_escape = j->is_too_long = false;
    keep(j, c);
    return 0;
}

int infojson_feed(struct infojson *j, const char *text, size_t length,
                  struct error *err)
{
    j->n_bytes += length;
    if (j->n_bytes > LONGEST_TEXT)
        return error_set(err, 0, "image information is over %d MiB long",
                         LONGEST_TEXT >> 20);
    for (size_t i = 0; i < length; i++)
        if (take_character(j, text[i], err) == -1)
            return -1;
    return 0;
}

int infojson_end(struct infojson *j, struct image_info *info,
                 struct error *err)
{
    if (j->state != COMPLETE)
        return no_object(err);
    if (!j->has_virtual_size)
        return error_set(err, 0, "image information lacks virtual-size");
    *info = j->info;
    j->info = (struct image_info){0};
    if (info->data_file == NULL && j->n_parts == 1 && j->is_flat)
        info->data_file = STEAL_PTR(j->part);
    return 0;
}
