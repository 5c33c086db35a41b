/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What has to be read and run so that a program can be. */

#ifndef QT_CAGE_PROGRAM_H
#define QT_CAGE_PROGRAM_H

#include <stdbool.h>

struct cage_program {
    char *path;        /* NULL: it was not found */
    char *interpreter; /* the loader that it names, or NULL */
    char *home;        /* a directory with its libraries, or NULL: the usual */
    bool is_script;    /* or anything else that is not an ELF file of ours */
};

/* name is as execvp takes it.  Returns -1 if there is no memory. */
int cage_program_find(const char *name, struct cage_program *program);

void cage_program_clear(struct cage_program *program);

#endif
