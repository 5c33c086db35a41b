/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Finds the fd that an argument means. */

#include "config.h"

#include "cli/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid.h>

enum { FIRST_LISTEN_FD = 3, UUID_TEXT = 36 };

static bool parse_number(const char *text, long *number)
{
    char *end;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *number = strtol(text, &end, 10);
    return *end == '\0' && errno == 0 && *number <= INT_MAX;
}

/* The fds that were passed to us by name; 0: none. */
static long count_listen_fds(void)
{
    const char *pid = getenv("LISTEN_PID");
    long number, count;

    if (pid != NULL && (!parse_number(pid, &number) || number != getpid()))
        return 0;
    return parse_number(getenv("LISTEN_FDS"), &count) ? count : 0;
}

static bool find_uuid(const uuid_t wanted, int *fd)
{
    long count = count_listen_fds();
    const char *name = getenv("LISTEN_FDNAMES");

    for (long i = 0; name != NULL && i < count; i++) {
        size_t length = strcspn(name, ":");
        char one[UUID_TEXT + 1] = "";
        uuid_t uuid;

        if (length == UUID_TEXT)
            memcpy(one, name, length);
        if (uuid_parse(one, uuid) == 0 && uuid_compare(uuid, wanted) == 0) {
            *fd = FIRST_LISTEN_FD + i;
            return true;
        }
        name = name[length] == ':' ? name + length + 1 : NULL;
    }
    return false;
}

int fds_find_if_passed(const char *text, int *fd, struct error *err)
{
    uuid_t uuid;
    long number;

    *fd = -1;
    if (parse_number(text, &number))
        *fd = number;
    else if (uuid_parse(text, uuid) != 0)
        return error_set(err, 0, "'%s' is neither an fd nor a UUID", text);
    else if (!find_uuid(uuid, fd))
        return 0;
    if (fcntl(*fd, F_GETFD) == -1)
        return error_set(err, errno, "fd %d", *fd);
    return 0;
}

int fds_find(const char *text, int *fd, struct error *err)
{
    if (fds_find_if_passed(text, fd, err) == -1)
        return -1;
    if (*fd == -1)
        return error_set(err, 0, "no fd is named %s in LISTEN_FDNAMES", text);
    return 0;
}
