#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# A disk goes through `stream`, a socketpair and `serve`, and is the same disk.

load ../lib/helpers

# comes_back DISK [STREAM-ARG...]
# ... on a destination that was full of other data.
comes_back() {
    other_data copy.raw "$(stat -c %s "$1")"
    send_disk "$@" -- --destination copy.raw
    same_bytes "$1" copy.raw
    nothing_left
}

# Data and holes of all lengths, and zeroes that were written.
mixed_disk() {
    make_disk disk.raw "${1:-20M}" runs:256K/512K pieces:40 empties:20
}

@test "a disk comes back the same, laid out streamable" {
    mixed_disk
    comes_back disk.raw --layout streamable
}

@test "a disk comes back the same, laid out as qemu-img convert does" {
    mixed_disk
    comes_back disk.raw --layout convert
}

@test "a disk comes back the same in clusters of 512 bytes" {
    mixed_disk 2M
    comes_back disk.raw --cluster-size 512
}

@test "a disk comes back the same in clusters of 4 KiB, several refcount blocks" {
    # A refcount block of 4 KiB counts 2048 clusters: 8 MiB.
    mixed_disk 40M
    comes_back disk.raw --cluster-size 4096
    comes_back disk.raw --cluster-size 4096 --layout convert
}

@test "a disk comes back the same in clusters of 2 MiB" {
    mixed_disk
    comes_back disk.raw --cluster-size 2097152
    comes_back disk.raw --cluster-size 2097152 --layout convert
}

@test "a disk comes back the same with extended L2 entries" {
    mixed_disk
    comes_back disk.raw --extended-l2
    comes_back disk.raw --extended-l2 --layout convert
}

@test "a disk comes back the same with compat 0.10" {
    mixed_disk
    comes_back disk.raw --compat 0.10
    comes_back disk.raw --compat 0.10 --layout convert
}

@test "a disk comes back the same with refcounts of 1 and of 64 bits" {
    mixed_disk
    comes_back disk.raw --refcount-bits 1
    comes_back disk.raw --refcount-bits 64
}

@test "a disk of no whole number of clusters comes back, its last bytes too" {
    make_disk disk.raw 10486272 runs:256K/512K tail+1536
    comes_back disk.raw
    comes_back disk.raw --layout convert
}

@test "a disk of no whole number of sectors comes back, its last bytes too" {
    make_disk disk.raw 1000003 data@0+64K tail+3
    comes_back disk.raw
}

@test "a disk that ends in a hole of part of a cluster comes back" {
    make_disk disk.raw 10486272 data@0+1M
    comes_back disk.raw
}

@test "a disk of one sector comes back" {
    make_disk disk.raw 512 full
    comes_back disk.raw
}

@test "an empty disk comes back as zeroes" {
    make_disk disk.raw 50M
    comes_back disk.raw
    comes_back disk.raw --layout convert
}

@test "a disk full of data comes back" {
    make_disk disk.raw 24M full
    comes_back disk.raw
}

@test "a disk of 5 GiB with data in few places comes back as a sparse file" {
    make_disk disk.raw 5G data@0+1M data@2147418112+128K \
        data@4294901760+128K tail+64K
    send_disk disk.raw -- --destination copy.raw
    same_content disk.raw copy.raw
    # An eighth of a GiB is far from 5, and allows for tables of the file.
    [ "$(stat -c %b copy.raw)" -lt 262144 ]
    nothing_left
}

@test "the connection can stay open after the last byte" {
    mixed_disk
    keep_open=1 comes_back disk.raw
}

@test "the connection can be non-blocking and narrow" {
    mixed_disk
    nonblocking=1 sndbuf=4608 comes_back disk.raw
}

@test "the slow way of moving bytes gives the same disk" {
    mixed_disk
    export QCOW_TOOL_MOVER=copy
    comes_back disk.raw
    comes_back disk.raw --layout convert
}

@test "both can be called as xapi calls them" {
    mixed_disk
    other_data copy.raw "$(stat -c %s disk.raw)"
    through_socketpair env -C / qcow-tool stream --source-format raw \
        --source "$PWD/disk.raw" --destination-fd '{}' --direct -- \
        env -C / qcow-tool serve --source-fd '{}' --direct \
        --destination "file://$PWD/copy.raw" --destination-format raw
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "a rate that is limited is kept on both sides" {
    local began took
    make_disk disk 1M data@0+300K
    qcow-tool stream --source disk --destination image.qcow2
    # At a million bytes a second, 524288 take half of one, at the least.
    began=${EPOCHREALTIME/./}
    qcow-tool stream --source disk --rate-limit 1000000 |
        cmp - image.qcow2
    took=$((${EPOCHREALTIME/./} - began))
    [ "$took" -ge 500000 ]
    began=${EPOCHREALTIME/./}
    qcow-tool serve --destination copy --rate-limit 1000KB <image.qcow2
    took=$((${EPOCHREALTIME/./} - began))
    [ "$took" -ge 500000 ]
    cmp disk copy
}
