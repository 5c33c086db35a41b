/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests which fd an argument means. */

#include "config.h"

#include "cli/fds.h"
#include "test.h"

#include <fcntl.h>

#define UUID_A "c3a3b1f0-45b5-4c8f-9d2e-1f7d7c6b5a01"
#define UUID_B "c3a3b1f0-45b5-4c8f-9d2e-1f7d7c6b5a02"
#define UUID_C "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

#define NOT_FOUND(uuid) "no fd is named " uuid " in LISTEN_FDNAMES"
#define NEITHER(text) "'" text "' is neither an fd nor a UUID"

enum { NONE = -1, CLOSED = 6 }; /* 3 to 5 are open, 6 is not */

/* Variables that are NULL are not set; the pid "self" is our own. */
static const struct {
    const char *name, *fds, *names, *pid, *text;
    int fd;
    const char *message;
} cases[] = {
    {"a number is an fd", NULL, NULL, NULL, "4", 4, NULL},
    {"standard input is an fd", NULL, NULL, NULL, "0", 0, NULL},
    {"a number may have zeroes before it", NULL, NULL, NULL, "004", 4, NULL},
    {"an fd must be open", NULL, NULL, NULL, "6", NONE,
     "fd 6: Bad file descriptor"},
    {"a number too large for an fd is none", NULL, NULL, NULL, "2147483648",
     NONE, NEITHER("2147483648")},
    {"a number too large for anything is none", NULL, NULL, NULL,
     "99999999999999999999", NONE, NEITHER("99999999999999999999")},
    {"a negative number is none", NULL, NULL, NULL, "-1", NONE, NEITHER("-1")},
    {"a sign is no number", NULL, NULL, NULL, "+4", NONE, NEITHER("+4")},
    {"a blank is no number", NULL, NULL, NULL, " 4", NONE, NEITHER(" 4")},
    {"a number ends where it ends", NULL, NULL, NULL, "4x", NONE,
     NEITHER("4x")},
    {"nothing is no number", NULL, NULL, NULL, "", NONE, NEITHER("")},
    {"half a UUID is none", "1", UUID_A, NULL, "c3a3b1f0-45b5", NONE,
     NEITHER("c3a3b1f0-45b5")},

    {"the first name is fd 3", "3", UUID_A ":" UUID_B ":" UUID_C, NULL, UUID_A,
     3, NULL},
    {"the last name is the last fd", "3", UUID_A ":" UUID_B ":" UUID_C, NULL,
     UUID_C, 5, NULL},
    {"names that are no UUIDs count", "3", "http::" UUID_A, NULL, UUID_A, 5,
     NULL},
    {"a UUID in capitals is the same", "1", UUID_A, NULL,
     "C3A3B1F0-45B5-4C8F-9D2E-1F7D7C6B5A01", 3, NULL},
    {"of two that have a name the first is meant", "2", UUID_A ":" UUID_A,
     NULL, UUID_A, 3, NULL},
    {"a UUID that nobody has is an error", "2", UUID_A ":" UUID_B, NULL,
     UUID_C, NONE, NOT_FOUND(UUID_C)},
    {"names past the count do not count", "1", UUID_A ":" UUID_B, NULL, UUID_B,
     NONE, NOT_FOUND(UUID_B)},
    {"a count past the names does no harm", "2147483647", UUID_A, NULL, UUID_B,
     NONE, NOT_FOUND(UUID_B)},
    {"a name that goes on is another", "1", UUID_A "0", NULL, UUID_A, NONE,
     NOT_FOUND(UUID_A)},
    {"without names there is none", "3", NULL, NULL, UUID_A, NONE,
     NOT_FOUND(UUID_A)},
    {"without a count there is none", NULL, UUID_A, NULL, UUID_A, NONE,
     NOT_FOUND(UUID_A)},
    {"a count that is no number is none", "-1", UUID_A, NULL, UUID_A, NONE,
     NOT_FOUND(UUID_A)},
    {"a count of 0 is none", "0", UUID_A, NULL, UUID_A, NONE,
     NOT_FOUND(UUID_A)},
    {"names are ours if the pid is", "1", UUID_A, "self", UUID_A, 3, NULL},
    {"names of another process are not ours", "1", UUID_A, "1", UUID_A, NONE,
     NOT_FOUND(UUID_A)},
    {"a pid that is no number is not ours", "1", UUID_A, "", UUID_A, NONE,
     NOT_FOUND(UUID_A)},
    {"a number needs no names", "1", UUID_A, "1", "5", 5, NULL},
    {"an fd with a name must be open", "4", ":::" UUID_A, NULL, UUID_A, NONE,
     "fd 6: Bad file descriptor"},
};

static void set_variable(const char *name, const char *value)
{
    if (value == NULL)
        unsetenv(name);
    else
        setenv(name, value, 1);
}

int main(void)
{
    test_begin();
    for (int fd = 3; fd < CLOSED; fd++)
        test_require(dup2(STDIN_FILENO, fd) == fd, "dup2");
    close(CLOSED);
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct error err = {0};
        char self[16];
        int fd = NONE;

        TEST(cases[i].name);
        snprintf(self, sizeof self, "%d", (int)getpid());
        set_variable("LISTEN_FDS", cases[i].fds);
        set_variable("LISTEN_FDNAMES", cases[i].names);
        set_variable("LISTEN_PID",
                     cases[i].pid != NULL && strcmp(cases[i].pid, "self") == 0
                         ? self
                         : cases[i].pid);
        if (cases[i].message != NULL) {
            CHECK_FAILS(fds_find(cases[i].text, &fd, &err), &err,
                        cases[i].message);
            /* A UUID without an fd may be what the caller expects. */
            fd = NONE;
            if (strncmp(cases[i].message, "no fd", 5) == 0 &&
                CHECK_OK(fds_find_if_passed(cases[i].text, &fd, &err), &err))
                CHECK_INT(fd, -1);
        } else if (CHECK_OK(fds_find(cases[i].text, &fd, &err), &err)) {
            CHECK_INT(fd, cases[i].fd);
            CHECK(fcntl(fd, F_GETFD) != -1);
        }
    }
    return test_end();
}
