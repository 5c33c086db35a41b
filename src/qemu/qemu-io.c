/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* qemu-io: writes to an image as a guest would, by commands. */

#include "config.h"

#include "base/child.h"
#include "qemu/qemu-io.h"

#include <stdio.h>
#include <string.h>

static const char prompt[] = "qemu-io> ";

struct session {
    qemu_io_next *next;
    void *opaque;
    size_t matched; /* bytes of a prompt at the end of what came so far */
    char *complaint;
    size_t complaint_length;
    bool is_complaint_complete;
};

static size_t feed(void *opaque, char *buf, size_t space)
{
    struct session *s = opaque;
    size_t used = 0;
    char line[QEMU_IO_LINE];

    while (space - used > sizeof line && s->next(s->opaque, line)) {
        size_t length = strlen(line);

        memcpy(buf + used, line, length);
        buf[used + length] = '\n';
        used += length + 1;
    }
    return used;
}

static void say(struct session *s, char c)
{
    if (s->is_complaint_complete || (c == '\n' && s->complaint_length == 0))
        return;
    if (c == '\n' || s->complaint_length == QEMU_IO_COMPLAINT - 1)
        s->is_complaint_complete = true;
    else
        s->complaint[s->complaint_length++] = c;
    s->complaint[s->complaint_length] = '\0';
}

/* One prompt is printed for each command, a megabyte of them at times: what
 * is between them is what counts.
 */
static int listen(void *opaque, const char *text, size_t length,
                  struct error *err)
{
    struct session *s = opaque;

    (void)err;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == prompt[s->matched]) {
            s->matched++;
            if (prompt[s->matched] == '\0')
                s->matched = 0;
            continue;
        }
        for (size_t j = 0; j < s->matched; j++)
            say(s, prompt[j]);
        s->matched = text[i] == prompt[0] ? 1 : 0;
        if (s->matched == 0)
            say(s, text[i]);
    }
    return 0;
}

int qemu_io_probe(struct qemu *qemu, struct error *err)
{
    const char *const argv[] = {qemu->io, "-c", "help truncate", NULL};

    return qemu_has_option(argv, "[-m ", &qemu->io_preallocates, err);
}

int qemu_io_run(const struct qemu *qemu, int bridge_fd, uint64_t l2_slice,
                qemu_io_next *next, void *opaque,
                char complaint[QEMU_IO_COMPLAINT], struct error *err)
{
    char node[QEMU_NODE_SPACE];
    const char *const argv[] = {
        qemu->io, "-t", "unsafe", "--image-opts", node, NULL,
    };
    struct session session = {.next = next,
                              .opaque = opaque,
                              .complaint = complaint};
    const struct cage_spec cage = qemu_cage(qemu, NULL, 1);
    const struct child_spec spec = {
        .argv = argv,
        .cage = &cage,
        .inherit = &bridge_fd,
        .n_inherit = 1,
        .cancel_fd = -1,
        .feed = feed,
        .consume = listen,
        .opaque = &session,
    };

    qemu_bridge_options(node, bridge_fd, l2_slice);
    complaint[0] = '\0';
    return qemu_run(&spec, err);
}
