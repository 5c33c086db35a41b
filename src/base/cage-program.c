/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* What has to be read and run so that a program can be. */

#include "config.h"

#include "base/cage-program.h"
#include "base/cleanup.h"
#include "base/io.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Its path, as execvp looks for it; NULL, with errno ENOMEM or another. */
static char *find_in_path(const char *name)
{
    const char *path = getenv("PATH");
    struct stat st;
    char *found;

    if (strchr(name, '/') != NULL)
        return strdup(name);
    if (path == NULL)
        path = "/bin:/usr/bin";
    for (;;) {
        size_t length = strcspn(path, ":");

        if (asprintf(&found, "%.*s%s%s", (int)length, path,
                     length == 0 ? "" : "/", name) == -1)
            return NULL;
        if (stat(found, &st) == 0 && S_ISREG(st.st_mode) &&
            access(found, X_OK) == 0)
            return found;
        free(found);
        if (path[length] == '\0')
            break;
        path += length + 1;
    }
    errno = ENOENT;
    return NULL;
}

static bool is_ours(const ElfW(Ehdr) * header)
{
    const unsigned char class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;

    return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
           header->e_ident[EI_CLASS] == class &&
           header->e_phentsize == sizeof(ElfW(Phdr));
}

/* Finds the loader that an ELF file names (elf(5), PT_INTERP). */
static int read_elf(struct cage_program *p)
{
    int CLEANUP(close_fd) fd = open(p->path, O_RDONLY | O_CLOEXEC);
    ElfW(Ehdr) header;
    char name[PATH_MAX];

    p->is_script = true;
    if (fd == -1 ||
        io_pread_full(fd, &header, sizeof header, 0) != sizeof header ||
        !is_ours(&header))
        return 0;
    p->is_script = false;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        ElfW(Phdr) segment;

        if (io_pread_full(fd, &segment, sizeof segment,
                          header.e_phoff + i * sizeof segment) !=
            sizeof segment)
            break;
        if (segment.p_type != PT_INTERP || segment.p_filesz < 2 ||
            segment.p_filesz > sizeof name ||
            io_pread_full(fd, name, segment.p_filesz, segment.p_offset) !=
                (ssize_t)segment.p_filesz)
            continue;
        name[segment.p_filesz - 1] = '\0';
        p->interpreter = strdup(name);
        return p->interpreter == NULL ? -1 : 0;
    }
    return 0;
}

/* One that is not in /usr may have libraries of its own: below PREFIX if it is
 * PREFIX/bin/qemu-img, else beside it.
 */
static int find_home(struct cage_program *p)
{
    char *CLEANUP(free_ptr) real = realpath(p->path, NULL);
    char *slash = real == NULL ? NULL : strrchr(real, '/');
    char *above;

    if (slash == NULL || strncmp(real, "/usr/bin/", 9) == 0)
        return 0;
    *slash = '\0';
    above = strrchr(real, '/');
    if (above != NULL && above != real &&
        (strcmp(above, "/bin") == 0 || strcmp(above, "/sbin") == 0 ||
         strcmp(above, "/libexec") == 0))
        *above = '\0';
    if (real[0] == '\0')
        return 0;
    p->home = strdup(real);
    return p->home == NULL ? -1 : 0;
}

int cage_program_find(const char *name, struct cage_program *p)
{
    *p = (struct cage_program){.path = find_in_path(name)};
    if (p->path == NULL)
        return errno == ENOMEM ? -1 : 0;
    return read_elf(p) == -1 || find_home(p) == -1 ? -1 : 0;
}

void cage_program_clear(struct cage_program *p)
{
    free(p->path);
    free(p->interpreter);
    free(p->home);
    *p = (struct cage_program){.path = NULL};
}
