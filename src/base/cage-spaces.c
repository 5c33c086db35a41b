/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* The part of the cage that takes the network and files out of sight:
 * namespaces(7).
 */

/* Notes on the design
 *
 * A namespace takes a millisecond, so there is one of each for a transfer, and
 * all programs of QEMU are in it.
 *
 * The files: a tmpfs becomes the root.  In it are empty directories, and what
 * the rules name, mounted there by "bind" (mount(2)).  It is built in a
 * directory that no rule is about.  Until pivot_root(2), which comes last,
 * nothing has changed for us.
 */

#include "config.h"

#include "base/cage-spaces.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

int cage_spaces_leave_network(void)
{
    if (geteuid() != 0)
        return 0;
    return unshare(CLONE_NEWNET | CLONE_NEWIPC) == 0 ? 0 : errno;
}

struct new_root {
    const char *place; /* where it is built */
    char cwd[PATH_MAX];
};

/* Directories that a system has, but a transfer has little to do with. */
static const char *const places[] = {"/mnt",  "/media", "/srv", "/boot",
                                     "/home", "/root",  "/tmp"};

static bool is_below(const char *name, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(name, dir, n) == 0 && (name[n] == '/' || name[n] == '\0');
}

/* All of the path.  Returns false if it is too long. */
static bool make_absolute(const struct new_root *root, const char *name,
                          char path[PATH_MAX])
{
    bool is_relative = name[0] != '/';
    int n = snprintf(path, PATH_MAX, "%s%s%s", is_relative ? root->cwd : "",
                     is_relative ? "/" : "", name);

    return n < PATH_MAX;
}

static bool is_free(const struct new_root *root, const char *place,
                    const struct cage_rules *rules)
{
    struct stat st;

    if (stat(place, &st) == -1 || !S_ISDIR(st.st_mode) ||
        is_below(root->cwd, place))
        return false;
    for (size_t i = 0; i < rules->count; i++) {
        const char *name = rules->list[i].name;
        char *real;
        bool is_there;

        if (name == NULL)
            continue;
        real = realpath(name, NULL);
        is_there =
            is_below(name, place) || (real != NULL && is_below(real, place));
        free(real);
        if (is_there)
            return false;
    }
    return true;
}

static int choose_place(struct new_root *root, const struct cage_rules *rules)
{
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (is_free(root, places[i], rules)) {
            root->place = places[i];
            return 0;
        }
    return ENOENT;
}

/* All those above it.  path[from] is the first '/' of those that are ours. */
static int make_directories(char *path, size_t from)
{
    for (char *at = path + from + 1; *at != '\0'; at++) {
        int r;

        if (*at != '/')
            continue;
        *at = '\0';
        r = mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : errno;
        *at = '/';
        if (r != 0)
            return r;
    }
    return 0;
}

/* What something can be mounted on. */
static int make_target(char *path, size_t from, bool is_dir)
{
    int r = make_directories(path, from), fd;

    if (r != 0)
        return r;
    if (is_dir)
        return mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : errno;
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd == -1)
        return errno;
    close(fd);
    return 0;
}

/* Whoever takes away one of the other flags may be refused. */
static int make_read_only(const char *path)
{
    struct statvfs st;
    unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID;

    if (statvfs(path, &st) == -1)
        return errno;
    if (st.f_flag & ST_NODEV)
        flags |= MS_NODEV;
    if (st.f_flag & ST_NOEXEC)
        flags |= MS_NOEXEC;
    return mount(NULL, path, NULL, flags, NULL) == 0 ? 0 : errno;
}

/* What is not there does not matter, and neither what is there already, as a
 * part of another directory.
 */
static int add_file(const struct new_root *root, const struct cage_file *file)
{
    bool may_write = file->rights & (CAGE_WRITE | CAGE_MAKE | CAGE_REMOVE);
    char name[PATH_MAX], path[PATH_MAX];
    struct stat source, target;
    int r;

    if (file->name == NULL || stat(file->name, &source) == -1)
        return 0;
    if (!make_absolute(root, file->name, name) ||
        snprintf(path, sizeof path, "%s%s", root->place, name) >=
            (int)sizeof path)
        return ENAMETOOLONG;
    if (!may_write && stat(path, &target) == 0 &&
        source.st_dev == target.st_dev && source.st_ino == target.st_ino)
        return 0;
    r = make_target(path, strlen(root->place), S_ISDIR(source.st_mode));
    if (r != 0)
        return r;
    if (mount(file->name, path, NULL, MS_BIND | MS_REC, NULL) == -1)
        return errno;
    return may_write ? 0 : make_read_only(path);
}

/* Relative names begin there. */
static int add_cwd(const struct new_root *root)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s%s", root->place, root->cwd) >=
        (int)sizeof path)
        return ENAMETOOLONG;
    return make_target(path, strlen(root->place), true);
}

/* The old root is over the new one for a moment: pivot_root(2).  Wherever this
 * ends, relative names mean what they meant.
 */
static int enter(const struct new_root *root)
{
    if (syscall(SYS_pivot_root, root->place, root->place) == -1 ||
        chdir(root->cwd) == -1 || umount2("/", MNT_DETACH) == -1)
        return errno;
    return make_read_only("/");
}

static int build(const struct new_root *root, const struct cage_rules *rules)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < rules->count; i++)
        r = add_file(root, &rules->list[i]);
    return r != 0 ? r : add_cwd(root);
}

/* In a namespace of our own. */
static int build_and_enter(const struct new_root *root,
                           const struct cage_rules *rules)
{
    int r;

    /* What is unmounted elsewhere is not to be kept here. */
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == -1 ||
        mount("qcow-tool", root->place, "tmpfs", MS_NOSUID | MS_NODEV,
              "mode=755,size=1m") == -1)
        return errno;
    r = build(root, rules);
    if (r == 0)
        r = enter(root);
    if (r != 0) /* or it would hide what is below */
        (void)umount2(root->place, MNT_DETACH);
    return r;
}

static bool may_read_all(const struct cage_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        if (rules->list[i].name != NULL &&
            strcmp(rules->list[i].name, "/") == 0)
            return true;
    return false;
}

int cage_spaces_leave_files(const struct cage_rules *rules)
{
    struct new_root root;
    mode_t mask;
    int r;

    if (geteuid() != 0 || may_read_all(rules))
        return 0;
    if (getcwd(root.cwd, sizeof root.cwd) == NULL)
        return errno;
    if (root.cwd[0] != '/') /* it is below another root: getcwd(3) */
        return ENOENT;
    r = choose_place(&root, rules);
    if (r != 0)
        return r;
    if (unshare(CLONE_NEWNS) == -1)
        return errno;
    mask = umask(022); /* of this thread alone, from here on */
    r = build_and_enter(&root, rules);
    umask(mask);
    return r;
}
