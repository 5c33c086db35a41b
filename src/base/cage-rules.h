/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Which files may be opened, from inside of a cage. */

#ifndef QT_CAGE_RULES_H
#define QT_CAGE_RULES_H

#include "base/cage-program.h"
#include "base/error.h"
#include "base/vector.h"

/* What may be done with a file, or with all that is below a directory. */
enum cage_right {
    CAGE_READ = 1 << 0,
    CAGE_WRITE = 1 << 1,
    CAGE_EXECUTE = 1 << 2,
    CAGE_MAKE = 1 << 3,   /* regular files; to write to them is another */
    CAGE_REMOVE = 1 << 4, /* regular files */
};

struct cage_file {
    const char *name; /* NULL: it is fd */
    int fd;
    unsigned rights; /* enum cage_right */
};

VECTOR_TYPE(cage_rules, struct cage_file);

/* All return -1 if there is no memory.  name stays the caller's, and must
 * outlive the rules; NULL is fine, and adds nothing.
 */
int cage_rules_add(struct cage_rules *rules, const char *name, unsigned rights,
                   struct error *err);
int cage_rules_add_fd(struct cage_rules *rules, int fd, unsigned rights,
                      struct error *err);

/* What it takes to run a program: itself, libraries, what these look at.  For
 * a script that is to run everything.
 */
int cage_rules_add_program(struct cage_rules *rules,
                           const struct cage_program *program,
                           struct error *err);

/* The rules are empty then. */
void cleanup_cage_rules(struct cage_rules *rules);

#endif
