/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command lines for tests, and the surroundings in which they are parsed. */

#ifndef QT_COMMAND_LINE_H
#define QT_COMMAND_LINE_H

#include "options.h"
#include "test.h"

#define UUID "c3a3b1f0-45b5-4c8f-9d2e-1f7d7c6b5a01"

enum { OPEN_FD = 5, CLOSED_FD = 6 }; /* UUID is the former, too */

enum { MAX_ARGS = 32 };

/* What every call needs. */
#define STREAM "stream", "--source", "disk"
#define SERVE "serve", "--destination", "disk"

static inline void prepare_surroundings(void)
{
    test_require(dup2(STDIN_FILENO, OPEN_FD) == OPEN_FD, "dup2");
    close(CLOSED_FD);
    setenv("LISTEN_FDS", "3", 1);
    setenv("LISTEN_FDNAMES", "a:b:" UUID, 1);
    unsetenv("LISTEN_PID");
    unsetenv("QCOW_TOOL_QEMU_IMG");
    unsetenv("QCOW_TOOL_QEMU_IO");
    unsetenv("QCOW_TOOL_QEMU_NBD");
    setenv("TMPDIR", "/usual", 1);
}

/* args, which end with NULL, are those behind the program's name. */
static inline int parse(const char *const args[MAX_ARGS], struct options *o,
                        struct error *err)
{
    char *argv[MAX_ARGS + 2] = {(char *)"qcow-tool"};
    int argc = 1;

    while (argc <= MAX_ARGS && args[argc - 1] != NULL) {
        argv[argc] = (char *)args[argc - 1];
        argc++;
    }
    return options_parse(argc, argv, o, err);
}

#endif
