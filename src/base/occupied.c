/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What the kernel uses a disk for: mounts, swap, what is stacked on it. */

#include "config.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/occupied.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

/* A disk has few partitions that count: 256 of them at the most. */
enum { DEVICES_MOST = 257, NAME_LENGTH = 64 };

/* What is looked for: a file, or a block device with its partitions. */
struct search {
    const char *root;
    const struct stat *st;
    struct {
        dev_t dev;
        char name[NAME_LENGTH]; /* of a partition; "": the device itself */
    } devices[DEVICES_MOST];
    size_t count; /* 0: it is a file */
    char *words;
    int shortage; /* errno: not all could be looked at; 0: it could */
};

static void cleanup_file(FILE *const *f)
{
    if (*f != NULL)
        fclose(*f);
}

static void cleanup_dir(DIR *const *dir)
{
    if (*dir != NULL)
        closedir(*dir);
}

/* What could not be opened is not there, or not for us; unless there was no
 * memory or fd just now.
 */
static void note_shortage(int *shortage)
{
    if (error_is_shortage(errno))
        *shortage = errno;
}

static FILE *open_file(int *shortage, const char *root, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static FILE *open_file(int *shortage, const char *root, const char *fmt, ...)
{
    char path[PATH_MAX];
    size_t length = strlen(root);
    va_list ap;
    FILE *f;

    if (length >= sizeof path)
        return NULL;
    memcpy(path, root, length);
    va_start(ap, fmt);
    vsnprintf(path + length, sizeof path - length, fmt, ap);
    va_end(ap);
    f = fopen(path, "re");
    if (f == NULL)
        note_shortage(shortage);
    return f;
}

static DIR *open_dir(struct search *s, const char *path)
{
    DIR *dir = opendir(path);

    if (dir == NULL)
        note_shortage(&s->shortage);
    return dir;
}

struct lines {
    FILE *f;
    char *line;
    size_t space;
};

static void cleanup_lines(struct lines *l)
{
    cleanup_file(&l->f);
    free(l->line);
}

/* The next one, or NULL. */
static char *next_line(struct search *s, struct lines *l)
{
    if (l->f == NULL)
        return NULL;
    if (getline(&l->line, &l->space, l->f) != -1)
        return l->line;
    if (!feof(l->f))
        note_shortage(&s->shortage);
    return NULL;
}

/* The next entry of a directory but . and .., or NULL. */
static const char *next_name(DIR *dir)
{
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            return entry->d_name;
    return NULL;
}

/* proc(5): blanks and backslashes in a name are \ and three octal digits. */
static void unescape(char *name)
{
    char *to = name;

    for (const char *from = name; *from != '\0'; to++) {
        unsigned c;

        if (sscanf(from, "\\%3o", &c) == 1) {
            *to = (char)c;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

static bool found(struct search *s, size_t i, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Device i, or if there is none that file, is what the text says. */
static bool found(struct search *s, size_t i, const char *fmt, ...)
{
    const char *partition = i < s->count ? s->devices[i].name : "";
    va_list ap;
    int n = 0;

    if (partition[0] != '\0')
        n = snprintf(s->words, OCCUPIED_WORDS, ": its partition %s",
                     partition);
    va_start(ap, fmt);
    vsnprintf(s->words + n, OCCUPIED_WORDS - n, fmt, ap);
    va_end(ap);
    return true;
}

/* Which of the devices is it?  count: none. */
static size_t find_device(const struct search *s, dev_t dev)
{
    size_t i = 0;

    while (i < s->count && s->devices[i].dev != dev)
        i++;
    return i;
}

/* What is below /sys/dev/block. */
static void add_device(struct search *s, dev_t dev, const char *name)
{
    if (s->count == DEVICES_MOST)
        return;
    s->devices[s->count].dev = dev;
    snprintf(s->devices[s->count].name, NAME_LENGTH, "%.*s", NAME_LENGTH - 1,
             name);
    s->count++;
}

/* A partition is a folder in that of its disk. */
static void add_partitions(struct search *s)
{
    DIR *CLEANUP(dir) dir = NULL;
    char path[PATH_MAX];
    const char *name;

    snprintf(path, sizeof path, "%s/sys/dev/block/%u:%u", s->root,
             major(s->st->st_rdev), minor(s->st->st_rdev));
    dir = open_dir(s, path);
    while ((name = next_name(dir)) != NULL) {
        FILE *CLEANUP(file) is_partition =
            open_file(&s->shortage, path, "/%s/partition", name);
        FILE *CLEANUP(file) f = open_file(&s->shortage, path, "/%s/dev", name);
        unsigned a, b;

        if (is_partition != NULL && f != NULL &&
            fscanf(f, "%u:%u", &a, &b) == 2)
            add_device(s, makedev(a, b), name);
    }
}

/* mountinfo has the device of the files, which btrfs makes up, and a name. */
static bool look_at_mounts(struct search *s)
{
    struct lines CLEANUP(lines) lines = {
        .f = open_file(&s->shortage, s->root, "/proc/self/mountinfo"),
    };
    const char *line;

    while (s->count > 0 && (line = next_line(s, &lines)) != NULL) {
        char *CLEANUP(free_ptr) where = NULL;
        char *CLEANUP(free_ptr) name = NULL;
        const char *rest = strstr(line, " - ");
        struct stat st;
        unsigned a, b;
        size_t i;

        if (rest == NULL ||
            sscanf(line, "%*s %*s %u:%u %*s %ms", &a, &b, &where) != 3)
            continue;
        i = find_device(s, makedev(a, b));
        if (i == s->count && sscanf(rest, " - %*s %ms", &name) == 1 &&
            strncmp(name, "/dev/", 5) == 0) {
            unescape(name);
            if (stat(name, &st) == 0 && S_ISBLK(st.st_mode))
                i = find_device(s, st.st_rdev);
        }
        if (i == s->count)
            continue;
        unescape(where);
        return found(s, i, " is mounted on %s", where);
    }
    return false;
}

static bool is_file(const struct search *s, dev_t dev, ino_t ino)
{
    return s->count == 0 && s->st->st_dev == dev && s->st->st_ino == ino;
}

static bool look_at_swap(struct search *s)
{
    struct lines CLEANUP(lines) lines = {
        .f = open_file(&s->shortage, s->root, "/proc/swaps"),
    };
    char *line;

    while ((line = next_line(s, &lines)) != NULL) {
        struct stat st;
        size_t i = s->count;

        line[strcspn(line, " \t\n")] = '\0';
        unescape(line);
        if (line[0] != '/' || stat(line, &st) == -1)
            continue;
        if (S_ISBLK(st.st_mode))
            i = find_device(s, st.st_rdev);
        if (i < s->count || is_file(s, st.st_dev, st.st_ino))
            return found(s, i, " is used as swap");
    }
    return false;
}

static bool look_at_holders(struct search *s)
{
    for (size_t i = 0; i < s->count; i++) {
        DIR *CLEANUP(dir) dir = NULL;
        FILE *CLEANUP(file) f = NULL;
        char path[PATH_MAX], dm_name[NAME_LENGTH * 2];
        const char *name;

        snprintf(path, sizeof path, "%s/sys/dev/block/%u:%u/holders", s->root,
                 major(s->devices[i].dev), minor(s->devices[i].dev));
        dir = open_dir(s, path);
        name = next_name(dir);
        if (name == NULL)
            continue;
        f = open_file(&s->shortage, path, "/%s/dm/name", name);
        if (f != NULL && fscanf(f, "%127s", dm_name) == 1)
            return found(s, i, " is part of /dev/mapper/%s", dm_name);
        return found(s, i, " is part of /dev/%s", name);
    }
    return false;
}

/* What is below a loop device.  False if it is none, or has nothing. */
static bool loop_below(int fd, struct loop_info64 *info)
{
    return ioctl(fd, LOOP_GET_STATUS64, info) == 0;
}

/* The kernel's huge_encode_dev() is what makedev(3) gives. */
static size_t find_loop(const struct search *s, const struct loop_info64 *info,
                        bool *is_found)
{
    size_t i =
        info->lo_rdevice == 0 ? s->count : find_device(s, info->lo_rdevice);

    *is_found = i < s->count || is_file(s, info->lo_device, info->lo_inode);
    return i;
}

static bool look_at_loops(struct search *s)
{
    DIR *CLEANUP(dir) dir = NULL;
    char path[PATH_MAX], device[PATH_MAX];
    const char *name;

    snprintf(path, sizeof path, "%s/sys/block", s->root);
    dir = open_dir(s, path);
    while ((name = next_name(dir)) != NULL) {
        FILE *CLEANUP(file) f = NULL;
        int CLEANUP(close_fd) fd = -1;
        struct loop_info64 info = {0};
        bool is_found;
        size_t i;

        if (strncmp(name, "loop", 4) == 0)
            f = open_file(&s->shortage, path, "/%s/loop/backing_file", name);
        if (f == NULL) /* it has nothing below */
            continue;
        snprintf(device, sizeof device, "/dev/%s", name);
        fd = open(device, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd == -1)
            note_shortage(&s->shortage);
        if (fd == -1 || !loop_below(fd, &info))
            continue;
        i = find_loop(s, &info, &is_found);
        if (is_found)
            return found(s, i, " has the loop device /dev/%s on it", name);
    }
    return false;
}

int occupied_find(const char *root, const struct stat *st,
                  char words[OCCUPIED_WORDS])
{
    struct search s = {.root = root, .st = st, .words = words};

    if (S_ISBLK(st->st_mode)) {
        add_device(&s, st->st_rdev, "");
        add_partitions(&s);
    }
    if (look_at_mounts(&s) || look_at_swap(&s) || look_at_holders(&s) ||
        look_at_loops(&s))
        return 1;
    errno = s.shortage;
    return s.shortage == 0 ? 0 : -1;
}

/* A block device, or the one that it is a partition of. */
static dev_t whole_disk(dev_t dev, int *shortage)
{
    FILE *CLEANUP(file) is_partition =
        open_file(shortage, "", "/sys/dev/block/%u:%u/partition", major(dev),
                  minor(dev));
    FILE *CLEANUP(file) f = NULL;
    unsigned a, b;

    if (is_partition == NULL)
        return dev;
    f = open_file(shortage, "", "/sys/dev/block/%u:%u/../dev", major(dev),
                  minor(dev));
    return f != NULL && fscanf(f, "%u:%u", &a, &b) == 2 ? makedev(a, b) : dev;
}

/* Two partitions of a disk are two; all else on one disk is the same. */
static bool is_same_device(dev_t a, dev_t b, int *shortage)
{
    return a == b || whole_disk(a, shortage) == b ||
           a == whole_disk(b, shortage);
}

static bool is_on_loop(int fd, const struct stat *below)
{
    struct loop_info64 info = {0};

    if (!loop_below(fd, &info))
        return false;
    return S_ISBLK(below->st_mode) ? info.lo_rdevice == below->st_rdev
                                   : info.lo_device == below->st_dev &&
                                         info.lo_inode == below->st_ino;
}

int occupied_is_same(int fd, int other_fd)
{
    struct stat a, b;
    int shortage = 0;

    if (fd == -1 || other_fd == -1)
        return 0;
    if (fstat(fd, &a) == -1 || fstat(other_fd, &b) == -1)
        return -1;
    if (S_ISREG(a.st_mode) && S_ISREG(b.st_mode))
        return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    if (S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode) &&
        is_same_device(a.st_rdev, b.st_rdev, &shortage))
        return 1;
    if ((S_ISBLK(a.st_mode) && is_on_loop(fd, &b)) ||
        (S_ISBLK(b.st_mode) && is_on_loop(other_fd, &a)))
        return 1;
    errno = shortage;
    return shortage == 0 ? 0 : -1;
}

int occupied_check_same(int destination_fd, int other_fd, const char *other,
                        struct error *err)
{
    int is_same = occupied_is_same(destination_fd, other_fd);

    if (is_same == -1)
        return error_set(err, errno,
                         "destination: cannot tell whether it is the %s",
                         other);
    return is_same == 0
               ? 0
               : error_set(err, 0, "destination: it is the %s", other);
}
