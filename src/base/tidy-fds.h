/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fds that we were started with, made safe. */

#ifndef QT_TIDY_FDS_H
#define QT_TIDY_FDS_H

/* Makes standard streams that are closed /dev/null, of no use but taken, so
 * that no file of ours is ever mistaken for one; and every other fd that we
 * were started with close on exec: a client's socket must not live on in a
 * child.  Returns 0, or -1 and errno.
 */
int tidy_fds(void);

#endif
