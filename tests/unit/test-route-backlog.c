/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the qcow-tool authors */
/* Tests how much the route says that it holds of what windows have said. */

#include "config.h"

#include "base/worker.h"
#include "route-setup.h"

static void test_backlog(void)
{
    const uint64_t entry = sizeof(struct filemap_entry);
    const uint64_t job = sizeof(struct job);
    uint64_t needed_end;

    TEST("what a window says of data to come is held until that has come");
    begin((struct setup){.disk_size = 512 * K});
    CHECK_UINT(route_backlog(s.route, &needed_end), 0);
    CHECK_UINT(needed_end, 0);
    take_ok((struct window){
        .disk_end = 512 * K,
        .data = {{0, K, 64 * K}, {K, K, 0}, {4 * K, K, 128 * K}}});
    CHECK_UINT(route_backlog(s.route, &needed_end), 3 * entry);
    CHECK_UINT(needed_end, 5 * K);
    receive(ROUTE_DISK, K);
    CHECK_UINT(route_backlog(s.route, &needed_end), 2 * entry);
    receive(ROUTE_DISK, K);
    receive(ROUTE_DROP, 2 * K);
    CHECK_UINT(route_backlog(s.route, &needed_end), entry);
    receive(ROUTE_DISK, K);
    CHECK_UINT(route_backlog(s.route, &needed_end), 0);
    CHECK_UINT(needed_end, 5 * K);
    check_complete();
    end();

    TEST("and what it says of data that is moved, until that is done");
    begin((struct setup){.disk_size = 512 * K});
    inbox_allow(s.inbox, LONGEST);
    next(100 * K, ROUTE_KEEP, 100 * K);
    take_ok((struct window){.disk_end = 512 * K,
                            .data = {{0, K, 64 * K}, {K, K, 0}}});
    CHECK_UINT(route_backlog(s.route, &needed_end), 2 * job);
    CHECK_UINT(needed_end, 2 * K);
    receive(ROUTE_KEEP, 100 * K);
    CHECK(is_idle());
    CHECK_UINT(route_backlog(s.route, &needed_end), 0);
    check_complete();
    end();
}

int main(void)
{
    test_begin();
    test_backlog();
    return test_end();
}
