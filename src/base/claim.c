/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Makes sure that nobody else uses a destination, before it is written. */

/* Notes on the design
 *
 * QEMU locks bytes of the files and devices that it opens: byte 100 + N while
 * it uses permission N, byte 200 + N while it does not let others use it.
 * Permission 1 is to write, 3 to change the size (BLK_PERM_* in QEMU's
 * include/block/block-common.h).  What a byte holds, and whether the file has
 * it at all, is of no interest.  A QEMU that only reads does not share
 * writing, unless it was told to with -U.  So the bytes for both, used or not
 * shared, decide; and we lock them, too, in the same way and order: first
 * ours, then a look at the others'.
 *
 * These are locks of an open file description (F_OFD_SETLK, fcntl(2)).  An fd
 * that we were given may live on in who gave it to us, and any locks of ours
 * with it: so there we only look.  Nor is it asked whether such a device is
 * held exclusively: who holds it may be who gave it to us.
 */

#include "config.h"

#include "base/claim.h"
#include "base/cleanup.h"
#include "base/compat.h"
#include "base/log.h"
#include "base/occupied.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* For a program that only has a quick look at each new device. */
enum { TRIES = 10, PAUSE_MS = 50 };

/* fs/smb in Linux: there locks keep others from writing, and ourselves. */
enum { CIFS_MAGIC = 0xff534d42u, SMB2_MAGIC = 0xfe534d42u };

static const off_t qemu_locks[] = {101, 103, 201, 203};

enum { N_LOCKS = sizeof qemu_locks / sizeof qemu_locks[0] };

static int lock_byte(int fd, int command, short type, off_t at,
                     struct flock *lock)
{
    *lock = (struct flock){
        .l_type = type,
        .l_whence = SEEK_SET,
        .l_start = at,
        .l_len = 1,
    };
    return fcntl(fd, command, lock);
}

/* Does somebody else hold one that conflicts with our writing? */
static bool is_locked(int fd)
{
    struct flock lock;

    for (int i = 0; i < N_LOCKS; i++)
        if (lock_byte(fd, F_OFD_GETLK, F_WRLCK, qemu_locks[i], &lock) == 0 &&
            lock.l_type != F_UNLCK)
            return true;
    return false;
}

static void hold_locks(int fd)
{
    int mode = fcntl(fd, F_GETFL) & O_ACCMODE;
    struct flock lock;
    struct statfs fs;

    if (fstatfs(fd, &fs) == 0 && ((unsigned)fs.f_type == CIFS_MAGIC ||
                                  (unsigned)fs.f_type == SMB2_MAGIC))
        return;
    /* A shared one, as QEMU's, can only be had by who can read. */
    for (int i = 0; i < N_LOCKS; i++)
        lock_byte(fd, F_OFD_SETLK, mode == O_RDWR ? F_RDLCK : F_WRLCK,
                  qemu_locks[i], &lock);
}

static int open_exclusively(int fd)
{
    int mode = fcntl(fd, F_GETFL) & O_ACCMODE;
    char name[32];
    int exclusive_fd = -1;

    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    for (int i = 0; exclusive_fd == -1 && i < TRIES; i++) {
        if (i > 0)
            poll(NULL, 0, PAUSE_MS);
        exclusive_fd = open(name, mode | O_EXCL | O_NONBLOCK | O_CLOEXEC);
        if (errno != EBUSY)
            break;
    }
    return exclusive_fd;
}

static int refuse(const char *name, const char *words,
                  enum claim_policy policy, struct error *err)
{
    return error_set(err, 0, "destination: %s%s%s", name, words,
                     policy == CLAIM_REFUSE ? " (--force ignores that)" : "");
}

static int take_device(int fd, const char *name, enum claim_policy policy,
                       int *held_fd, struct error *err)
{
    int CLEANUP(close_fd) exclusive_fd = -1;

    if (*held_fd != -1)
        return 0;
    exclusive_fd = open_exclusively(fd);
    if (exclusive_fd == -1 && errno == EBUSY) {
        const char *words = " is held exclusively by another program, or by "
                            "a file system mounted elsewhere";

        if (policy != CLAIM_WARN)
            return refuse(name, words, policy, err);
        log_notice("warning: %s%s", name, words);
    } else if (exclusive_fd == -1 && error_is_shortage(errno)) {
        return error_set(err, errno,
                         "destination: cannot tell whether %s is in use",
                         name);
    }
    *held_fd = steal_fd(&exclusive_fd);
    return 0;
}

int claim_take(int fd, const char *name, bool is_ours,
               enum claim_policy policy, int *held_fd, struct error *err)
{
    char words[OCCUPIED_WORDS];
    struct stat st;
    int is_occupied;

    if (policy == CLAIM_FORCE)
        return 0;
    if (fstat(fd, &st) == -1)
        return error_set(err, errno, "destination: %s", name);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return 0;
    is_occupied = occupied_find("", &st, words);
    if (is_occupied == -1)
        return error_set(err, errno,
                         "destination: cannot tell whether %s is in use",
                         name);
    if (is_occupied == 1)
        return refuse(name, words, policy, err);
    if (is_ours)
        hold_locks(fd);
    if (is_locked(fd))
        return refuse(name,
                      " is in use: another process has QEMU's locks on it",
                      policy, err);
    if (is_ours && S_ISBLK(st.st_mode))
        return take_device(fd, name, policy, held_fd, err);
    return 0;
}
