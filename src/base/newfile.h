/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A file that we make, and remove again unless all goes well. */

#ifndef QT_NEWFILE_H
#define QT_NEWFILE_H

#include <stdbool.h>
#include <sys/types.h>

struct newfile {
    char *path; /* memory; NULL: there is none to remove */
    dev_t dev;
    ino_t ino;
};

/* Creates path, as open(2) with flags, O_CREAT and O_EXCL, and notes in *made
 * what it is.  But a symbolic link that leads to nothing is followed, by the
 * kernel and its rules: what it names is created.  Returns the fd, or -1 and
 * errno, with nothing left: EEXIST if path is there.
 */
int newfile_create(const char *path, int flags, struct newfile *made);

/* The file is to stay: makes its name last, too, as far as that is possible.
 * A directory that can be written but not read cannot be flushed.  Returns -1
 * and errno if the name may be lost: then it is still to be removed.
 */
int newfile_keep(struct newfile *made);

/* Removes it, if the name still stands for the file that was made.  Nothing
 * is done after newfile_keep, or if nothing was made.
 */
void newfile_remove(struct newfile *made);

/* For a file that gets its name, path, when it is complete: creates one beside
 * it, with flags as above, under a name that nobody looks for.  Returns the
 * fd, or -1 and errno.
 */
int newfile_begin(const char *path, int flags, struct newfile *made);

/* It is complete: calls it path, in the place of what was there if
 * may_replace, and makes that last.  Returns -1 and errno: EEXIST if something
 * is there.
 */
int newfile_publish(struct newfile *made, const char *path, bool may_replace);

/* The directory that path is in; memory to free, or NULL with errno. */
char *newfile_directory(const char *path);

/* An open file in dir that has no name, for reading and writing.  Not every
 * file system can do that (O_TMPFILE, open(2)): then it has one for a moment,
 * in which no signal that we could see ends us.  Returns the fd, or -1 and
 * errno.
 */
int newfile_unnamed(const char *dir);

#endif
