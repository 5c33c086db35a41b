/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The disk that an imported stream lands on: that of a new image file. */

/* Notes on the design
 *
 * qemu-img makes the image, and a qemu-nbd writes it, each in a cage in which
 * it may write to this one file: it inherits it, and opens /proc/self/fd/N.
 * So the file needs no name that QEMU knows.  It has one, as not every file
 * system has files without, and one of those could not be given a name from
 * inside of our own cage.  It gets its own when the image is complete: who
 * sees the name sees all of the disk.
 *
 * What is not written reads as zeroes, so nothing is zeroed.
 */

#include "config.h"

#include "base/child.h"
#include "base/cleanup.h"
#include "base/lock.h"
#include "base/newfile.h"
#include "import/target-image.h"
#include "import/target-nbd.h"
#include "import/vhdx-order.h"
#include "nbd/image-writer.h"
#include "qemu/qemu-img.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct target_image {
    struct target_nbd nbd; /* first; its writer writes to qemu_nbd */
    const struct qemu *qemu;
    struct target_image_how how;
    struct newfile made; /* under which name it is now */
    int fd;              /* of that file */
    uid_t owner;         /* of what we make there, on that file system */
    struct child *qemu_nbd;
    pthread_mutex_t blame; /* who asks qemu_nbd what has happened to it */
};

static struct target_image *image_of(struct target *t)
{
    return (struct target_image *)t;
}

static int check_path(const struct target_image_how *how, struct error *err)
{
    char *CLEANUP(free_ptr) dir = newfile_directory(how->path);
    struct stat st;

    if (dir == NULL)
        return error_set(err, errno, "destination: name");
    if (lstat(how->path, &st) == 0) {
        if (!S_ISREG(st.st_mode))
            return error_set(err, 0,
                             "destination: %s is not a file, and an image is "
                             "made in a new file",
                             how->path);
        if (!how->may_replace)
            return error_set(err, EEXIST,
                             "destination: cannot create %s (--force replaces "
                             "it)",
                             how->path);
    } else if (errno != ENOENT) {
        return error_set(err, errno, "destination: %s", how->path);
    }
    if (stat(dir, &st) == -1)
        return error_set(err, errno, "destination: cannot create %s",
                         how->path);
    return 0;
}

/* Who may use the file that is replaced may use the new one. */
static void take_over_mode(const struct target_image *t)
{
    struct stat st;

    if (lstat(t->how.path, &st) == -1 || !S_ISREG(st.st_mode) ||
        fchown(t->fd, st.st_uid, st.st_gid) == -1 ||
        fchmod(t->fd, st.st_mode & 0777) == -1)
        errno = 0; /* then it is as new files are */
}

/* By itself QEMU makes the disk of a VHD as large as a geometry that comes
 * near.  What was asked for comes last, and counts.
 */
static char *create_options(const struct target_image_how *how)
{
    const char *usual = strcmp(how->format, "vpc") == 0 ? "force_size=on" : "";
    const char *asked = how->options == NULL ? "" : how->options;
    char *options;

    if (asprintf(&options, "%s%s%s", usual,
                 usual[0] != '\0' && asked[0] != '\0' ? "," : "", asked) == -1)
        return NULL;
    return options;
}

/* A link to the file that we have open, by the name that it is going to have,
 * in a directory of its own.  Whatever becomes of the names above it, it is
 * ours.
 */
struct alias {
    struct qemu_alias qemu;
    char *dir;    /* name of the directory; NULL: there is none */
    bool is_made; /* the link */
};

static void cleanup_alias(struct alias *alias)
{
    if (alias->is_made)
        unlinkat(alias->qemu.dir_fd, alias->qemu.name, 0);
    if (alias->dir != NULL)
        rmdir(alias->dir);
    cleanup_close_fd(&alias->qemu.dir_fd);
    free(alias->dir);
}

/* Is it ours?  Who may rename what is above it may have put another in its
 * place.
 */
static bool is_ours(const struct target_image *t, int dir_fd)
{
    struct stat st;

    if (fstat(dir_fd, &st) == -1)
        return false;
    errno = EPERM;
    return st.st_uid == t->owner;
}

