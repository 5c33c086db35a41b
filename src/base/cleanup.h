/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Variables that release what they hold when they leave their scope. */

#ifndef QT_CLEANUP_H
#define QT_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_ptr(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* char *CLEANUP(free_ptr) name = ...; */
#define CLEANUP(what) __attribute__((cleanup(cleanup_##what)))

/* Hand over what an annotated variable holds, so that it is not released. */
#define STEAL_PTR(p)                                                          \
    __extension__({                                                           \
        __typeof__(p) stolen_ = (p);                                          \
        (p) = NULL;                                                           \
        stolen_;                                                              \
    })

static inline int steal_fd(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

#endif
