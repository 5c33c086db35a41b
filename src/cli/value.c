/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* From the text of an option's value to what it means. */

#include "config.h"

#include "cli/fds.h"
#include "cli/hybrid.h"
#include "cli/value.h"
#include "export/identity.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a unit multiplies by, or 0 if it is none.  QEMU's tools take both
 * cases of K, M, G and T; the others are those of dd(1).
 */
static uint64_t unit_factor(const char *unit)
{
    static const char letters[] = "KMGT";
    const char *letter = strchr(letters, toupper((unsigned char)unit[0]));
    uint64_t factor = 1;
    unsigned base = 1024;

    if (unit[0] == '\0')
        return 1;
    if (letter == NULL)
        return 0;
    if (strcasecmp(unit + 1, "B") == 0)
        base = 1000;
    else if (unit[1] != '\0' && strcasecmp(unit + 1, "iB") != 0)
        return 0;
    for (const char *l = letters; l <= letter; l++)
        factor *= base;
    return factor;
}

/* where names what has the text, for the message. */
static int parse_size(const char *where, const char *text, uint64_t *size,
                      struct error *err)
{
    uint64_t factor = 0;
    char *end;

    errno = 0;
    *size = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && errno == 0)
        factor = unit_factor(end);
    if (factor == 0 || *size > INT64_MAX / factor)
        return error_set(err, 0, "%s: '%s' is not a size", where, text);
    *size *= factor;
    return 0;
}

int value_parse_size(const char *name, const char *text, uint64_t *size,
                     struct error *err)
{
    char where[64];

    snprintf(where, sizeof where, "--%s", name);
    return parse_size(where, text, size, err);
}

int value_parse_length(const char *name, const char *text, uint64_t *length,
                       struct error *err)
{
    if (value_parse_size(name, text, length, err) == -1)
        return -1;
    return *length > 0 ? 0 : error_set(err, 0, "--%s: 0 is no length", name);
}

int value_parse_seconds(const char *name, const char *text, unsigned *seconds,
                        struct error *err)
{
    enum { DAY = 24 * 60 * 60 };
    unsigned long value;
    char *end;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
        value > DAY)
        return error_set(err, 0,
                         "--%s: '%s' is not a number of seconds, up to %d",
                         name, text, DAY);
    *seconds = value;
    return 0;
}

const char *value_find_spool_dir(void)
{
    static const char *const variables[] = {"QCOW_TOOL_SPOOL_DIR", "TMPDIR"};

    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *dir = getenv(variables[i]);

        if (dir != NULL && dir[0] != '\0')
            return dir;
    }
    return "/var/tmp";
}

int value_find_spool_limit(uint64_t usual, uint64_t *limit, struct error *err)
{
    static const char variable[] = "QCOW_TOOL_SPOOL_LIMIT";
    const char *text = getenv(variable);

    *limit = usual;
    if (text == NULL || text[0] == '\0')
        return 0;
    return parse_size(variable, text, limit, err);
}

int value_parse_word(const char *name, const char *value,
                     const char *supported, int *index, struct error *err)
{
    const char *word = supported;

    for (*index = 0; *word != '\0'; ++*index) {
        size_t length = strcspn(word, ",");

        if (strlen(value) == length && strncmp(word, value, length) == 0)
            return 0;
        word += length;
        word += strspn(word, ", ");
    }
    return error_set(err, 0, "--%s: '%s' is not supported; supported: %s",
                     name, value, supported);
}

/* A URL that is none of ours is not a file name that anyone means. */
static int parse_any_path(const char *name, const char *value,
                          const char *supported, const char **path,
                          struct error *err)
{
    const char *colon = strstr(value, "://");

    if (strncmp(value, "file://", 7) == 0)
        value += 7;
    else if (colon != NULL && strcspn(value, "/") > (size_t)(colon - value))
        return error_set(err, 0, "--%s: '%s' is not supported; supported: %s",
                         name, value, supported);
    if (value[0] == '\0')
        return error_set(err, 0, "--%s: the path is empty", name);
    *path = value;
    return 0;
}

int value_parse_sandbox(const char *name, const char *value, struct qemu *qemu,
                        struct error *err)
{
    int word;

    if (value_parse_word(name, value, "auto, off, require", &word, err) == -1)
        return -1;
    qemu->sandbox = word; /* the words are in its order */
    return 0;
}

int value_parse_path(const char *name, const char *value, const char **path,
                     struct error *err)
{
    return parse_any_path(name, value, "PATH, file://PATH", path, err);
}

