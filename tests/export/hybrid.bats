#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --source-format hybrid: the map is IMAGE's, the data is DEVICE's.

load ../lib/helpers

@test "data comes from DEVICE, and the map from IMAGE" {
    # IMAGE's own data is nowhere in the stream; DEVICE's is only where IMAGE
    # has some:     IMAGE   ....11111........11.....
    #               DEVICE  dddddddddddddddddddddddd
    #               stream  ....ddddd........dd.....
    make_disk device 64M full
    empty_image image.qcow2 64M
    allocate image.qcow2 4M+1M 9M+192K 63M+1M
    make_disk expected 64M data@4M+1M data@9M+192K data@63M+1M
    good_hybrid device image.qcow2 expected
    [ "$(data_ranges streamable.qcow2)" = "$(data_ranges image.qcow2)" ]
}

@test "both layouts are those of the same disk as raw" {
    make_disk device 64M runs:1M/512K data@50M+6M
    qemu-img convert -f raw -O qcow2 -S 4k device image.qcow2
    good_hybrid device image.qcow2 device
    qemu-img convert -f raw -O qcow2 device expected.qcow2
    same_bytes expected.qcow2 convert.qcow2
    stdout_to=raw.qcow2 qcow_tool stream --source-format raw --source device
    same_bytes raw.qcow2 streamable.qcow2
}

@test "zeroes that IMAGE has as data stay data" {
    make_disk device 16M zeroes@1M+1M data@4M+64K
    empty_image image.qcow2 16M
    allocate image.qcow2 1M+1M 4M+64K 12M+128K
    good_hybrid device image.qcow2 device
    [ "$(data_ranges streamable.qcow2)" = "$(data_ranges image.qcow2)" ]
    [ "$(data_ranges convert.qcow2)" = "$(data_ranges image.qcow2)" ]
}

@test "IMAGE with smaller clusters than the stream's" {
    make_disk device 64M runs:64K/300K
    qemu-img convert -f raw -O qcow2 -o cluster_size=4k device image.qcow2
    good_hybrid device image.qcow2 device
    good_hybrid device image.qcow2 device --cluster-size 2M
    good_hybrid device image.qcow2 device --extended-l2
}

@test "IMAGE with larger clusters than the stream's" {
    make_disk device 64M runs:64K/3M
    qemu-img convert -f raw -O qcow2 -o cluster_size=2M device image.qcow2
    good_hybrid device image.qcow2 device
    good_hybrid device image.qcow2 device --cluster-size 4K
    [ "$(data_ranges streamable.qcow2)" = "$(data_ranges image.qcow2)" ]
}

@test "IMAGE with extended L2" {
    make_disk device 64M runs:8K/100K
    qemu-img convert -f raw -O qcow2 -o extended_l2=on device image.qcow2
    good_hybrid device image.qcow2 device
    good_hybrid device image.qcow2 device --cluster-size 4K
}

@test "IMAGE with compressed clusters: their data is DEVICE's like any other" {
    make_disk device 16M runs:300K/1M
    empty_image image.qcow2 16M
    qemu-img convert -c -f raw -O qcow2 device image.qcow2
    good_hybrid device image.qcow2 device
}

@test "a size that is no multiple of a cluster, with data in the last one" {
    make_disk device 10507264 data@1M+2M tail+3K
    qemu-img convert -f raw -O qcow2 device image.qcow2
    good_hybrid device image.qcow2 device
    good_hybrid device image.qcow2 device --cluster-size 2M
}

@test "DEVICE is a block device, read with --direct too" {
    requires loop
    make_disk device 32M runs:1M/1M tail+3K
    qemu-img convert -f raw -O qcow2 device image.qcow2
    local loop
    loop=$(make_loop device --read-only)
    good_hybrid "$loop" image.qcow2 device
    good_hybrid "$loop" image.qcow2 device --direct
}

@test "IMAGE is held open read-write by another process" {
    make_disk device 16M data@1M+3M
    empty_image image.qcow2 16M
    allocate image.qcow2 1M+3M
    hold_open image.qcow2
    good_hybrid device image.qcow2 device
    # ... which can still write to it.
    qemu-io -f raw -c "write -q -P 0x22 8M 64K" "nbd+unix:///?socket=$held"
}

@test "an empty IMAGE gives an empty disk, whatever DEVICE holds" {
    make_disk device 16M full
    make_disk expected 16M
    empty_image image.qcow2 16M
    good_hybrid device image.qcow2 expected
}

@test "paths with spaces, commas and quotes" {
    local dir='a b, c=d'
    mkdir "$dir"
    make_disk "$dir/the device" 16M data@1M+3M data@9M+64K
    empty_image "$dir/base,file=x.qcow2" 16M
    allocate "$dir/base,file=x.qcow2" 1M+2M
    overlay "$dir/it's \"1,2\".qcow2" "base,file=x.qcow2" qcow2
    allocate "$dir/it's \"1,2\".qcow2" 3M+1M 9M+64K
    cp --sparse=always "$dir/the device" expected
    good_hybrid "$PWD/$dir/the device" "$PWD/$dir/it's \"1,2\".qcow2" expected
    good_hybrid "$dir/the device" "$dir/it's \"1,2\".qcow2" expected
}

@test "--image-format raw takes the map from the holes of a raw file" {
    make_disk device 32M full
    # In this image nothing may be interpreted: a guest wrote a qcow2 header.
    empty_image inner.qcow2 900M
    make_disk image.raw 32M data@2M+64K runs:128K/512K@10M+10M
    dd if=inner.qcow2 of=image.raw conv=notrunc status=none
    local spans
    spans=$(qemu-img map --output=json -f raw image.raw |
        jq -r '.[] | select(.data) | "data@\(.start)+\(.length)"')
    # shellcheck disable=SC2086 # one word for each range
    make_disk expected 32M $spans
    # 4 KiB clusters, so that no range is widened over DEVICE's other data.
    good_hybrid device image.raw expected --image-format raw --cluster-size 4K
}
