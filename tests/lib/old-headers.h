/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Makes of this machine's headers those of glibc 2.17 and Linux 3.10: forgets
 * the names that came later.  For check-portable, which has the compiler
 * include it before all else.
 */

/* Not before config.h says which features are asked for. */
#include "config.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#undef CLOSE_RANGE_CLOEXEC
#undef FALLOC_FL_ZERO_RANGE
#undef F_OFD_GETLK
#undef F_OFD_SETLK
#undef F_OFD_SETLKW
#undef MFD_CLOEXEC
#undef OVERLAYFS_SUPER_MAGIC
#undef O_TMPFILE
#undef PR_CAP_AMBIENT
#undef PR_CAP_AMBIENT_CLEAR_ALL
#undef RENAME_EXCHANGE
#undef RENAME_NOREPLACE
#undef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#undef SECCOMP_SET_MODE_FILTER
#undef STATX_DIOALIGN
#undef SYS_close_range
#undef SYS_copy_file_range
#undef SYS_getrandom
#undef SYS_landlock_add_rule
#undef SYS_landlock_create_ruleset
#undef SYS_landlock_restrict_self
#undef SYS_memfd_create
#undef SYS_pidfd_open
#undef SYS_renameat2
#undef SYS_seccomp
#undef SYS_statx
