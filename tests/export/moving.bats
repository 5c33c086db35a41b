#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# The ways in which bytes move, where they can be told apart.

load ../lib/helpers

teardown() {
    cd /
    ! mountpoint -q "$BATS_TEST_TMPDIR/mnt" || umount "$BATS_TEST_TMPDIR/mnt"
    helpers_teardown
}

# Blocks of 512 bytes that are in use.
used() {
    stat -f -c '%b %f %S' mnt | {
        read -r blocks free unit
        echo $(((blocks - free) * unit / 512))
    }
}

@test "a file system that can has an image share what is in the disk" {
    requires root loop mkfs.xfs
    truncate -s 400M fs
    mkfs.xfs -q -m reflink=1 fs || skip "needs an XFS with reflinks"
    mkdir mnt
    mount -o loop fs mnt 2>/dev/null || skip "needs mount"
    make_disk mnt/disk 32M full
    sync mnt/disk
    local before
    # The suite may be run with another mover.
    unset QCOW_TOOL_MOVER
    before=$(used)
    qcow_tool stream --source mnt/disk --destination mnt/out.qcow2 --verbose
    stderr_says 'by copy_file_range$'
    [ $(($(used) - before)) -lt $((4 << 11)) ]
    same_content mnt/disk raw mnt/out.qcow2
    disk_image qcow2 mnt/disk mnt/image.qcow2
    sync mnt/image.qcow2
    before=$(used)
    qcow_tool stream --source mnt/image.qcow2 --source-format qcow2 \
        --destination mnt/again.qcow2
    [ $(($(used) - before)) -lt $((4 << 11)) ]
    same_bytes mnt/out.qcow2 mnt/again.qcow2
    nothing_left
}

@test "a file that is appended to gets the same bytes" {
    make_disk disk 4M full
    qcow_tool stream --source disk --destination out.qcow2
    : >appended
    stdout_to=- qcow_tool stream --source disk >>appended
    same_bytes out.qcow2 appended
}

@test "a pipe is made larger, and the stream is the same" {
    make_disk disk 4M full
    qcow_tool stream --source disk --destination out.qcow2
    mkfifo fifo
    exec 5<>fifo
    start_tool sender stream --source disk --destination-fd 5
    wait_until 20 has_sent fifo
    [ "$(python3 -c 'import fcntl; print(fcntl.fcntl(5, 1032))')" = 1048576 ]
    cat <fifo >got 5<&- &
    local reader=$!
    finish_tool sender
    exec 5<&-
    wait "$reader"
    same_bytes out.qcow2 got
}
