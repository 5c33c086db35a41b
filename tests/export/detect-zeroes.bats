#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# --detect-zeroes: what the map calls data is looked at, too.

load ../lib/helpers

# all_mapped NAME DISK [CREATE-OPTIONS]
# A qcow2 image of which every cluster is data, zeroes too.
all_mapped() {
    qemu-img convert -f raw -O qcow2 -S 0 ${3:+-o "$3"} "$2" "$1"
}

# finds_zeroes DISK FORMAT SOURCE [STREAM-ARG...]
# With --detect-zeroes both layouts are those of the raw DISK.
finds_zeroes() {
    local disk=$1 layout
    local from=(--source-format "$2" --source "$3")
    shift 3
    for layout in streamable convert; do
        stream_into expected.qcow2 --source-format raw --source "$disk" \
            --layout $layout "$@"
        stream_into stream.qcow2 "${from[@]}" --layout $layout \
            --detect-zeroes "$@"
        same_bytes expected.qcow2 stream.qcow2
        measured stream.qcow2 "${from[@]}" --layout $layout --detect-zeroes \
            "$@"
    done
    no_spool_left
}

@test "a hybrid whose image has zeroes as data" {
    mixed_disk device
    all_mapped image.qcow2 device
    stdout_to=stream.qcow2 qcow_tool stream --source-format hybrid \
        --source device:image.qcow2
    [ "$(data_ranges stream.qcow2)" = "0+$((48 << 20))" ]
    finds_zeroes device hybrid device:image.qcow2
}

@test "it is qemu-img convert of that image, byte for byte" {
    mixed_disk device
    all_mapped image.qcow2 device
    qemu-img convert -f qcow2 -O qcow2 image.qcow2 expected.qcow2
    stdout_to=stream.qcow2 qcow_tool stream --source-format hybrid \
        --source device:image.qcow2 --layout convert --detect-zeroes
    same_bytes expected.qcow2 stream.qcow2
}

@test "an image by itself, and one of another cluster size" {
    mixed_disk disk
    all_mapped image.qcow2 disk
    finds_zeroes disk qcow2 image.qcow2
    all_mapped small.qcow2 disk cluster_size=4k
    finds_zeroes disk qcow2 small.qcow2 --cluster-size 2M
}

@test "formats of other kinds" {
    mixed_disk disk 16M
    disk_image vdi disk image.vdi static=on
    finds_zeroes disk vdi image.vdi
    disk_image vhdx disk image.vhdx subformat=fixed
    finds_zeroes disk vhdx image.vhdx
}

@test "an NBD server that says all is data" {
    mixed_disk disk
    all_mapped image.qcow2 disk
    nbd_server unix qemu-nbd --persistent --shared 0 -r -f qcow2 image.qcow2
    finds_zeroes disk nbd "$uri"
    finds_zeroes disk nbdhybrid "disk:$socket::$((48 << 20))"
}

@test "with all kinds of streams" {
    make_disk device 24M runs:64K/64K zeroes@4M+3M zeroes@9M+4K \
        zeroes@10M+60K
    all_mapped image.qcow2 device
    finds_zeroes device hybrid device:image.qcow2 --cluster-size 4K
    finds_zeroes device hybrid device:image.qcow2 --cluster-size 2M
    finds_zeroes device hybrid device:image.qcow2 --extended-l2
    finds_zeroes device hybrid device:image.qcow2 --compat 0.10
}

@test "zeroes of less than 4 KiB inside data are kept, as qemu-img does" {
    make_disk device 3M data@0+2M zeroes@512+512 zeroes@9K+3K zeroes@64K+4K \
        zeroes@132608+4K zeroes@200K+8K seed:3 empties:20 pieces:20
    all_mapped image.qcow2 device
    finds_zeroes device hybrid device:image.qcow2 --cluster-size 512
}

@test "what the map leaves out stays out, whatever DEVICE holds there" {
    #     IMAGE   ....11111........11.....
    #     DEVICE  dddddd000ddddddddddddddd
    #     stream  ....dd...........dd.....
    make_disk device 64M full zeroes@5M+1M
    empty_image image.qcow2 64M
    allocate image.qcow2 4M+2M 9M+192K 63M+1M
    make_disk expected 64M data@4M+1M data@9M+192K data@63M+1M
    good_hybrid device image.qcow2 expected --detect-zeroes
    [ "$(data_ranges streamable.qcow2)" = "$(printf '%s\n' \
        4194304+1048576 9437184+196608 66060288+1048576)" ]
    finds_zeroes expected hybrid device:image.qcow2
}

@test "data that is zero all over leaves an empty disk" {
    make_disk device 16M
    all_mapped image.qcow2 device
    finds_zeroes device hybrid device:image.qcow2
    [ -z "$(data_ranges stream.qcow2)" ]
}

@test "a raw disk is looked at anyway: the option changes nothing" {
    mixed_disk disk
    finds_zeroes disk raw disk
}

@test "a size that is no multiple of a cluster, nor of 4 KiB" {
    make_disk device 10507264 data@1M+2M zeroes@2M+100K tail+3K
    all_mapped image.qcow2 device
    finds_zeroes device hybrid device:image.qcow2
    make_disk device 10507264 zeroes@10M+20K
    all_mapped image.qcow2 device
    finds_zeroes device hybrid device:image.qcow2
}

@test "--direct finds the same" {
    mixed_disk device
    all_mapped image.qcow2 device
    finds_zeroes device hybrid device:image.qcow2 --direct
}

@test "a device that fails to be read is an error with the offset" {
    make_disk disk 8M data@5M+1M
    nbd_server unix nbdkit -r --filter=error file disk \
        error-pread-rate=100% error=EIO
    source_fails "offset 5242880.*Input/output error" nbd "$uri" \
        --detect-zeroes
    nothing_sent
}

@test "it takes no value" {
    make_disk disk 1M
    refused 2 --source-format raw --source disk --detect-zeroes=yes
    error_says "detect-zeroes"
}
