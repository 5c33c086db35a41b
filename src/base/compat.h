/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What glibc 2.17 and headers of Linux 3.10 do not have, of what we use. */

#ifndef QT_COMPAT_H
#define QT_COMPAT_H

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* Values of the kernel's interface, the same on all machines; but O_TMPFILE is
 * another one on Alpha, PA-RISC and SPARC.  Who uses one has another way for a
 * kernel that does not know it.
 */
#ifndef O_TMPFILE
#define O_TMPFILE (020000000 | O_DIRECTORY)
#endif
#ifndef F_OFD_SETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif
#ifndef FALLOC_FL_KEEP_SIZE
#define FALLOC_FL_KEEP_SIZE 0x01
#endif
#ifndef FALLOC_FL_PUNCH_HOLE
#define FALLOC_FL_PUNCH_HOLE 0x02
#endif
#ifndef FALLOC_FL_ZERO_RANGE
#define FALLOC_FL_ZERO_RANGE 0x10
#endif
#ifndef PR_SET_NO_NEW_PRIVS
#define PR_SET_NO_NEW_PRIVS 38
#endif
#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif
#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1U
#endif
#ifndef OVERLAYFS_SUPER_MAGIC
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#endif
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE (1 << 0)
#endif

/* Calls that have no function there, nor a number in these headers.  -1 is no
 * call of any kernel: ENOSYS.
 */
#if defined __x86_64__ && defined __LP64__
#define COMPAT_RENAMEAT2 316
#define COMPAT_MEMFD_CREATE 319
#define COMPAT_COPY_FILE_RANGE 326
#elif defined __i386__
#define COMPAT_RENAMEAT2 353
#define COMPAT_MEMFD_CREATE 356
#define COMPAT_COPY_FILE_RANGE 377
#elif defined __aarch64__
#define COMPAT_RENAMEAT2 276
#define COMPAT_MEMFD_CREATE 279
#define COMPAT_COPY_FILE_RANGE 285
#else
#define COMPAT_RENAMEAT2 -1
#define COMPAT_MEMFD_CREATE -1
#define COMPAT_COPY_FILE_RANGE -1
#endif
#ifdef SYS_renameat2
#undef COMPAT_RENAMEAT2
#define COMPAT_RENAMEAT2 SYS_renameat2
#endif
#ifdef SYS_memfd_create
#undef COMPAT_MEMFD_CREATE
#define COMPAT_MEMFD_CREATE SYS_memfd_create
#endif
#ifdef SYS_copy_file_range
#undef COMPAT_COPY_FILE_RANGE
#define COMPAT_COPY_FILE_RANGE SYS_copy_file_range
#endif

/* renameat2(2) in the current directory. */
static inline int compat_rename(const char *from, const char *to,
                                unsigned flags)
{
    return (int)syscall(COMPAT_RENAMEAT2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

/* memfd_create(2) */
static inline int compat_memfd_create(const char *name, unsigned flags)
{
    return (int)syscall(COMPAT_MEMFD_CREATE, name, flags);
}

/* copy_file_range(2), to where out_fd is */
static inline ssize_t compat_copy_file_range(int in_fd, loff_t *in_offset,
                                             int out_fd, size_t length)
{
    return syscall(COMPAT_COPY_FILE_RANGE, in_fd, in_offset, out_fd, NULL,
                   length, 0U);
}

#endif
