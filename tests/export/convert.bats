#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the qcow-tool authors
# With --layout convert the stream is the file that qemu-img convert writes.

load ../lib/helpers

# same_as_convert DISK QEMU-IMG-OPTIONS [STREAM-ARG...]
# Streams DISK both ways. QEMU-IMG-OPTIONS is the value of -o.
same_as_convert() {
    local disk=$1 options=$2
    shift 2
    qemu-img convert -f raw -O qcow2 ${options:+-o "$options"} \
        "$disk" expected.qcow2
    stdout_to=stream.qcow2 qcow_tool stream --source-format raw \
        --source "$disk" --layout convert "$@"
    same_bytes expected.qcow2 stream.qcow2
    measured stream.qcow2 --source-format raw --source "$disk" \
        --layout convert "$@"
    nothing_left
}

@test "64 KiB clusters are the default and give the bytes of qemu-img convert" {
    mixed_disk disk
    same_as_convert disk ""
    same_as_convert disk cluster_size=64k --cluster-size 64K
}

@test "4 KiB clusters give the bytes of qemu-img convert" {
    mixed_disk disk
    same_as_convert disk cluster_size=4k --cluster-size 4K
}

@test "2 MiB clusters give the bytes of qemu-img convert" {
    mixed_disk disk 300M
    same_as_convert disk cluster_size=2M --cluster-size 2M
}

@test "the cluster size may be given in plain bytes" {
    mixed_disk disk
    same_as_convert disk cluster_size=32k --cluster-size 32768
}

@test "512 B clusters give the bytes of qemu-img convert" {
    make_disk disk 6M data@4K+200K runs:64K/64K@1M+2M tail+12K
    same_as_convert disk cluster_size=512 --cluster-size 512
}

@test "512 B clusters: zeroes of less than 4 KiB inside data are kept as data" {
    make_disk disk 3M data@0+2M zeroes@512+512 zeroes@9K+3K zeroes@64K+4K \
        zeroes@132608+4K zeroes@200K+8K seed:3 empties:20 pieces:20
    same_as_convert disk cluster_size=512 --cluster-size 512
}

@test "compat=0.10 gives the bytes of qemu-img convert" {
    mixed_disk disk
    same_as_convert disk compat=0.10 --compat 0.10
    same_as_convert disk compat=1.1 --compat 1.1
}

@test "extended L2 with 64 KiB clusters gives the bytes of qemu-img convert" {
    mixed_disk disk
    same_as_convert disk extended_l2=on --extended-l2
}

@test "extended L2 with 2 MiB clusters gives the bytes of qemu-img convert" {
    mixed_disk disk 100M
    same_as_convert disk extended_l2=on,cluster_size=2M \
        --extended-l2 --cluster-size 2M
}

@test "1-bit and 64-bit refcounts give the bytes of qemu-img convert" {
    mixed_disk disk
    same_as_convert disk refcount_bits=1 --refcount-bits 1
    same_as_convert disk refcount_bits=64 --refcount-bits 64
}

@test "many small refcount blocks give the bytes of qemu-img convert" {
    # 64-bit refcounts and 4 KiB clusters: a block for each 2 MiB of file.
    make_disk disk 64M runs:3M/64K
    same_as_convert disk refcount_bits=64,cluster_size=4k \
        --refcount-bits 64 --cluster-size 4K
}

@test "sub-cluster holes, many, give the bytes of qemu-img convert" {
    make_disk disk 64M runs:64K/64K
    same_as_convert disk ""
    same_as_convert disk cluster_size=4k --cluster-size 4K
    same_as_convert disk extended_l2=on --extended-l2
}

@test "extents written at unaligned places give the bytes of qemu-img convert" {
    make_disk disk 40M pieces:400 data@12289+1 data@20971519+70002
    same_as_convert disk ""
    same_as_convert disk cluster_size=4k --cluster-size 4K
}

@test "piece boundaries that refcount blocks fall on: bytes of qemu-img convert" {
    # A refcount block covers 8 MiB of file. Each run begins in mid-cluster or
    # in mid-piece, so that 2 MiB pieces and clusters drift.
    make_disk disk 96M data@1000+9M data@10M+6145K data@17411K+8M \
        runs:5M/12K@26M+50M
    same_as_convert disk cluster_size=4k --cluster-size 4K
    same_as_convert disk cluster_size=16k,refcount_bits=64 \
        --cluster-size 16K --refcount-bits 64
}

@test "a size that is no multiple of a cluster gives the bytes of qemu-img convert" {
    # The partial last cluster is a hole here.
    make_disk disk 10507264 data@1M+2M
    same_as_convert disk ""
    same_as_convert disk cluster_size=2M --cluster-size 2M
}

@test "data in a partial last cluster gives the bytes of qemu-img convert" {
    make_disk disk 10507264 data@1M+2M tail+3K
    same_as_convert disk ""
    same_as_convert disk cluster_size=2M --cluster-size 2M
    same_as_convert disk extended_l2=on --extended-l2
    same_as_convert disk compat=0.10 --compat 0.10
}

@test "a size that is no multiple of 512 gives the bytes of qemu-img convert" {
    make_disk disk 10000001 data@1M+2M
    same_as_convert disk ""
    make_disk disk 10000001 tail+5000
    same_as_convert disk ""
    same_as_convert disk cluster_size=4k --cluster-size 4K
}

@test "a disk of a few bytes gives the bytes of qemu-img convert" {
    make_disk disk 100 full
    same_as_convert disk ""
    make_disk one 512
    same_as_convert one ""
}

@test "an empty disk gives the bytes of qemu-img convert" {
    make_disk disk 5G
    same_as_convert disk ""
    same_as_convert disk cluster_size=4k --cluster-size 4K
}

@test "a disk full of written zeroes gives the bytes of qemu-img convert" {
    make_disk disk 20M zeroes@0+20M
    same_as_convert disk ""
}

@test "a full disk gives the bytes of qemu-img convert" {
    make_disk disk 50M full
    same_as_convert disk ""
    same_as_convert disk cluster_size=4k --cluster-size 4K
}

@test "a disk whose guest wrote a qcow2 header onto it is still raw" {
    make_disk disk 20M data@5M+1M
    qemu-img create -q -f qcow2 inner.qcow2 700M
    dd if=inner.qcow2 of=disk conv=notrunc status=none
    same_as_convert disk ""
}

@test "a sparse disk of 2 TiB gives the bytes of qemu-img convert" {
    make_disk disk 2T data@100M+1M data@1500G+3M tail+64K
    same_as_convert disk ""
}
