#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --source-format qcow2, vpc, vhdx, vmdk, vdi: all that QEMU makes of these.

load ../lib/helpers

# A disk that is the same in every format, whose sizes are no multiples of
# most of their units.
small_disk() {
    make_disk disk 10507264 data@0+4K runs:200K/300K@1M+4M zeroes@2M+256K \
        data@7M+1M tail+3K
}

@test "a qcow2 image" {
    small_disk
    disk_image qcow2 disk image.qcow2
    both_arrive disk qcow2 image.qcow2
    both_arrive disk qcow2 "$PWD/image.qcow2" --cluster-size 4K --compat 0.10
}

@test "qcow2 images of all kinds, with all kinds of streams" {
    small_disk
    disk_image qcow2 disk 4k.qcow2 cluster_size=4k
    sends disk qcow2 4k.qcow2 --cluster-size 2M
    disk_image qcow2 disk 2m.qcow2 cluster_size=2M,compat=0.10
    sends disk qcow2 2m.qcow2 --cluster-size 4K
    disk_image qcow2 disk extended.qcow2 extended_l2=on
    sends disk qcow2 extended.qcow2
    disk_image qcow2 disk 512.qcow2 cluster_size=512,refcount_bits=64
    sends disk qcow2 512.qcow2 --extended-l2
}

@test "a VHD that grows, and one of fixed size" {
    small_disk
    disk_image vpc disk image.vhd
    both_arrive disk vpc image.vhd
    disk_image vpc disk fixed.vhd subformat=fixed
    both_arrive disk vpc fixed.vhd
}

@test "VHDs of sizes that cylinders, heads and sectors make larger" {
    local size
    for size in 8M 10000384 540000256; do
        rm -f disk
        make_disk disk "$size" data@1M+1M tail+100K
        disk_image vpc disk image.vhd
        disk_image vpc disk fixed.vhd subformat=fixed
        [ "$(virtual_size image.vhd vpc)" -gt "$(stat -c %s disk)" ]
        sends disk vpc image.vhd
        [ "$(virtual_size streamable.qcow2 qcow2)" = \
            "$(virtual_size image.vhd vpc)" ]
        sends disk vpc fixed.vhd
    done
}

@test "a VHD whose size was forced is not made larger" {
    make_disk disk 10000384 data@1M+1M tail+100K
    disk_image vpc disk image.vhd force_size=on
    sends disk vpc image.vhd
    [ "$(virtual_size convert.qcow2 qcow2)" = 10000384 ]
}

@test "a VHDX that grows, and one of fixed size" {
    small_disk
    disk_image vhdx disk image.vhdx
    both_arrive disk vhdx image.vhdx
    disk_image vhdx disk fixed.vhdx subformat=fixed,block_size=1M
    both_arrive disk vhdx fixed.vhdx
}

@test "a VMDK of one file, and one that is compressed" {
    small_disk
    disk_image vmdk disk image.vmdk
    both_arrive disk vmdk image.vmdk
    disk_image vmdk disk packed.vmdk subformat=streamOptimized
    both_arrive disk vmdk packed.vmdk
}

@test "a VMDK whose data is in files of their own" {
    small_disk
    disk_image vmdk disk flat.vmdk subformat=monolithicFlat
    sends disk vmdk flat.vmdk
    mkdir split
    disk_image vmdk disk split/image.vmdk subformat=twoGbMaxExtentSparse
    sends disk vmdk split/image.vmdk
    qcow_tool 1 stream --source-format vmdk - <split/image.vmdk
    error_says 'stream: source: an image in parts has to have a name'
}

@test "a VDI that grows, and one that is allocated whole" {
    small_disk
    disk_image vdi disk image.vdi
    both_arrive disk vdi image.vdi
    disk_image vdi disk static.vdi static=on
    both_arrive disk vdi static.vdi
}

@test "an empty disk in every format" {
    make_disk disk 6M
    local format
    for format in qcow2 vpc vhdx vmdk vdi; do
        disk_image $format disk image.$format
        sends disk $format image.$format
        # QEMU has no map of a VHDX, of which all is data.
        [ $format != vhdx ] || sends disk vhdx image.vhdx --detect-zeroes
        [ -z "$(allocated streamable.qcow2)" ]
        [ -z "$(allocated convert.qcow2)" ]
    done
}

@test "a full disk in every format" {
    make_disk disk 6M full
    local format
    for format in qcow2 vpc vhdx vmdk vdi; do
        disk_image $format disk image.$format
        sends disk $format image.$format
    done
}

@test "zeroes that an image has as data stay data" {
    # All of it is allocated: ..dddd000000000dd.......
    make_disk disk 16M data@1M+1M zeroes@2M+3M data@5M+64K
    qemu-img convert -f raw -O qcow2 -S 0 disk image.qcow2
    sends disk qcow2 image.qcow2
    [ "$(allocated streamable.qcow2)" = 0+16777216 ]
    [ "$(allocated convert.qcow2)" = 0+16777216 ]
    empty_image sparse.qcow2 16M
    allocate sparse.qcow2 1M+4M
    qemu-io -f qcow2 -c "write -q -P 0 2M 2M" sparse.qcow2
    sends "$(raw_of sparse.qcow2)" qcow2 sparse.qcow2
    [ "$(allocated streamable.qcow2)" = 1048576+4194304 ]
}

@test "ranges that an image marks zero are not sent" {
    make_disk disk 16M data@1M+6M
    disk_image qcow2 disk image.qcow2
    qemu-io -f qcow2 -c "write -q -z 2M 1M" -c "write -q -z -u 4M 1M" \
        image.qcow2
    sends "$(raw_of image.qcow2)" qcow2 image.qcow2
    [ "$(allocated streamable.qcow2)" = "$(allocated image.qcow2)" ]
}

@test "an image of a disk of 1 TiB with little in it" {
    make_disk disk 1T data@1M+300K data@700G+70K tail+64K
    disk_image qcow2 disk image.qcow2
    stdout_to=stream.qcow2 qcow_tool stream --source-format qcow2 \
        --source image.qcow2
    sound_image stream.qcow2
    good_order stream.qcow2
    same_content disk raw stream.qcow2
    measured stream.qcow2 --source-format qcow2 --source image.qcow2
    [ "$(stat -c %s stream.qcow2)" -lt 4194304 ]
    nothing_left
}

@test "an image on a block device" {
    requires loop
    small_disk
    disk_image qcow2 disk image.qcow2
    truncate -s 16M image.qcow2
    local device
    device=$(make_loop image.qcow2 --read-only)
    both_arrive disk qcow2 "$device"
    sends disk qcow2 "$device" --direct
}

@test "an image is not changed by being read, nor is its time" {
    small_disk
    disk_image qcow2 disk image.qcow2
    cp image.qcow2 before.qcow2
    touch -d 2020-02-02 image.qcow2
    chmod 444 image.qcow2
    sends disk qcow2 image.qcow2
    same_bytes image.qcow2 before.qcow2
    [ "$(stat -c %y image.qcow2 | cut -c1-10)" = 2020-02-02 ]
}

# raw_of IMAGE
raw_of() {
    qemu-img convert -f qcow2 -O raw "$1" "$1.raw"
    echo "$1.raw"
}
