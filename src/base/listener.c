/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Listens to a pipe while we do something else, so that it is never full. */

#include "config.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/listener.h"
#include "base/own-cage.h"
#include "base/lock.h"
#include "base/signals.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>

struct listener {
    int fd, stop_fd, end_fd; /* eventfds: we shall end; fd has ended */
    pthread_t thread;
    pthread_mutex_t lock; /* of words */
    struct last_words words;
};

static void *run(void *opaque)
{
    struct listener *l = opaque;
    struct pollfd fds[] = {
        {.fd = l->fd, .events = POLLIN},
        {.fd = l->stop_fd, .events = POLLIN},
    };

    while ((poll(fds, 2, -1) != -1 || errno == EINTR) && fds[1].revents == 0) {
        char buf[4096];
        ssize_t n = read(l->fd, buf, sizeof buf); /* it does not block */

        if (n > 0) {
            LOCK_FOR_SCOPE(&l->lock);

            last_words_add(&l->words, buf, n);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            break;
        }
    }
    eventfd_write(l->end_fd, 1);
    return NULL;
}

static void listener_free(struct listener *l)
{
    cleanup_close_fd(&l->stop_fd);
    cleanup_close_fd(&l->end_fd);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

int listener_start(int fd, struct listener **listener, struct error *err)
{
    struct listener *l = calloc(1, sizeof *l);

    if (l == NULL)
        return error_set(err, errno, "no memory for a thread");
    pthread_mutex_init(&l->lock, NULL);
    l->fd = fd;
    l->stop_fd = eventfd(0, EFD_CLOEXEC);
    l->end_fd = eventfd(0, EFD_CLOEXEC);
    if (l->stop_fd == -1 || l->end_fd == -1) {
        error_set(err, errno, "cannot make an eventfd");
        listener_free(l);
        return -1;
    }
    if (own_cage_create_thread(&l->thread, run, l, err) == -1) {
        listener_free(l);
        return -1;
    }
    *listener = l;
    return 0;
}

bool listener_wait(struct listener *l, int timeout_ms)
{
    return io_wait(l->end_fd, POLLIN, -1, timeout_ms) == 1;
}

void listener_take(struct listener *l, struct last_words *words)
{
    LOCK_FOR_SCOPE(&l->lock);

    *words = l->words;
    l->words.length = 0;
}

void listener_stop(struct listener *l)
{
    if (l == NULL)
        return;
    eventfd_write(l->stop_fd, 1);
    pthread_join(l->thread, NULL);
    listener_free(l);
}
