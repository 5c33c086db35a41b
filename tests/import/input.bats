#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# How the bytes reach `serve`: all at once, one by one, from where.

load ../lib/helpers

setup() {
    helpers_setup
    make_disk disk.raw 6M runs:256K/512K pieces:20 tail+512
    image disk.raw disk.qcow2
    other_data copy.raw 6M
}

# At the borders of the header, of tables and of data.
pauses() {
    printf -- '--pause-at %s ' 1 3 71 72 104 111 112 113 4096 65535 65536 \
        65537 196608 262143 262144 300000 700000
}

@test "the image comes byte by byte" {
    make_disk small.raw 256K data@100K+20K
    image small.raw small.qcow2 cluster_size=4096
    send_image small.qcow2 --chunk 1 -- --destination new.raw
    same_bytes small.raw new.raw
    nothing_left
}

@test "the image comes byte by byte through a non-blocking socket" {
    make_disk small.raw 256K data@100K+20K
    image small.raw small.qcow2 cluster_size=4096
    nonblocking=1 keep_open=1 send_image small.qcow2 --chunk 1 -- \
        --destination new.raw
    same_bytes small.raw new.raw
}

@test "the sender pauses" {
    # shellcheck disable=SC2046 # words are wanted
    send_image disk.qcow2 $(pauses) -- --destination copy.raw
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "the sender pauses, and the socket is non-blocking" {
    # shellcheck disable=SC2046 # words are wanted
    nonblocking=1 keep_open=1 send_image disk.qcow2 $(pauses) -- \
        --destination copy.raw
    same_bytes disk.raw copy.raw
}

@test "the connection stays open after the last byte" {
    keep_open=1 time_limit=15 send_image disk.qcow2 -- --destination copy.raw
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "the length of the stream is known and the connection stays open" {
    keep_open=1 time_limit=15 send_image disk.qcow2 -- \
        --destination copy.raw --source-size "$(stat -c %s disk.qcow2)"
    same_bytes disk.raw copy.raw
}

@test "the image is standard input, a pipe" {
    set -o pipefail
    python3 "$tests/send.py" 1 disk.qcow2 |
        qcow_tool serve --destination copy.raw
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "the image is standard input, a file" {
    qcow_tool serve --destination copy.raw <disk.qcow2
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "the image is standard input, a file read from where it stands" {
    { head -c 512 /dev/zero && cat disk.qcow2; } >behind.bin
    exec 5<behind.bin
    head -c 512 <&5 >first.bin
    # head may have read more than it needed.
    python3 -c 'import os; os.lseek(5, 512, os.SEEK_SET)'
    qcow_tool serve --source-fd 5 --destination copy.raw
    exec 5<&-
    same_bytes disk.raw copy.raw
}

@test "bytes after the image are taken and ignored" {
    send_image disk.qcow2 --trailing 1048576 -- --destination copy.raw
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "bytes after the image are taken though the connection stays open" {
    keep_open=1 time_limit=20 send_image disk.qcow2 --trailing 1048576 -- \
        --destination copy.raw
    same_bytes disk.raw copy.raw
}

@test "bytes after the image are taken from a pipe" {
    set -o pipefail
    python3 "$tests/send.py" 1 disk.qcow2 --trailing 1048576 |
        qcow_tool serve --destination copy.raw
    same_bytes disk.raw copy.raw
}

@test "--source-size counts bytes after the image as well" {
    keep_open=1 time_limit=20 send_image disk.qcow2 --trailing 1048576 -- \
        --destination copy.raw \
        --source-size $(($(stat -c %s disk.qcow2) + 1048576))
    same_bytes disk.raw copy.raw
}

@test "the image comes the slow way" {
    export QCOW_TOOL_MOVER=copy
    send_image disk.qcow2 -- --destination copy.raw
    same_bytes disk.raw copy.raw
    other_data copy.raw 6M
    qcow_tool serve --destination copy.raw --direct <disk.qcow2
    same_bytes disk.raw copy.raw
    nothing_left
}
