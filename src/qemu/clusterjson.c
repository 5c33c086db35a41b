/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Parses the JSON in which xapi 26.0 to 26.15 tells what of a disk is data. */

/* Notes on the design
 *
 * json-c would build a tree of all of it, and a full disk of 16 TiB has 2^28
 * clusters.  So the brackets, colons and commas of the object are handled
 * here, as mapjson.c does, and json-c gets its names and values; but the
 * numbers of clusters are read one by one, and those that follow each other
 * become one run at once.  What a cluster is may be told behind them.
 */

#include "config.h"

#include "base/io.h"
#include "base/vector.h"
#include "qemu/clusterjson.h"
#include "qemu/json-value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Clusters of the disk, by number. */
struct run {
    uint64_t first, last;
};

VECTOR_TYPE(runs, struct run);
VECTOR_FUNCTIONS(runs, struct run, "clusters");

enum state {
    BEFORE_OBJECT,
    BEFORE_FIRST, /* a name or '}' */
    BEFORE_NAME,  /* after ',' */
    IN_NAME,      /* json-c has begun it */
    AFTER_NAME,   /* ':' */
    BEFORE_VALUE,
    IN_VALUE,    /* json-c has begun it */
    AFTER_VALUE, /* ',' or '}' */
    AFTER_OBJECT,

    /* In data_clusters. */
    BEFORE_ITEM,    /* or ']', in an empty array */
    BEFORE_NEXT,    /* an item, after ',' */
    IN_NUMBER,      /* after its first digit */
    AFTER_ITEM,     /* ',' or ']' */
    BEFORE_END,     /* of a pair: a number */
    BEFORE_PAIR,    /* its first number, after '[' */
    AFTER_PAIR_ONE, /* ',' */
    AFTER_PAIR_TWO, /* ']' */
};

/* A name, or a value that is none of clusters, in bytes.  json-c would keep
 * all of it.
 */
enum { LONGEST_VALUE = 65536 };

enum member { VIRTUAL_SIZE, CLUSTER_BITS, DATA_CLUSTERS, N_MEMBERS };

static const char *const member_names[N_MEMBERS] = {
    [VIRTUAL_SIZE] = "virtual_size",
    [CLUSTER_BITS] = "cluster_bits",
    [DATA_CLUSTERS] = "data_clusters",
};

struct clusterjson {
    enum state state, after_number;
    struct json_value value;
    enum member member; /* that is being read; N_MEMBERS: any other */
    bool is_known[N_MEMBERS];
    uint64_t virtual_size, cluster_bits;
    uint64_t number, first; /* of the item that is being read */
    struct runs runs;
    bool is_sorted;
};

struct clusterjson *clusterjson_new(void)
{
    struct clusterjson *j = calloc(1, sizeof *j);

    if (j == NULL)
        return NULL;
    j->is_sorted = true;
    if (json_value_open(&j->value, 8, LONGEST_VALUE) == -1) {
        free(j);
        return NULL;
    }
    return j;
}

void clusterjson_free(struct clusterjson *j)
{
    if (j == NULL)
        return;
    json_value_close(&j->value);
    runs_free(&j->runs);
    free(j);
}

static int unexpected(char c, struct error *err)
{
    return error_set(err, 0, "unexpected '%c' in the JSON of clusters",
                     isprint((unsigned char)c) ? c : '?');
}

/* Adds clusters, joined with the last run where they follow it. */
static int add_run(struct clusterjson *j, uint64_t first, uint64_t last,
                   struct error *err)
{
    struct run *run = NULL;

    if (first > last)
        return error_set(err, 0,
                         "clusters %" PRIu64 " to %" PRIu64
                         " end before they begin",
                         first, last);
    if (j->runs.count > 0)
        run = &j->runs.list[j->runs.count - 1];
    if (run != NULL && first == run->last + 1) {
        run->last = last;
        return 0;
    }
    if (run != NULL && first <= run->last)
        j->is_sorted = false;
    return runs_push(&j->runs, (struct run){first, last}, err);
}

