/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests files that we make, and remove again unless all goes well. */

#include "config.h"

#include "base/newfile.h"
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* In a directory of its own. */
static bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static void touch(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    test_require(fd != -1, path);
    close(fd);
}

static void test_removed(void)
{
    struct newfile made;
    int fd;

    TEST("what was made is removed");
    fd = newfile_create("new", O_WRONLY, &made);
    CHECK(fd != -1 && is_there("new"));
    newfile_remove(&made);
    CHECK(!is_there("new"));
    newfile_remove(&made); /* nothing to be done */
    close(fd);

    TEST("not what has its name by now");
    fd = newfile_create("new", O_WRONLY, &made);
    test_require(rename("new", "moved") == 0, "rename");
    touch("new");
    newfile_remove(&made);
    CHECK(is_there("new") && is_there("moved"));
    close(fd);
    unlink("moved");

    TEST("not what was there before");
    CHECK_INT(newfile_create("new", O_WRONLY, &made), -1);
    CHECK_INT(errno, EEXIST);
    newfile_remove(&made);
    CHECK(is_there("new"));
    unlink("new");

    TEST("not what is to stay");
    fd = newfile_create("new", O_WRONLY, &made);
    CHECK_INT(newfile_keep(&made), 0);
    newfile_remove(&made);
    CHECK(is_there("new"));
    close(fd);
    unlink("new");
}

static void test_shortage(void)
{
    struct rlimit before, few;
    struct newfile made;
    int fd;

    TEST("what could not be made to stay is removed");
    fd = newfile_create("new", O_WRONLY, &made);
    test_require(getrlimit(RLIMIT_NOFILE, &before) == 0, "getrlimit");
    few = (struct rlimit){.rlim_cur = fd, .rlim_max = before.rlim_max};
    test_require(setrlimit(RLIMIT_NOFILE, &few) == 0, "setrlimit");
    CHECK_INT(newfile_keep(&made), -1);
    CHECK_INT(errno, EMFILE);
    setrlimit(RLIMIT_NOFILE, &before);
    newfile_remove(&made);
    CHECK(!is_there("new"));
    close(fd);
}

static void test_links(void)
{
    struct newfile made;
    int fd;

    TEST("what a dangling link names is made, and removed; the link stays");
    test_require(mkdir("there", 0700) == 0 &&
                     symlink("there/new", "middle") == 0 &&
                     symlink("middle", "link") == 0,
                 "symlink");
    fd = newfile_create("link", O_WRONLY, &made);
    CHECK(fd != -1 && is_there("there/new"));
    newfile_remove(&made);
    CHECK(!is_there("there/new") && is_there("middle") && is_there("link"));
    close(fd);

    TEST("a link to a file is a file that is there");
    touch("there/new");
    CHECK_INT(newfile_create("link", O_WRONLY, &made), -1);
    CHECK_INT(errno, EEXIST);
    newfile_remove(&made);
    CHECK(is_there("there/new"));
    unlink("there/new");

    TEST("a link into no directory, or to itself, makes nothing");
    rmdir("there");
    CHECK_INT(newfile_create("link", O_WRONLY, &made), -1);
    CHECK_INT(errno, ENOENT);
    unlink("middle");
    test_require(symlink("link", "middle") == 0, "symlink");
    CHECK_INT(newfile_create("link", O_WRONLY, &made), -1);
    CHECK(errno == EEXIST || errno == ELOOP);
    CHECK(made.path == NULL);
    unlink("middle");
    unlink("link");
}

static void test_unnamed(void)
{
    struct stat st;
    int fd = newfile_unnamed(".");

    TEST("an unnamed file has no name, and can be read and written");
    CHECK(fd != -1 && fstat(fd, &st) == 0 && st.st_nlink == 0);
    CHECK_INT(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
    CHECK_INT(newfile_unnamed("none"), -1);
    CHECK_INT(errno, ENOENT);
    touch("file");
    CHECK_INT(newfile_unnamed("file"), -1);
    CHECK_INT(errno, ENOTDIR);
    unlink("file");
}

/* The files in this directory that were begun. */
static unsigned count_begun(void)
{
    DIR *dir = opendir(".");
    const struct dirent *entry;
    unsigned n = 0;

    test_require(dir != NULL, "opendir");
    while ((entry = readdir(dir)) != NULL)
        n += strncmp(entry->d_name, ".qcow-tool.", 11) == 0;
    closedir(dir);
    return n;
}

static void test_published(void)
{
    struct newfile made, other;
    struct stat st;
    int fd;

    TEST("a file that is begun has another name");
    fd = newfile_begin("new", O_RDWR, &made);
    CHECK(fd != -1 && !is_there("new"));
    CHECK_UINT(count_begun(), 1);

    TEST("each has one of its own");
    close(newfile_begin("./new", O_RDWR, &other));
    CHECK_UINT(count_begun(), 2);
    newfile_remove(&other);
    CHECK_UINT(count_begun(), 1);

    TEST("it gets its own, and stays");
    CHECK_INT(newfile_publish(&made, "new", false), 0);
    CHECK(is_there("new"));
    CHECK_UINT(count_begun(), 0);
    newfile_remove(&made);
    CHECK(is_there("new"));
    close(fd);

    TEST("what is there is not replaced");
    fd = newfile_begin("new", O_RDWR, &made);
    CHECK_INT(newfile_publish(&made, "new", false), -1);
    CHECK_INT(errno, EEXIST);
    newfile_remove(&made);
    CHECK_UINT(count_begun(), 0);
    CHECK(is_there("new"));
    close(fd);

    TEST("or it is, if that is asked for");
    fd = newfile_begin("new", O_RDWR, &made);
    test_require(write(fd, "new", 3) == 3, "write");
    CHECK_INT(newfile_publish(&made, "new", true), 0);
    CHECK(stat("new", &st) == 0 && st.st_size == 3);
    close(fd);
    unlink("new");

    TEST("a directory that is not there is an error");
    CHECK_INT(newfile_begin("none/new", O_RDWR, &made), -1);
    CHECK_INT(errno, ENOENT);
}

/* Who may write to the directory. */
static void test_planted(void)
{
    struct newfile made;
    char name[64];
    int fd;

    TEST("a link in the place of a begun file is not followed");
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, ".qcow-tool.%d.%d", (int)getpid(), i);
        test_require(symlink("elsewhere", name) == 0, "symlink");
    }
    fd = newfile_begin("new", O_RDWR, &made);
    CHECK(fd != -1 && !is_there("elsewhere"));
    CHECK_UINT(count_begun(), 4);
    newfile_remove(&made);
    CHECK_UINT(count_begun(), 3);
    close(fd);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, ".qcow-tool.%d.%d", (int)getpid(), i);
        unlink(name);
    }
}

int main(void)
{
    test_begin();
    test_require(chdir(test_dir()) == 0, "chdir");
    test_removed();
    test_shortage();
    test_links();
    test_unnamed();
    test_published();
    test_planted();
    return test_end();
}