static int make_alias(const struct target_image *t, struct alias *alias)
{
    char *CLEANUP(free_ptr) above = newfile_directory(t->how.path);
    char *CLEANUP(free_ptr) dir = NULL;
    const char *slash = strrchr(t->how.path, '/');
    char file[40];

    if (above == NULL || asprintf(&dir, "%s/.qcow-tool.XXXXXX", above) == -1 ||
        mkdtemp(dir) == NULL)
        return -1;
    alias->dir = STEAL_PTR(dir);
    alias->qemu.name = slash == NULL ? t->how.path : slash + 1;
    alias->qemu.dir_fd =
        open(alias->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    snprintf(file, sizeof file, "/proc/self/fd/%d", t->fd);
    if (alias->qemu.dir_fd == -1 || !is_ours(t, alias->qemu.dir_fd) ||
        symlinkat(file, alias->qemu.dir_fd, alias->qemu.name) == -1)
        return -1;
    alias->is_made = true;
    return 0;
}

static int create_image(struct target_image *t, const char *options,
                        uint64_t disk_size, struct error *err)
{
    struct alias CLEANUP(alias) alias = {.qemu = {.dir_fd = -1}};

    /* A VMDK has its own name in it, by which VMware looks for it. */
    if (strcmp(t->how.format, "vmdk") == 0 && make_alias(t, &alias) == -1)
        return error_set(err, errno, "destination: cannot create %s",
                         t->how.path);
    if (qemu_img_create_any(t->qemu, t->fd, alias.is_made ? &alias.qemu : NULL,
                            t->how.format, options[0] == '\0' ? NULL : options,
                            disk_size, err) == -1)
        return error_wrap(err, "destination: cannot create %s", t->how.path);
    return 0;
}

static int make_image(struct target_image *t, uint64_t disk_size,
                      struct error *err)
{
    char *CLEANUP(free_ptr) options = create_options(&t->how);
    struct stat st;

    if (options == NULL)
        return error_set(err, errno, "destination: no memory");
    t->fd = newfile_begin(t->how.path, O_RDWR, &t->made);
    if (t->fd == -1 || fstat(t->fd, &st) == -1)
        return error_set(err, errno, "destination: cannot create %s",
                         t->how.path);
    t->owner = st.st_uid;
    if (t->how.may_replace)
        take_over_mode(t);
    if (strcmp(t->how.format, "vhdx") == 0 &&
        vhdx_order_check(t->qemu, t->fd, err) == -1)
        return error_wrap(err, "destination: cannot create %s", t->how.path);
    return create_image(t, options, disk_size, err);
}

static int open_image(struct target_image *t, struct error *err)
{
    /* Before QEMU 6.0 two that allocate in a VDI may wait for each other for
     * ever (its lock of coroutines lost who waited).
     */
    bool is_serial = strcmp(t->how.format, "vdi") == 0;

    return image_writer_open(t->qemu, t->how.format, t->fd, is_serial,
                             &t->qemu_nbd, &t->nbd.writer, err);
}

static int image_create(struct target *target, uint64_t disk_size,
                        struct error *err)
{
    struct target_image *t = image_of(target);

    if (make_image(t, disk_size, err) == -1 || open_image(t, err) == -1)
        return -1;
    target->made_path = t->made.path;
    target->is_created = true;
    target->size = nbd_writer_size(t->nbd.writer);
    target->piece = nbd_writer_piece(t->nbd.writer);
    if (target->size < disk_size)
        return error_set(err, 0,
                         "destination: %s of %" PRIu64
                         " bytes would have a disk of %" PRIu64,
                         t->how.format, disk_size, target->size);
    return 0;
}

/* The writer has failed.  If that is because qemu-nbd has ended, it may have
 * said why.
 */
static int blame(struct target_image *t, struct error *err)
{
    LOCK_FOR_SCOPE(&t->blame);
    return nbd_writer_is_lost(t->nbd.writer) ? child_blame(t->qemu_nbd, err)
                                             : -1;
}

static int image_lend(struct target *target, uint64_t disk_offset,
                      uint64_t length, char **buf, struct error *err)
{
    if (target_nbd_lend(target, disk_offset, length, buf, err) == 0)
        return 0;
    return blame(image_of(target), err);
}

static int image_write(struct target *target, const void *buf, size_t length,
                       uint64_t disk_offset, struct error *err)
{
    if (target_nbd_write(target, buf, length, disk_offset, err) == 0)
        return 0;
    return blame(image_of(target), err);
}

static int image_finish(struct target *target, struct error *err)
{
    struct target_image *t = image_of(target);

    if (nbd_writer_finish(t->nbd.writer, err) == -1)
        return blame(t, err);
    /* It writes the last tables as it closes the image. */
    if (child_finish(t->qemu_nbd, err) == -1)
        return error_wrap(err, "destination");
    if (fsync(t->fd) == -1)
        return error_set(err, errno, "destination: cannot flush %s",
                         t->how.path);
    /* Where the file is elsewhere, this may be what tells of a failure. */
    if (close(steal_fd(&t->fd)) == -1)
        return error_set(err, errno, "destination: cannot close %s",
                         t->how.path);
    if (newfile_publish(&t->made, t->how.path, t->how.may_replace) == -1)
        return error_set(err, errno, "destination: cannot create %s",
                         t->how.path);
    return 0;
}

static void image_close(struct target *target)
{
    struct target_image *t = image_of(target);

    nbd_writer_free(t->nbd.writer);
    child_stop(t->qemu_nbd);
    newfile_remove(&t->made);
    cleanup_close_fd(&t->fd);
    pthread_mutex_destroy(&t->blame);
    free(t);
}

int target_image_open(const struct qemu *qemu,
                      const struct target_image_how *how,
                      struct target **target, struct error *err)
{
    static const struct target_ops ops = {
        .create = image_create,
        .lend = image_lend,
        .write = image_write,
        .zero = target_nbd_zero,
        .cancel = target_nbd_cancel,
        .finish = image_finish,
        .close = image_close,
    };
    struct target_image *t;

    if (check_path(how, err) == -1)
        return -1;
    t = calloc(1, sizeof *t);
    if (t == NULL)
        return error_set(err, errno, "destination: no memory");
    t->nbd.target = (struct target){.ops = &ops, .fd = -1, .size = UINT64_MAX};
    t->qemu = qemu;
    t->how = *how;
    t->fd = -1;
    pthread_mutex_init(&t->blame, NULL);
    *target = &t->nbd.target;
    return 0;
}
