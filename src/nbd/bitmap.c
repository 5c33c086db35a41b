/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* A dirty bitmap of QEMU's, at an NBD server. */

#include "config.h"

#include "nbd/bitmap.h"
#include "nbd/block-status.h"

#include <libnbd.h>
#include <stdio.h>
#include <string.h>

#define NAMESPACE "qemu:dirty-bitmap:"

enum { CONTEXT = sizeof NAMESPACE + BITMAP_NAME_LONGEST, NAMES = 200 };

#define IS_DIRTY 1

/* What there is, as "one, two"; or "one, ..." where there is no more room. */
struct names {
    char text[NAMES + sizeof ", ..."];
    bool is_cut;
};

static int add_name(void *opaque, const char *context)
{
    struct names *names = opaque;
    const char *name = context + strlen(NAMESPACE);
    size_t used = strlen(names->text);

    if (names->is_cut || strncmp(context, NAMESPACE, strlen(NAMESPACE)) != 0)
        return 0;
    names->is_cut = used + strlen(", ") + strlen(name) > NAMES;
    sprintf(names->text + used, "%s%s", used == 0 ? "" : ", ",
            names->is_cut ? "..." : name);
    return 0;
}

int nbd_bitmap_prepare(struct nbd_handle *nbd)
{
    if (nbd_set_opt_mode(nbd, true) == -1)
        return -1;
    return nbd_add_meta_context(nbd, NAMESPACE); /* any: to be listed */
}

static void make_context(const char *bitmap, char context[CONTEXT])
{
    snprintf(context, CONTEXT, NAMESPACE "%s", bitmap);
}

static int failed(const struct nbd_connections *c, struct error *err)
{
    return error_set(err, 0, "%s: NBD: %s", c->role, nbd_cause());
}

static int wait_for_answer(struct nbd_connections *c, struct error *err)
{
    while (nbd_aio_is_connecting(c->list[0]))
        if (nbd_connections_wait(c, -1, err) == -1)
            return -1;
    return 0;
}

/* A server that tells no names may have the bitmap even so. */
static int list(struct nbd_connections *c, struct names *names,
                struct error *err)
{
    if (nbd_aio_opt_list_meta_context(
            c->list[0],
            (nbd_context_callback){.callback = add_name, .user_data = names},
            NBD_NULL_COMPLETION) == -1)
        return 0;
    return wait_for_answer(c, err);
}

static int choose(struct nbd_connections *c, const struct nbd_address *address,
                  const char *context, struct error *err)
{
    struct nbd_handle *nbd = c->list[0];

    if (nbd_clear_meta_contexts(nbd) == -1 ||
        nbd_add_meta_context(nbd, context) == -1 ||
        (!address->is_bitmap_all &&
         nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == -1) ||
        nbd_aio_opt_go(nbd, NBD_NULL_COMPLETION) == -1)
        return failed(c, err);
    return wait_for_answer(c, err);
}

static int report_missing(const struct nbd_connections *c, const char *bitmap,
                          const struct names *names, struct error *err)
{
    if (nbd_get_structured_replies_negotiated(c->list[0]) != 1)
        return error_set(err, 0,
                         "%s: the NBD server has no bitmap '%s': it tells no "
                         "block status",
                         c->role, bitmap);
    return error_set(err, 0, "%s: the NBD server has no bitmap '%s'%s%s",
                     c->role, bitmap,
                     names->text[0] == '\0' ? ", and tells of no other"
                                            : "; it has ",
                     names->text);
}

int nbd_bitmap_choose(struct nbd_connections *c,
                      const struct nbd_address *address, struct error *err)
{
    struct nbd_handle *nbd = c->list[0];
    struct names names = {"", false};
    char context[CONTEXT];

    make_context(address->bitmap, context);
    if (nbd_aio_is_negotiating(nbd) &&
        (list(c, &names, err) == -1 ||
         (nbd_aio_is_negotiating(nbd) &&
          choose(c, address, context, err) == -1)))
        return -1;
    if (nbd_aio_is_ready(nbd) && nbd_can_meta_context(nbd, context) != 1)
        return report_missing(c, address->bitmap, &names, err);
    return 0;
}

int nbd_bitmap_read(struct nbd_connections *c, const char *bitmap,
                    struct extents *dirty, struct error *err)
{
    char context[CONTEXT];
    const struct nbd_status_query query = {
        .context = context,
        .flag = IS_DIRTY,
        .is_set = true,
    };

    make_context(bitmap, context);
    return nbd_connections_status(c, &query, dirty, err);
}