int value_parse_disk(const char *name, const char *value, int standard_fd,
                     const char **path, struct error *err)
{
    struct stat st;

    if (strcmp(value, "-") != 0)
        return value_parse_path(name, value, path, err);
    if (fstat(standard_fd, &st) == -1 ||
        (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
        return error_set(err, 0,
                         "--%s: standard %s is neither a file nor a block "
                         "device, as a disk has to be",
                         name,
                         standard_fd == STDIN_FILENO ? "input" : "output");
    *path = standard_fd == STDIN_FILENO ? "/dev/fd/0" : "/dev/fd/1";
    return 0;
}

int value_parse_fd(const char *name, const char *value, int *fd,
                   struct error *err)
{
    if (strncmp(value, "fd:", 3) == 0)
        value += 3;
    if (fds_find(value, fd, err) == -1)
        return error_wrap(err, "--%s", name);
    return 0;
}

int value_parse_fd_or_standard(const char *name, const char *value,
                               int standard_fd, int *fd, struct error *err)
{
    if (strcmp(value, "-") != 0)
        return value_parse_fd(name, value, fd, err);
    *fd = standard_fd;
    return 0;
}

int value_parse_fd_if_passed(const char *name, const char *value, int *fd,
                             struct error *err)
{
    if (strncmp(value, "fd:", 3) == 0)
        value += 3;
    if (fds_find_if_passed(value, fd, err) == -1)
        return error_wrap(err, "--%s", name);
    return 0;
}

/* A power of two from least to most, which range says for people. */
static int parse_power(const char *name, const char *text, uint64_t least,
                       uint64_t most, const char *range, uint64_t *number,
                       struct error *err)
{
    if (value_parse_size(name, text, number, err) == -1)
        return -1;
    if (*number >= least && *number <= most && (*number & (*number - 1)) == 0)
        return 0;
    return error_set(err, 0, "--%s: '%s' is not a power of two from %s", name,
                     text, range);
}

int value_parse_cluster_size(const char *name, const char *value,
                             struct qcow2_options *qcow2, struct error *err)
{
    return parse_power(name, value, 512, 2 << 20, "512 to 2M",
                       &qcow2->cluster_size, err);
}

int value_parse_refcount_bits(const char *name, const char *value,
                              struct qcow2_options *qcow2, struct error *err)
{
    uint64_t number = QCOW2_REFCOUNT_AUTO;

    if (strcmp(value, "auto") != 0 &&
        parse_power(name, value, 1, 64, "1 to 64", &number, err) == -1)
        return -1;
    qcow2->refcount_bits = number;
    return 0;
}

int value_parse_id(const char *name, const char *value, const char **id,
                   struct error *err)
{
    *id = value;
    if (identity_is_valid(value))
        return 0;
    return error_set(err, 0,
                     "--%s: '%s' is not an id as measure prints it, which has "
                     "%d hexadecimal digits",
                     name, value, IDENTITY_DIGITS);
}

int value_parse_uri(const char *name, const char *value, struct error *err)
{
    static const char *const schemes[] = {
        "nbd://",       "nbds://",      "nbd+unix://",
        "nbds+unix://", "nbd+vsock://", "nbds+vsock://",
    };

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (strncmp(value, schemes[i], strlen(schemes[i])) == 0)
            return 0;
    return error_set(err, 0,
                     "--%s: '%s' is not supported; supported: nbd://, "
                     "nbds://, nbd+unix:// and their like",
                     name, value);
}

/* Copies text to *field. */
static int keep(char **field, const char *text, struct error *err)
{
    *field = strdup(text);
    return *field == NULL ? error_set(err, errno, "no memory for a name") : 0;
}

/* keep, of the path of a disk to be read. */
static int keep_path(const char *name, const char *value, char **field,
                     struct error *err)
{
    const char *path;

    if (value_parse_disk(name, value, STDIN_FILENO, &path, err) == -1)
        return -1;
    return keep(field, path, err);
}

int value_set_device(const char *path, struct export_source *source,
                     struct error *err)
{
    source->kind = EXPORT_RAW;
    return keep(&source->device, path, err);
}

int value_parse_source(const char *format, const char *image_format,
                       const char *value, struct export_source *source,
                       struct error *err)
{
    static const enum export_kind kinds[] = {
        EXPORT_RAW,   EXPORT_HYBRID, EXPORT_IMAGE,
        EXPORT_IMAGE, EXPORT_IMAGE,  EXPORT_IMAGE,
        EXPORT_IMAGE, EXPORT_NBD,    EXPORT_NBD_HYBRID,
    };
    const char *path = value;
    int word;

    if (value_parse_word("source-format", format,
                         "raw, hybrid, qcow2, vpc, vhdx, vmdk, vdi, nbd, "
                         "nbdhybrid",
                         &word, err) == -1)
        return -1;
    if (value == NULL)
        return error_set(err, 0, "a disk is missing: DISK, or --source DISK");
    source->kind = kinds[word];
    if (source->kind == EXPORT_NBD)
        return value_parse_uri("source", value, err) == -1
                   ? -1
                   : keep(&source->uri, value, err);
    if (value_parse_disk("source", value, STDIN_FILENO, &path, err) == -1)
        return -1;
    switch (source->kind) {
    case EXPORT_NBD_HYBRID:
        return hybrid_split_nbd(path, source, err);
    case EXPORT_HYBRID:
        return hybrid_split(path, source, err) == -1
                   ? -1
                   : keep(&source->image_format, image_format, err);
    case EXPORT_IMAGE:
        return keep(&source->image_path, path, err) == -1
                   ? -1
                   : keep(&source->image_format, format, err);
    default:
        return keep(&source->device, path, err);
    }
}

int value_parse_base(const char *name, const char *value,
                     const struct export_source *source,
                     struct export_source *base, struct error *err)
{
    struct error not_uri;

    if (value_parse_uri(name, value, &not_uri) == 0) {
        base->kind = EXPORT_NBD;
        return keep(&base->uri, value, err);
    }
    if (source->image_path == NULL) {
        base->kind = EXPORT_RAW;
        return keep_path(name, value, &base->device, err);
    }
    base->kind = EXPORT_IMAGE;
    return keep_path(name, value, &base->image_path, err) == -1
               ? -1
               : keep(&base->image_format, source->image_format, err);
}

/* Takes HOST:PORT apart, where HOST may be [IPV6].  -1: it is something else.
 */
static int split_tcp(const char *tcp, const char **host, size_t *host_length,
                     const char **port)
{
    const char *colon = strrchr(tcp, ':');
    const char *from = tcp, *end = colon;

    if (colon == NULL || colon == tcp || colon[1] == '\0')
        return -1;
    if (tcp[0] == '[' && colon[-1] == ']') {
        from++;
        end--;
    } else if (memchr(tcp, ':', colon - tcp) != NULL) {
        return -1; /* an IPv6 address would be ambiguous */
    }
    /* getaddrinfo(3) would take 70000 for 4464. */
    if (strlen(colon + 1) > 5 ||
        colon[1 + strspn(colon + 1, "0123456789")] != '\0' ||
        atoi(colon + 1) == 0 || atoi(colon + 1) > UINT16_MAX)
        return -1;
    *port = colon + 1;
    *host = from;
    *host_length = end - from;
    return from < end ? 0 : -1;
}

static int parse_tcp(const char *name, const char *value,
                     struct sink_address *address, struct error *err)
{
    const char *host, *port;
    size_t host_length;

    if (split_tcp(value + strlen("tcp://"), &host, &host_length, &port) == -1)
        return error_set(err, 0, "--%s: '%s' is not tcp://HOST:PORT", name,
                         value);
    address->host = strndup(host, host_length);
    address->port = strdup(port);
    if (address->host == NULL || address->port == NULL)
        return error_set(err, errno, "no memory for a name");
    return 0;
}

int value_parse_destination(const char *name, const char *value,
                            struct sink_address *address, struct error *err)
{
    const char *path;

    sink_address_clear(address);
    address->fd = STDOUT_FILENO;
    if (strcmp(value, "stdout:") == 0 || strcmp(value, "-") == 0)
        return 0;
    if (strncmp(value, "fd:", 3) == 0)
        return value_parse_fd(name, value, &address->fd, err);
    if (strncmp(value, "tcp://", 6) == 0)
        return parse_tcp(name, value, address, err);
    if (strncmp(value, "unix://", 7) == 0) {
        if (value[7] == '\0')
            return error_set(err, 0, "--%s: '%s' has no path", name, value);
        return keep(&address->socket_path, value + 7, err);
    }
    if (parse_any_path(name, value,
                       "stdout:, -, fd:FD, PATH, file://PATH, unix://PATH, "
                       "tcp://HOST:PORT",
                       &path, err) == -1)
        return -1;
    return keep(&address->path, path, err);
}
