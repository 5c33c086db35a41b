/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What must be true if our own code is right. */

#ifndef QT_ASSERT_H
#define QT_ASSERT_H

/* Ends the program with SIGABRT, after a message that says where, unless the
 * condition holds.  For what only a bug of ours can break, never for what a
 * user, a file or a peer may send.  Release builds have it, too: NDEBUG does
 * not matter.  So the condition must cost next to nothing; its side effects
 * are safe.
 */
#define ASSERT(condition)                                                     \
    ((condition) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__))

void assert_failed(const char *condition, const char *file, int line)
    __attribute__((noreturn, cold));

#endif
