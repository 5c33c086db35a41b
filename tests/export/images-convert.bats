#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --layout convert --detect-zeroes of an image is what qemu-img convert makes
# of that image, byte for byte.

load ../lib/helpers

@test "a qcow2 image" {
    mixed_disk disk
    disk_image qcow2 disk image.qcow2
    same_as_qemu_img qcow2 image.qcow2
    create=cluster_size=4k same_as_qemu_img qcow2 image.qcow2 \
        --cluster-size 4K
    create=cluster_size=2M same_as_qemu_img qcow2 image.qcow2 \
        --cluster-size 2M
    create=extended_l2=on same_as_qemu_img qcow2 image.qcow2 --extended-l2
    create=compat=0.10 same_as_qemu_img qcow2 image.qcow2 --compat 0.10
}

@test "qcow2 images with small and large clusters" {
    mixed_disk disk
    disk_image qcow2 disk 4k.qcow2 cluster_size=4k
    same_as_qemu_img qcow2 4k.qcow2
    create=cluster_size=4k same_as_qemu_img qcow2 4k.qcow2 --cluster-size 4K
    disk_image qcow2 disk 2m.qcow2 cluster_size=2M
    same_as_qemu_img qcow2 2m.qcow2
    disk_image qcow2 disk 512.qcow2 cluster_size=512
    same_as_qemu_img qcow2 512.qcow2
}

@test "a qcow2 image with extended L2" {
    make_disk disk 64M runs:8K/100K
    disk_image qcow2 disk image.qcow2 extended_l2=on
    same_as_qemu_img qcow2 image.qcow2
    create=extended_l2=on same_as_qemu_img qcow2 image.qcow2 --extended-l2
}

@test "a qcow2 image that has zeroes as data" {
    mixed_disk disk
    qemu-img convert -f raw -O qcow2 -S 0 disk image.qcow2
    same_as_qemu_img qcow2 image.qcow2
    create=cluster_size=4k same_as_qemu_img qcow2 image.qcow2 \
        --cluster-size 4K
}

@test "a compressed image" {
    make_disk disk 32M runs:1M/300K
    qemu-img convert -c -f raw -O qcow2 disk image.qcow2
    same_as_qemu_img qcow2 image.qcow2
}

@test "a VHD that grows, and one of fixed size" {
    mixed_disk disk
    disk_image vpc disk image.vhd
    same_as_qemu_img vpc image.vhd
    disk_image vpc disk fixed.vhd subformat=fixed
    same_as_qemu_img vpc fixed.vhd
}

@test "VHDX, VMDK and VDI" {
    mixed_disk disk
    disk_image vhdx disk image.vhdx
    same_as_qemu_img vhdx image.vhdx
    disk_image vmdk disk image.vmdk
    same_as_qemu_img vmdk image.vmdk
    disk_image vmdk disk packed.vmdk subformat=streamOptimized
    same_as_qemu_img vmdk packed.vmdk
    disk_image vdi disk image.vdi
    same_as_qemu_img vdi image.vdi
}

@test "a size that is no multiple of a cluster, in every format" {
    make_disk disk 10507264 data@1M+2M zeroes@2M+100K tail+3K
    local format
    for format in qcow2 vpc vhdx vmdk vdi; do
        disk_image $format disk image.$format
        same_as_qemu_img $format image.$format
    done
}

@test "an empty and a full disk, in every format" {
    make_disk empty 6M
    make_disk full 6M full
    local format disk
    for format in qcow2 vpc vhdx vmdk vdi; do
        for disk in empty full; do
            disk_image $format $disk $disk.$format
            same_as_qemu_img $format $disk.$format
        done
    done
}

@test "data of an image that begins and ends within its clusters" {
    make_disk disk 40M pieces:400 data@12289+1 data@20971519+70002
    disk_image qcow2 disk image.qcow2
    same_as_qemu_img qcow2 image.qcow2
    create=cluster_size=4k same_as_qemu_img qcow2 image.qcow2 \
        --cluster-size 4K
}

@test "piece boundaries that refcount blocks fall on" {
    # See stream-convert.bats.
    make_disk disk 96M data@1000+9M data@10M+6145K data@17411K+8M \
        runs:5M/12K@26M+50M
    disk_image qcow2 disk image.qcow2 cluster_size=4k
    create=cluster_size=4k same_as_qemu_img qcow2 image.qcow2 \
        --cluster-size 4K
    create=cluster_size=16k,refcount_bits=64 same_as_qemu_img qcow2 \
        image.qcow2 --cluster-size 16K --refcount-bits 64
}

@test "a chain of which each link has a part of the data" {
    make_disk disk 32M runs:300K/1M
    disk_image qcow2 disk base.qcow2
    overlay middle.qcow2 base.qcow2 qcow2 -o cluster_size=4k
    allocate middle.qcow2 3M+100K 5000K+52K 20M+3M
    overlay image.qcow2 middle.qcow2 qcow2 -o cluster_size=512K
    allocate image.qcow2 3100K+10K 9M+1M 31M+1M
    qemu-io -f qcow2 -c 'write -q -z 20M 1M' image.qcow2
    same_as_qemu_img qcow2 image.qcow2
    create=cluster_size=4k same_as_qemu_img qcow2 image.qcow2 \
        --cluster-size 4K
}

@test "an image that grew under a guest, its clusters in no order" {
    # Each place where the file's order breaks is one where qemu-img cuts.
    empty_image image.qcow2 64M -o cluster_size=4k
    local i
    for i in 7 3 11 2 13 5 0; do
        allocate image.qcow2 "$((i * 4))M+3M" "$((i * 4096 + 3500))K+52K"
    done
    same_as_qemu_img qcow2 image.qcow2
    create=cluster_size=16k,refcount_bits=64 same_as_qemu_img qcow2 \
        image.qcow2 --cluster-size 16K --refcount-bits 64
    create=cluster_size=4k same_as_qemu_img qcow2 image.qcow2 \
        --cluster-size 4K
}