static int take_name(struct clusterjson *j, const char *name,
                     struct error *err)
{
    int i = 0;

    while (i < N_MEMBERS && strcmp(name, member_names[i]) != 0)
        i++;
    j->member = i;
    if (i < N_MEMBERS && j->is_known[i])
        return error_set(err, 0, "%s comes twice", name);
    return 0;
}

static int take_value(struct clusterjson *j, struct json_object *value,
                      struct error *err)
{
    int64_t number = json_object_get_int64(value);

    if (j->member == N_MEMBERS)
        return 0;
    /* json-c clamps to the largest. */
    if (!json_object_is_type(value, json_type_int) || number < 0 ||
        number == INT64_MAX || j->member == DATA_CLUSTERS)
        return error_set(err, 0, "%s is not as it has to be",
                         member_names[j->member]);
    if (j->member == VIRTUAL_SIZE)
        j->virtual_size = number;
    else
        j->cluster_bits = number;
    j->is_known[j->member] = true;
    return 0;
}

/* A name or a value goes on, or begins; *used is how much of text is its. */
static int feed_value(struct clusterjson *j, const char *text, size_t length,
                      size_t *used, struct error *err)
{
    struct json_object *value;
    int r;

    switch (json_value_feed(&j->value, text, length, used, &value)) {
    case JSON_VALUE_IS_PART:
        return 0;
    case JSON_VALUE_IS_LONG:
        return error_set(err, 0,
                         "a name or value in the JSON of clusters is longer "
                         "than %d bytes",
                         LONGEST_VALUE);
    case JSON_VALUE_IS_BAD:
        return error_set(err, 0, "it is not JSON: %s",
                         json_value_problem(&j->value));
    case JSON_VALUE_IS_WHOLE:
        break;
    }
    if (j->state == IN_NAME) {
        j->state = AFTER_NAME;
        r = take_name(j, json_object_get_string(value), err);
    } else {
        j->state = AFTER_VALUE;
        r = take_value(j, value, err);
    }
    json_object_put(value);
    return r;
}

/* A whole number has been read. */
static int end_number(struct clusterjson *j, struct error *err)
{
    j->state = j->after_number;
    if (j->state == AFTER_ITEM)
        return add_run(j, j->number, j->number, err);
    if (j->state == AFTER_PAIR_TWO)
        return add_run(j, j->first, j->number, err);
    j->first = j->number;
    return 0;
}

/* The next character of a number; *used is 0 if it is behind it. */
static int feed_digit(struct clusterjson *j, char c, size_t *used,
                      struct error *err)
{
    if (c < '0' || c > '9') {
        *used = 0;
        return end_number(j, err);
    }
    /* No disk has a cluster of that number. */
    if (j->number >= UINT64_C(1) << 58)
        return error_set(err, 0, "no disk has a cluster %" PRIu64 "%c",
                         j->number, c);
    j->number = j->number * 10 + (c - '0');
    return 0;
}

static bool begin_number(struct clusterjson *j, char c, enum state after)
{
    j->number = c - '0';
    j->after_number = after;
    j->state = IN_NUMBER;
    return c >= '0' && c <= '9';
}

/* One character of data_clusters; false if it must not stand there. */
static bool step_item(struct clusterjson *j, char c)
{
    switch (j->state) {
    case BEFORE_ITEM:
    case BEFORE_NEXT:
        if (c == ']' && j->state == BEFORE_ITEM) {
            j->state = AFTER_VALUE;
            return true;
        }
        if (c != '[')
            return begin_number(j, c, AFTER_ITEM);
        j->state = BEFORE_PAIR;
        return true;
    case BEFORE_PAIR:
        return begin_number(j, c, AFTER_PAIR_ONE);
    case AFTER_PAIR_ONE:
        j->state = BEFORE_END;
        return c == ',';
    case BEFORE_END:
        return begin_number(j, c, AFTER_PAIR_TWO);
    case AFTER_PAIR_TWO:
        j->state = AFTER_ITEM;
        return c == ']';
    default: /* AFTER_ITEM */
        j->state = c == ',' ? BEFORE_NEXT : AFTER_VALUE;
        return c == ',' || c == ']';
    }
}

