#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# What `serve` writes to, and what it leaves there.

load ../lib/helpers

# A disk with data and holes, and its image.
small_disk() {
    make_disk disk.raw "${1:-12M}" runs:256K/512K pieces:20 tail+512
    image disk.raw disk.qcow2
}

@test "a file that does not exist is made with the size of the disk" {
    small_disk
    send_image disk.qcow2 -- --destination copy.raw
    same_bytes disk.raw copy.raw
    nothing_left
}

@test "a file of a disk that ends in a hole has the whole size" {
    make_disk disk.raw 7M data@0+64K
    image disk.raw disk.qcow2
    send_image disk.qcow2 -- --destination copy.raw
    same_bytes disk.raw copy.raw
}

@test "an image of size 0 makes an empty file" {
    qemu-img create -q -f qcow2 nothing.qcow2 0
    send_image nothing.qcow2 -- --destination copy.raw
    [ -f copy.raw ]
    [ ! -s copy.raw ]
    nothing_left
}

@test "an existing file keeps nothing of what it held" {
    kinds_of_ranges
    other_data copy.raw 16M
    send_image kinds.qcow2 -- --destination copy.raw
    same_bytes kinds.raw copy.raw
    nothing_left
}

@test "an existing file is written in place, and stays the same file" {
    small_disk
    other_data copy.raw 12M
    ln copy.raw link.raw
    send_image disk.qcow2 -- --destination copy.raw
    [ copy.raw -ef link.raw ]
    same_bytes disk.raw link.raw
}

@test "an existing file that is larger keeps its size" {
    small_disk
    other_data copy.raw 13M
    send_image disk.qcow2 -- --destination copy.raw
    [ "$(stat -c %s copy.raw)" = $((13 << 20)) ]
    cmp -n $((12 << 20)) disk.raw copy.raw
    nothing_left
}

@test "file://PATH is the file of that path" {
    small_disk
    send_image disk.qcow2 -- --destination "file://$PWD/copy.raw"
    same_bytes disk.raw copy.raw
}

@test "--direct writes the same, whatever the disk's size" {
    small_disk 12583424
    other_data copy.raw 12583424
    send_image disk.qcow2 -- --destination copy.raw --direct
    same_bytes disk.raw copy.raw
    send_image disk.qcow2 -- --destination new.raw --unbuffered
    same_bytes disk.raw new.raw
    nothing_left
}

@test "--direct writes the same from an image of 512 byte clusters" {
    make_disk disk.raw 1M runs:4K/8K pieces:20
    image disk.raw disk.qcow2 cluster_size=512
    other_data copy.raw 1M
    send_image disk.qcow2 -- --destination copy.raw --direct
    same_bytes disk.raw copy.raw
}

@test "a block device keeps nothing of what it held" {
    requires loop
    kinds_of_ranges
    other_data backing 16M
    device=$(make_loop backing)
    send_image kinds.qcow2 -- --destination "file://$device"
    same_bytes kinds.raw "$device"
    nothing_left
}

@test "a block device keeps nothing of what it held, written directly" {
    requires loop
    kinds_of_ranges
    other_data backing 16M
    device=$(make_loop backing)
    send_image kinds.qcow2 -- --destination "file://$device" --direct
    same_bytes kinds.raw "$device"
}

@test "a block device of 4 KiB sectors is written directly, 512 bytes too" {
    requires loop
    make_disk disk.raw 8M data@64K+512 data@1M+100K tail+512
    image disk.raw disk.qcow2 cluster_size=512
    other_data backing 8M
    device=$(make_loop backing --sector-size 4096)
    send_image disk.qcow2 -- --destination "$device" --direct
    same_bytes disk.raw "$device"
    nothing_left
}

@test "a block device that is larger is written at its start" {
    requires loop
    small_disk
    other_data backing 13M
    device=$(make_loop backing)
    send_image disk.qcow2 -- --destination "$device"
    cmp -n $((12 << 20)) disk.raw "$device"
}

