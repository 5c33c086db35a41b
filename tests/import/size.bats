#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# An image larger than its destination: by less than a cluster, some clients
# round up; by more, it does not fit.

load ../lib/helpers

# does_not_fit IMAGE DESTINATION [SERVE-ARG...]
does_not_fit() {
    expect="* 1" keep_open=1 time_limit=20 send_image "$1" -- \
        --destination "${@:2}"
    error_says "^qcow-tool: serve: destination: .*bytes" receiver.stderr
    untouched "$2"
    nothing_left
}

@test "an image that is larger by a cluster is refused, and both sizes named" {
    make_disk disk.raw 4259840 data@0+64K
    image disk.raw disk.qcow2
    other_data copy.raw 4194304
    does_not_fit disk.qcow2 copy.raw
    error_says 4259840 receiver.stderr
    error_says 4194304 receiver.stderr
    does_not_fit disk.qcow2 copy.raw --prezeroed --direct
}

@test "an image that is far larger is refused by a block device" {
    requires loop
    make_disk disk.raw 16M data@0+64K
    image disk.raw disk.qcow2
    other_data backing 4M
    does_not_fit disk.qcow2 "$(make_loop backing)"
}

@test "an image of the largest size there is is refused" {
    make_disk disk.raw 4M data@0+64K
    image disk.raw disk.qcow2
    poke disk.qcow2 24 7ffffffffffffe00
    other_data copy.raw 4M
    expect="* 1" send_image disk.qcow2 -- --destination copy.raw
    error_says "^qcow-tool: serve: " receiver.stderr
    untouched copy.raw
    nothing_left
}

@test "an empty file is too small for a disk" {
    make_disk disk.raw 4M data@0+64K
    image disk.raw disk.qcow2
    : >copy.raw
    does_not_fit disk.qcow2 copy.raw
    [ ! -s copy.raw ]
}

@test "an image rounded up with a hole is written as far as there is room" {
    make_disk disk.raw 4194304 runs:256K/512K data@0+64K
    cp disk.raw larger.raw
    truncate -s 4224K larger.raw
    image larger.raw disk.qcow2 cluster_size=1M
    other_data copy.raw 4194304
    send_image disk.qcow2 -- --destination copy.raw
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "an image rounded up with zeroes that are data is written, too" {
    # The cluster that the disk ends in holds data, and zeroes behind it.
    make_disk disk.raw 4195328 runs:256K/512K tail+1024
    cp disk.raw larger.raw
    truncate -s 4160K larger.raw
    image larger.raw disk.qcow2
    other_data copy.raw 4195328
    send_image disk.qcow2 -- --destination copy.raw
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "an image rounded up with zeroes is written on a block device" {
    requires loop
    make_disk disk.raw 4195328 runs:256K/512K tail+1024
    cp disk.raw larger.raw
    truncate -s 4160K larger.raw
    image larger.raw disk.qcow2
    other_data backing 4195328
    device=$(make_loop backing)
    send_image disk.qcow2 -- --destination "$device" --direct
    same_bytes disk.raw "$device"
}

@test "an image with data behind the destination's end is refused" {
    make_disk larger.raw 4255744 runs:256K/512K data@4194816+512
    image larger.raw disk.qcow2
    other_data copy.raw 4194304
    does_not_fit disk.qcow2 copy.raw
    does_not_fit disk.qcow2 copy.raw --prezeroed
}

@test "one byte behind the destination's end is enough to be refused" {
    # In the cluster that the destination ends in.
    make_disk larger.raw 4195328 data@4190208+8K
    printf x | dd of=larger.raw bs=1 seek=4195328 conv=notrunc status=none
    image larger.raw disk.qcow2
    other_data copy.raw 4195328
    does_not_fit disk.qcow2 copy.raw
}

@test "--destination-size says nothing about the size of the disk" {
    make_disk disk.raw 4M runs:256K/512K
    image disk.raw disk.qcow2
    local size
    for size in 0 1125899906842624 "$(stat -c %s disk.qcow2)" 4195328; do
        rm -f new.raw
        send_image disk.qcow2 -- \
            --destination new.raw --destination-size "$size"
        same_bytes disk.raw new.raw
    done
    other_data copy.raw 4M
    keep_open=1 time_limit=20 send_image disk.qcow2 -- \
        --destination copy.raw --destination-size "$size"
    same_bytes disk.raw copy.raw
    nothing_left
}
