#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --relative-to an image that is not in the chain, or where there is no chain:
# what differs is found by comparing, whatever the formats.

load ../lib/helpers

# Two disks with much in common.
setup() {
    helpers_setup
    make_disk base.raw 6M runs:128K/128K zeroes@2M+1M
    cp --sparse=always base.raw disk.raw
    make_disk disk.raw 6M seed:2 pieces:6 empties:6 data@2M+5K \
        zeroes@3M+200K tail+512
    stdout_to=raw.qcow2 qcow_tool stream --source disk.raw \
        --relative-to base.raw
    common=$(($(stat -c %s disk.raw) / 2))
}

# outside DISK BASE STREAM-ARG...
# ... and not much more is sent than comparing the raw disks would send.
outside() {
    good_difference "$@"
    holds difference.qcow2 65536 "$common"
}

images() {
    qemu-img convert -f raw -O "$1" ${2:+-o "$2"} disk.raw "disk.$1"
    qemu-img convert -f raw -O "$1" ${3:+-o "$3"} base.raw "base.$1"
}

@test "qcow2 images that do not know each other" {
    images qcow2
    outside disk.raw base.raw --source-format qcow2 --source disk.qcow2 \
        --relative-to base.qcow2
    outside disk.raw base.raw --source-format hybrid \
        --source disk.raw:disk.qcow2 --relative-to base.qcow2
}

@test "qcow2 images of other cluster sizes, and a stream of another" {
    images qcow2 cluster_size=4K cluster_size=2M
    outside disk.raw base.raw --source-format qcow2 --source disk.qcow2 \
        --relative-to base.qcow2 --cluster-size 16K
    outside disk.raw base.raw --source-format hybrid \
        --source disk.raw:disk.qcow2 --relative-to base.qcow2 --extended-l2
    images qcow2 cluster_size=2M cluster_size=4K
    outside disk.raw base.raw --source-format qcow2 --source disk.qcow2 \
        --relative-to base.qcow2
    outside disk.raw base.raw --source-format hybrid \
        --source disk.raw:disk.qcow2 --relative-to base.qcow2
}

@test "a sibling: both have the same base" {
    empty_image root.qcow2 6M
    lay base.raw root.qcow2
    overlay disk.qcow2 root.qcow2 qcow2
    guest disk.qcow2 "write -q -P 1 1M 64K" "write -q -z 2M 64K" \
        "write -q -P 3 5M 64K"
    overlay sibling.qcow2 root.qcow2 qcow2
    guest sibling.qcow2 "write -q -P 1 1M 64K" "write -q -P 2 3M 64K" \
        "write -q -z 5M 1K" "write -q -P 4 2M 64K"
    by_depth disk.qcow2 sibling.qcow2
    holds difference.qcow2 196608 262144
}

@test "BASE is above the image: back to what it was" {
    images qcow2
    overlay top.qcow2 disk.qcow2 qcow2
    guest top.qcow2 "write -q -P 1 1M 64K" "write -q -z 3M 512K"
    by_depth disk.qcow2 top.qcow2
    holds difference.qcow2 65536 655360
}

@test "a base that is larger, and one that is smaller" {
    images qcow2
    make_disk base.raw 8388096 tail+1M
    qemu-img convert -f raw -O qcow2 base.raw large.qcow2
    by_depth disk.qcow2 large.qcow2
    by_depth large.qcow2 disk.qcow2
}

@test "the same content: nothing is sent" {
    images qcow2 cluster_size=4K
    qemu-img convert -c -f raw -O qcow2 disk.raw same.qcow2
    by_depth disk.qcow2 same.qcow2
    is_empty difference.qcow2
}

@test "zero flags by comparing" {
    images qcow2
    flags=yes good_difference disk.raw base.raw --source-format qcow2 \
        --source disk.qcow2 --relative-to base.qcow2 --zero-clusters flag
    flags=yes good_difference disk.raw base.raw --source-format hybrid \
        --source disk.raw:disk.qcow2 --relative-to base.qcow2 \
        --zero-clusters flag
    stdout_to=flag.qcow2 qcow_tool stream --source disk.raw \
        --relative-to base.raw --zero-clusters flag
    [ "$(flagged difference.qcow2)" = "$(flagged flag.qcow2)" ]
}

@test "vdi, vhdx and vmdk" {
    local format
    for format in vdi vhdx vmdk; do
        images $format
        outside disk.raw base.raw --source-format $format \
            --source disk.$format --relative-to base.$format
    done
}

@test "vpc, whose own size is the disk's" {
    images vpc
    raw_of disk.vpc disk.raw vpc
    raw_of base.vpc base.raw vpc
    outside disk.raw base.raw --source-format vpc --source disk.vpc \
        --relative-to base.vpc
}

@test "--image-format of a hybrid is BASE's, too" {
    images vdi
    outside disk.raw base.raw --source-format hybrid --image-format vdi \
        --source disk.raw:disk.vdi --relative-to base.vdi
    outside disk.raw base.raw --source-format hybrid --image-format raw \
        --source disk.raw:disk.raw --relative-to base.raw
}

@test "a raw base at the end of the chain, by depth" {
    overlay top.qcow2 base.raw raw 6M
    guest top.qcow2 "write -q -P 1 1M 64K" "write -q -z 2M 2M" \
        "write -q -P 2 5000K 3K"
    raw_of top.qcow2 top.raw
    local options=(--relative-to base.raw)
    good_difference top.raw base.raw --source-format hybrid \
        --source top.raw:top.qcow2 "${options[@]}"
    good_difference top.raw base.raw --source-format qcow2 \
        --source top.qcow2 "${options[@]}"
    truncate -s 6M absent.raw
    qcow_tool measure --source-format hybrid \
        --source absent.raw:top.qcow2 "${options[@]}"
    [ "$(jq .data stdout)" -ge 131072 ]
    [ "$(jq .data stdout)" -le 2228224 ]
}
