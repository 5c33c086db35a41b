#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --layout convert where it takes gigabytes, block devices or O_DIRECT.
#
# The first refcount block ends at 2 GiB, and QEMU asks for no more than that
# at once.  So two of these tests make, send and compare as much, which takes
# five to ten seconds of a CPU, and more of a slow disk.

load ../lib/helpers

# Like same_as_convert of stream-convert.bats, without a second big file.
# The disk is raw, or qcow2:IMAGE.
piped_as_convert() {
    local disk=${1#qcow2:} options=$2 format=raw
    [ "$disk" = "$1" ] || format=qcow2
    shift 2
    qemu-img convert -f $format -O qcow2 ${options:+-o "$options"} \
        "$disk" expected.qcow2
    set -o pipefail
    time_limit=120 stdout_to=- qcow_tool stream --source-format $format \
        --source "$disk" --layout convert "$@" | cmp - expected.qcow2 >&2
    nothing_left
}

@test "a stream over 2 GiB, past its first refcount block: bytes of qemu-img convert" {
    requires space:6
    make_disk disk 2200M data@1M+2100M
    piped_as_convert disk ""
}

@test "over 2 GiB in runs that begin anywhere, and an image of them: bytes of qemu-img convert" {
    requires space:6
    # Holes from 4 KiB up: the 2 MiB pieces drift against the clusters, and
    # what lies around 2 GiB, where the second refcount block is made, with
    # them.
    make_disk disk 2300M runs:6M/256K
    piped_as_convert disk ""
    rm disk
    mv expected.qcow2 image.qcow2
    piped_as_convert qcow2:image.qcow2 "" --detect-zeroes
}

@test "a loop device gives the bytes of qemu-img convert from the same device" {
    requires loop
    mixed_disk disk 64M
    local device
    device=$(make_loop disk --read-only)
    piped_as_convert "$device" ""
    piped_as_convert "$device" cluster_size=4k --cluster-size 4K
    piped_as_convert "$device" cluster_size=2M --cluster-size 2M
    piped_as_convert "$device" extended_l2=on --extended-l2
}

@test "a loop device whose size is no multiple of a cluster, with --direct too" {
    requires loop
    make_disk disk 21013504 runs:300K/300K tail+3K
    local device
    device=$(make_loop disk --read-only)
    piped_as_convert "$device" ""
    piped_as_convert "$device" "" --direct
}

@test "a loop device with 4 KiB sectors, with --direct too" {
    requires loop
    make_disk disk 21012480 runs:300K/300K tail+4K
    local device
    device=$(make_loop disk --read-only --sector-size 4096)
    piped_as_convert "$device" ""
    piped_as_convert "$device" "" --direct
}

@test "--direct gives the bytes of qemu-img convert" {
    make_disk disk 64M runs:1M/512K seed:3 pieces:30
    piped_as_convert disk "" --direct
    piped_as_convert disk cluster_size=4k --cluster-size 4K --direct
    piped_as_convert disk extended_l2=on --extended-l2 --direct
}

@test "--direct reads a last cluster that is no multiple of a sector" {
    make_disk disk 10000001 data@100K+200K tail+5000
    piped_as_convert disk "" --direct
    piped_as_convert disk cluster_size=512 --cluster-size 512 --direct
}

@test "--direct leaves nothing of the source in the page cache" {
    requires fincore
    make_disk disk 32M full
    sync disk
    dd if=disk iflag=nocache count=0 status=none
    wait_until 10 not_cached disk
    stdout_to=stream.qcow2 qcow_tool stream --source-format raw \
        --source disk --direct
    not_cached disk
    stdout_to=stream.qcow2 qcow_tool stream --source-format raw --source disk
    run ! not_cached disk
}

not_cached() {
    [ "$(fincore --bytes --noheadings --output RES "$1" | tr -d ' ')" -lt \
        4194304 ]
}