/* One character between names and values, likewise. */
static bool step(struct clusterjson *j, char c)
{
    switch (j->state) {
    case BEFORE_OBJECT:
        j->state = BEFORE_FIRST;
        return c == '{';
    case BEFORE_FIRST:
        j->state = AFTER_OBJECT;
        return c == '}';
    case AFTER_NAME:
        j->state = BEFORE_VALUE;
        return c == ':';
    case AFTER_VALUE:
        j->state = c == ',' ? BEFORE_NAME : AFTER_OBJECT;
        return c == ',' || c == '}';
    case BEFORE_NAME:
    case AFTER_OBJECT:
        return false;
    default:
        return step_item(j, c);
    }
}

/* Does c begin what json-c or step_item reads? */
static void begin_value(struct clusterjson *j, char c)
{
    if ((j->state == BEFORE_FIRST || j->state == BEFORE_NAME) && c == '"')
        j->state = IN_NAME;
    if (j->state == BEFORE_VALUE && !(j->member == DATA_CLUSTERS && c == '['))
        j->state = IN_VALUE;
}

static int feed_some(struct clusterjson *j, const char *text, size_t length,
                     size_t *used, struct error *err)
{
    *used = 1;
    if (j->state == IN_NUMBER)
        return feed_digit(j, *text, used, err);
    if (j->state != IN_NAME && j->state != IN_VALUE &&
        isspace((unsigned char)*text))
        return 0;
    begin_value(j, *text);
    if (j->state == IN_NAME || j->state == IN_VALUE)
        return feed_value(j, text, length, used, err);
    if (j->state == BEFORE_VALUE) {
        j->state = BEFORE_ITEM;
        j->is_known[DATA_CLUSTERS] = true;
        return 0;
    }
    return step(j, *text) ? 0 : unexpected(*text, err);
}

int clusterjson_feed(struct clusterjson *j, const char *text, size_t length,
                     struct error *err)
{
    while (length > 0) {
        size_t used;

        if (feed_some(j, text, length, &used, err) == -1)
            return -1;
        text += used;
        length -= used;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct run *x = a, *y = b;

    return (x->first > y->first) - (x->first < y->first);
}

int clusterjson_end(struct clusterjson *j, uint64_t *virtual_size,
                    struct extents *data, struct error *err)
{
    uint64_t next = 0, count; /* clusters */

    if (j->state != AFTER_OBJECT)
        return error_set(err, 0, "the JSON of clusters ends early");
    for (int i = 0; i < N_MEMBERS; i++)
        if (!j->is_known[i])
            return error_set(err, 0, "%s is missing", member_names[i]);
    if (j->cluster_bits < 9 || j->cluster_bits > 21)
        return error_set(err, 0, "cluster_bits is %" PRIu64, j->cluster_bits);
    if (!j->is_sorted)
        qsort(j->runs.list, j->runs.count, sizeof *j->runs.list, compare);
    *virtual_size = j->virtual_size;
    count = IO_ROUND_UP(j->virtual_size, UINT64_C(1) << j->cluster_bits) >>
            j->cluster_bits;
    for (size_t i = 0; i < j->runs.count; i++) {
        const struct run *run = &j->runs.list[i];
        uint64_t from = io_max(next, run->first) << j->cluster_bits;
        uint64_t to =
            io_min((run->last + 1) << j->cluster_bits, j->virtual_size);

        if (run->last >= count)
            return error_set(err, 0,
                             "cluster %" PRIu64 " is behind the end of the "
                             "disk, which has %" PRIu64,
                             run->last, count);
        if (run->last < next)
            continue;
        if (extents_append(data, from, to - from, err) == -1)
            return -1;
        next = run->last + 1;
    }
    return 0;
}