@test "--prezeroed leaves alone what is unallocated, and only that" {
    # Allocated zeroes are written, and ranges marked zero are zeroed: xapi
    # imports a difference onto a disk that holds its base.
    kinds_of_ranges
    only_allocated kinds.qcow2 expected.raw
    other_data copy.raw 16M
    send_image kinds.qcow2 -- --destination copy.raw --prezeroed
    same_bytes expected.raw copy.raw
    nothing_left
}

@test "--prezeroed leaves alone the same on a block device, written directly" {
    requires loop
    kinds_of_ranges
    only_allocated kinds.qcow2 expected.raw
    other_data backing 16M
    device=$(make_loop backing)
    send_image kinds.qcow2 -- --destination "$device" --prezeroed --direct
    same_bytes expected.raw "$device"
}

@test "--prezeroed leaves alone unallocated subclusters" {
    qemu-img create -q -f qcow2 -o extended_l2=on sub.qcow2 4M
    # Subclusters of 2 KiB, in clusters of 64 KiB.
    qemu-io -f qcow2 -c 'write -P 0x11 2K 2K' -c 'write -z 70K 2K' \
        -c 'write -P 0 130K 4K' -c 'write -P 0x22 1M 66K' \
        sub.qcow2 >/dev/null
    only_allocated sub.qcow2 expected.raw
    other_data copy.raw 4M
    send_image sub.qcow2 -- --destination copy.raw --prezeroed
    same_bytes expected.raw copy.raw
}

@test "--prezeroed makes a new file sparse and whole" {
    kinds_of_ranges
    send_image kinds.qcow2 -- --destination copy.raw --prezeroed
    same_bytes kinds.raw copy.raw
}

@test "the slow way of moving bytes writes the same" {
    export QCOW_TOOL_MOVER=copy
    kinds_of_ranges
    other_data copy.raw 16M
    send_image kinds.qcow2 -- --destination copy.raw --direct
    same_bytes kinds.raw copy.raw
    only_allocated kinds.qcow2 expected.raw
    other_data copy.raw 16M
    send_image kinds.qcow2 -- --destination copy.raw --prezeroed
    same_bytes expected.raw copy.raw
}

@test "a file that holds an image is refused, and --force writes over it" {
    local format option
    qemu-img create -q -f qcow2 disk.qcow2 64K
    for format in qcow2 vpc vmdk vdi vhdx; do
        qemu-img create -q -f $format image 1M
        # The image's file has to be as large as the disk, or that is wrong.
        truncate -s '>1M' image
        cp image before
        for option in --direct --prezeroed; do
            qcow_tool 1 serve image "$option" <disk.qcow2
            error_says "destination: image holds a [A-Z]*(qcow2)? image, \
which would be overwritten .*--force"
            one_line stderr
            same_bytes before image
        done
        nothing_left
    done
    qcow_tool serve image --force <disk.qcow2
    cmp -n 65536 image /dev/zero
}

@test "a block device may begin as an image does" {
    requires loop
    qemu-img create -q -f qcow2 disk.qcow2 64K
    qemu-img create -q -f qcow2 backing 1M
    truncate -s 1M backing
    device=$(make_loop backing)
    qcow_tool serve "$device" <disk.qcow2
    [ ! -s stderr ]
    cmp -n 65536 "$device" /dev/zero
}

@test "the program that stands in for xapi's only warns of an image" {
    qemu-img create -q -f qcow2 disk.qcow2 1M
    guest disk.qcow2 'write -q -P 7 0 64K'
    qemu-img create -q -f qcow2 image 1M
    truncate -s 1M image
    drop_in qcow-stream-tool stream_decode image <disk.qcow2
    error_says 'warning: image holds a qcow2 image, which is overwritten'
    cmp -n 65536 image <(head -c 64K /dev/zero | tr '\0' '\7')
}
